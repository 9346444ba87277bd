package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/realm-ai/realm/internal/quant"
)

// TestCut checks that shares have every strip once, that none is too long, and that each thread begins with a large one.
func TestCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	small := pack(t, randomMatrix(t, rng, quant.Q4_1, nil, 24, 576))
	if small.strips() == nil {
		t.Skip("no kernels for strips")
	}
	for _, rows := range []int{1, 16, 100, 576, 5000} {
		large := pack(t, randomMatrix(t, rng, quant.Q8_0, nil, rows, 576))
		strips := 2 + ceil(rows, stripRows)
		for threads := 1; threads <= 4; threads++ {
			for _, tokens := range []int{1, 5, 16} {
				in := Input{T: tokens, N: 576, products: []Product{{W: large}, {W: small}}}
				if !in.cut(threads) {
					t.Fatalf("%d tokens are not cut into shares", tokens)
				}
				last := len(in.cuts) - 1
				if in.cuts[0] != 0 || in.cuts[last] != strips {
					t.Fatalf("%d strips, %d threads: shares from %d to %d", strips, threads, in.cuts[0], in.cuts[last])
				}
				for i, at := range in.cuts[1:] {
					if size := at - in.cuts[i]; size < 1 || size*stripRows*576*tokens > 2<<20 {
						t.Errorf("%d strips, %d threads, %d tokens: share %d has %d strips", strips, threads, tokens, i, size)
					}
				}
				if front, back := in.cuts[1], strips-in.cuts[last-1]; threads > 1 && strips > 300 && tokens == 1 && (front < 40 || back != front) {
					t.Errorf("%d strips, %d threads, %d tokens: threads begin with %d and %d", strips, threads, tokens, front, back)
				}
			}
		}
	}
	if in := (Input{T: sharesTokens + 1, N: 576, products: []Product{{W: small}}}); in.cut(2) {
		t.Error("many tokens are cut into shares")
	}
}
