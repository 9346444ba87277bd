//go:build amd64 && !purego

package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

// TestSequential multiplies with and without the prefetches that some processors are better without.
func TestSequential(t *testing.T) {
	if kernels < cpu.AVX512 {
		t.Skip("other kernels were chosen")
	}
	defer func(as bool) { sequential = as }(sequential)
	p := NewPool(1)
	defer p.Close()
	for _, d := range dtypes {
		if d.t != quant.Q4_1 && d.t.BlockSize() != quant.SuperBlockWeights {
			continue
		}
		const rows, cols = 48, 512
		rng := rand.New(rand.NewPCG(4, uint64(d.t)))
		m := pack(t, randomMatrix(t, rng, d.t, d.scales, rows, cols))
		for tokens := 1; tokens <= 2; tokens++ {
			x := randomFloats(rng, tokens*cols)
			var got [2][]float32
			for i := range got {
				sequential = i == 1
				got[i] = make([]float32, tokens*rows)
				var in Input
				in.Set(x, tokens, cols)
				p.MatMul(&in, Product{got[i], m})
			}
			if !slices.Equal(got[0], got[1]) || slices.Max(got[0]) == 0 {
				t.Errorf("%v, %d tokens: %v with prefetches, %v without", d.t, tokens, got[0], got[1])
			}
		}
	}
}
