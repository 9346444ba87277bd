package kernel

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTop compares with a stable sort, with and without kernels.
func TestTop(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, n := range []int{0, 1, 2, 15, 16, 17, 40, 100, 1000} {
		for _, k := range []int{0, 1, 2, 7, 40, n, n + 3} {
			for range 20 {
				x := strangeFloats(rng, n)
				if rng.IntN(2) == 0 { // many equals
					for i := range x {
						x[i] = float32(rng.IntN(8))
					}
				}
				order := make([]int32, n)
				for i := range order {
					order[i] = int32(i)
				}
				slices.SortStableFunc(order, func(i, j int32) int {
					// In the order of cmp a NaN comes before all numbers, and so last when turned round.
					if a, b := x[i] != x[i], x[j] != x[j]; a || b {
						return cmp.Compare(truth(b), truth(a))
					}
					return cmp.Compare(x[j], x[i])
				})
				check := func() {
					t.Helper()
					ids, values := make([]int32, k), make([]float32, k)
					if got, want := Top(ids, values, x), min(n, k); got != want {
						t.Fatalf("%d of %d: found %d", k, n, got)
					}
					for i, id := range order[:min(n, k)] {
						if ids[i] != id || math.Float32bits(values[i]) != math.Float32bits(x[id]) {
							t.Fatalf("%d of %d: number %d is %d (%v), want %d (%v), of %v", k, n, i, ids[i], values[i], id, x[id], x)
						}
					}
				}
				check()
				plainly(check)
			}
		}
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestSkipKernel holds the kernel to whole vectors and to stopping at every lane.
func TestSkipKernel(t *testing.T) { eachSet(t, assembly, skipKernel) }

func skipKernel(t *testing.T) {
	x := make([]float32, 100)
	if got := skipVectors(x, 0); got != 96 {
		t.Fatalf("the kernel passed %d elements of 100, want 96", got)
	}
	for i := range x {
		for _, v := range []float32{1, float32(math.NaN()), float32(math.Inf(1))} {
			x[i] = v
			if got, want := skipVectors(x, 0), min(96, i/16*16); got != want {
				t.Errorf("the kernel stopped at %d for %v at %d, want %d", got, v, i, want)
			}
		}
		x[i] = float32(math.Inf(-1))
	}
}

func BenchmarkTop(b *testing.B) {
	const vocab = 49152
	rng := rand.New(rand.NewPCG(1, 1))
	x := randomFloats(rng, vocab)
	for _, k := range []int{1, 40} {
		b.Run(map[int]string{1: "1", 40: "40"}[k], func(b *testing.B) {
			ids, values := make([]int32, k), make([]float32, k)
			for b.Loop() {
				Top(ids, values, x)
			}
		})
	}
}
