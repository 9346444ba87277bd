package cli

import (
	"math"
	"testing"

	"github.com/realm-ai/realm"
)

func TestBounds(t *testing.T) {
	layers := []realm.Tensor{
		{Name: "token_embd.weight", DType: "Q4_K", Shape: []uint64{256, 1000}, Bytes: 144_000},
		{Name: "output_norm.weight", DType: "F32", Shape: []uint64{256}, Bytes: 1024},
		{Name: "blk.0.attn_q.weight", DType: "Q4_K", Shape: []uint64{256, 256}, Bytes: 36_864},
		{Name: "blk.0.attn_k.weight", DType: "F16", Shape: []uint64{256, 64}, Bytes: 32_768},
	}
	untied := append(layers[:len(layers):len(layers)],
		realm.Tensor{Name: "output.weight", DType: "Q6_K", Shape: []uint64{256, 1000}, Bytes: 210_000})
	r := Rates{Threads: 1, Read: 1e6, Ints: 1e7, Floats: 1e6}
	const (
		fast  = 1e15
		cache = 128
		q, k  = 256 * 256, 256 * 64
		out   = 256 * 1000
	)
	for _, tc := range []struct {
		name    string
		tensors []realm.Tensor
		rates   Rates
		bound   func(w *Work, r Rates) Bound
		want    float64 // seconds of a pass
		tokens  float64
		by      string
	}{
		{
			"decode of one session reads all weights", untied,
			Rates{Read: 1e6, Ints: fast, Floats: fast},
			func(w *Work, r Rates) Bound { return w.Decode(r, 1, 0, 1) },
			(1024 + 36_864 + 32_768 + 210_000 + cache) / 1e6, 1, "memory",
		},
		{
			"an embedding that is the output is read", layers,
			Rates{Read: 1e6, Ints: fast, Floats: fast},
			func(w *Work, r Rates) Bound { return w.Decode(r, 1, 0, 1) },
			(144_000 + 1024 + 36_864 + 32_768 + cache) / 1e6, 1, "memory",
		},
		{
			"sessions share the weights, not the cache", untied,
			Rates{Read: 1e6, Ints: fast, Floats: fast},
			func(w *Work, r Rates) Bound { return w.Decode(r, 4, 1000, 9) },
			(1024 + 36_864 + 32_768 + 210_000 + 4*1005*cache) / 1e6, 4, "memory",
		},
		{
			"logits of every session", untied,
			Rates{Read: fast, Ints: 1e7, Floats: 1e6},
			func(w *Work, r Rates) Bound { return w.Decode(r, 4, 0, 1) },
			2*4*(q+out)/1e7 + 2*4*k/1e6, 4, "arithmetic",
		},
		{
			"one token of a prompt wants logits", untied, r,
			func(w *Work, r Rates) Bound { return w.Prefill(r, 0, 100) },
			2*(100*q+out)/1e7 + 2*100*k/1e6, 100, "arithmetic",
		},
	} {
		w := WorkOf(tc.tensors, cache)
		b := tc.bound(&w, tc.rates)
		if want := tc.tokens / tc.want; math.Abs(b.TPS/want-1) > 1e-12 || b.By != tc.by {
			t.Errorf("%s: %v by %s, want %v by %s", tc.name, b.TPS, b.By, want, tc.by)
		}
		if got := b.Of(b.TPS / 4); math.Abs(got.Share-0.25) > 1e-12 || got.TPS != b.TPS {
			t.Errorf("%s: a quarter of the bound: %+v", tc.name, *got)
		}
	}
}
