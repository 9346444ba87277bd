package model_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/model"
	"github.com/realm-ai/realm/internal/quant"
)

// TestTensor dequantizes every tensor of a model of each dtype, before and after packing, from a file and from a copy.
func TestTensor(t *testing.T) {
	pool := kernel.NewPool(3)
	defer pool.Close()
	for _, shape := range tinyShapes() {
		t.Run(shape, func(t *testing.T) {
			f := openSynth(t, shape)
			copied, err := gguf.Copy(f.Parts()[0].Bytes())
			if err != nil {
				t.Fatal(err)
			}
			defer copied.Close()
			models := []*model.Model{load(t, f), load(t, f), load(t, copied)}
			for _, m := range models[1:] {
				if err := m.Pack(t.Context(), pool, nil); err != nil {
					t.Fatal(err)
				}
				defer m.Free()
			}
			for _, tensor := range f.Tensors() {
				want, got := make([]float32, tensor.Elements()), make([]float32, tensor.Elements())
				if err := quant.Dequantize(want, tensor.Data(), quant.DType(tensor.DType)); err != nil {
					t.Fatal(err)
				}
				for i, m := range models {
					clear(got)
					if err := m.Tensor(t.Context(), pool, tensor.Name, got); err != nil {
						t.Fatal(err)
					}
					same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
					if !slices.EqualFunc(got, want, same) {
						t.Errorf("%s of model %d: other weights", tensor.Name, i)
					}
				}
			}
		})
	}
}

func TestTensorErrors(t *testing.T) {
	m := load(t, openSynth(t, "tiny-llama-q4_0"))
	pool := kernel.NewPool(1)
	defer pool.Close()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		ctx  context.Context
		name string
		n    int
		code errs.Code
		text string
	}{
		{t.Context(), "blk.0.attn_k.wieght", 1, errs.NotFound, `"blk.0.attn_k.weight"`},
		{t.Context(), "token_embd", 1, errs.NotFound, `"token_embd.weight"`},
		{t.Context(), "nothing like it", 1, errs.NotFound, `of that name`},
		{t.Context(), "", 1, errs.NotFound, `of that name`},
		{t.Context(), strings.Repeat("\x00", 10_000), 1, errs.NotFound, `of that name`},
		{t.Context(), "output_norm.weight", m.Config.Hidden - 1, errs.InvalidArgument, "room for"},
		{t.Context(), "output_norm.weight", 0, errs.InvalidArgument, "room for"},
		{canceled, "output_norm.weight", m.Config.Hidden, errs.Canceled, ""},
	} {
		err := m.Tensor(tc.ctx, pool, tc.name, make([]float32, tc.n))
		if !errors.Is(err, tc.code) || !strings.Contains(err.Error(), tc.text) || len(err.Error()) > 500 {
			t.Errorf("%.30q: %v, want %v with %q", tc.name, err, tc.code, tc.text)
		}
	}
}
