package engine

import (
	"os"
	"testing"

	"github.com/realm-ai/realm/internal/gguf"
)

// realEngine opens the model that REALM_MODEL names.
func realEngine(b *testing.B, o Options) *Engine {
	b.Helper()
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		b.Skip("REALM_MODEL is not set")
	}
	f, err := gguf.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(f, o, func() { _ = f.Close() })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	return e
}

// BenchmarkDecode measures a decode step at positions 0 to 127.
func BenchmarkDecode(b *testing.B) {
	e := realEngine(b, Options{})
	s, err := e.NewSession()
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

// BenchmarkPrefill measures a prompt of 512 tokens.
func BenchmarkPrefill(b *testing.B) {
	e := realEngine(b, Options{})
	s, err := e.NewSession()
	if err != nil {
		b.Fatal(err)
	}
	tokens := make([]int32, 512)
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
