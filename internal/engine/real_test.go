package engine

import (
	"os"
	"testing"

	"github.com/realm-ai/realm/internal/gguf"
)

// realEngine opens the model that REALM_MODEL names.
func realEngine(tb testing.TB, o Options) *Engine {
	tb.Helper()
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		tb.Skip("REALM_MODEL is not set: make test fetches a model and sets it")
	}
	f, err := gguf.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := New(f, o, func() { _ = f.Close() })
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	return e
}

const passage = `The river rises in the hills above the town, where three springs meet under an old stone bridge. In summer it
is hardly deep enough to float a paper boat; in March, when the snow melts, it carries whole trees down to the plain.`

// realModelBits is the FNV-1a hash of the logits after the first 100 bytes of passage, for SmolLM2-135M-Instruct Q4_1. No
// processor and no later kernel may change it.
const realModelBits = 0x94e0744e279b31ed

// TestRealModelGolden holds the real model to fixed logits.
func TestRealModelGolden(t *testing.T) {
	e := realEngine(t, Options{})
	if name := e.Model.Config.Name; name != "Smollm2 135M 8k Lc100K Mix1 Ep2" {
		t.Skipf("REALM_MODEL is %q", name)
	}
	logits, err := newSession(t, e).Forward(t.Context(), encode(t, e, passage[:100]), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := hash(bits(logits)); got != realModelBits {
		t.Errorf("hash of the logits %#x, want %#x", got, uint64(realModelBits))
	}
}

// TestRealModelBits holds the real model to the same logits on any number of threads, in chunks of any size, and on a
// cached prefix. With REALM_LONG=1 it tries every combination on a longer text.
func TestRealModelBits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	text := passage[:100]
	combinations := []Options{{Threads: 1, ChunkSize: 7}, {Threads: 2, ChunkSize: 512}, {Threads: 3, ChunkSize: 1}}
	if os.Getenv("REALM_LONG") == "1" {
		text = passage + passage + passage
		combinations = nil
		for _, threads := range []int{1, 2, 3} {
			for _, chunk := range []int{1, 7, 64, 512} {
				combinations = append(combinations, Options{Threads: threads, ChunkSize: chunk})
			}
		}
	}
	want := ""
	for _, o := range combinations {
		e := realEngine(t, o)
		tokens := encode(t, e, text)
		s := newSession(t, e)
		logits, err := s.Forward(t.Context(), tokens, 0)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = bits(logits)
		}
		if bits(logits) != want {
			t.Errorf("%d tokens, %+v: other logits", len(tokens), o)
		}
		if logits, err = s.Forward(t.Context(), tokens[len(tokens)-9:], len(tokens)-9); err != nil || bits(logits) != want {
			t.Errorf("%d tokens, %+v, on a cached prefix: error %v, or other logits", len(tokens), o, err)
		}
		e.Close()
	}
}

// BenchmarkDecode measures a decode step at positions 0 to 127.
func BenchmarkDecode(b *testing.B) {
	e := realEngine(b, Options{})
	s, err := e.NewSession(nil)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		if _, err := s.Forward(b.Context(), []int32{int32(n % 1000)}, n%128); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkPrefill measures a prompt of 128 tokens.
func BenchmarkPrefill(b *testing.B) {
	e := realEngine(b, Options{})
	s, err := e.NewSession(nil)
	if err != nil {
		b.Fatal(err)
	}
	tokens := make([]int32, 128)
	for i := range tokens {
		tokens[i] = int32(i * 7 % 1000)
	}
	for b.Loop() {
		if _, err := s.Forward(b.Context(), tokens, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(tokens))/b.Elapsed().Seconds(), "tokens/s")
}
