package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/f16"
)

// TestPut writes to every place of a page, by kernels and without, and looks at all of it.
func TestPut(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	for _, s := range []AttentionShape{{KVHeads: 3, HeadDim: 16, ValueDim: 32}, {KVHeads: 2, HeadDim: 5, ValueDim: 19}} {
		nk, nv := s.KVHeads*s.HeadDim, s.KVHeads*s.ValueDim
		for at := range PagePositions {
			for _, n := range []int{1, 2, 3, 4, 15, 16, 17, 32, 64} {
				if at+n > PagePositions {
					continue
				}
				before, wantFloats := make([]uint16, s.keys(s.KVHeads)), make([]float32, s.keys(s.KVHeads))
				for i := range before {
					before[i] = uint16(rng.Uint32())
				}
				k, v := strangeFloats(rng, n*nk), strangeFloats(rng, n*nv)
				want := slices.Clone(before)
				set := func(at int, x float32) { want[at], wantFloats[at] = f16.FromFloat32(x), x }
				for j := range n {
					for i, x := range k[j*nk : (j+1)*nk] {
						set(s.keys(i/s.HeadDim)+i%s.HeadDim*PagePositions+at+j, x)
					}
					for i, x := range v[j*nv : (j+1)*nv] {
						set(s.values(i/s.ValueDim)+(at+j)*s.ValueDim+i%s.ValueDim, x)
					}
				}
				check := func() {
					t.Helper()
					got := Page{F16: slices.Clone(before)}
					got.Put(s, at, n, k, v)
					if !slices.Equal(got.F16, want) {
						t.Fatalf("%v: another page after %d positions from %d", s, n, at)
					}
				}
				check()
				plainly(check)

				floats := Page{F32: make([]float32, len(before))}
				floats.Put(s, at, n, k, v)
				if !sameFloats(floats.F32, wantFloats) {
					t.Fatalf("%v: another page of floats after %d positions from %d", s, n, at)
				}
			}
		}
	}
}

// TestPutKernels compares all floats that round to other halves than their neighbours do.
func TestPutKernels(t *testing.T) { eachSet(t, assembly, putKernels) }

func putKernels(t *testing.T) {
	x := make([]float32, 0, 6<<16)
	for h := range 1 << 16 {
		v := f16.ToFloat32(uint16(h))
		next := f16.ToFloat32(uint16(h + 1))
		half := v + (next-v)/2
		x = append(x, v, next, half, half*(1-0x1p-24), half*(1+0x1p-23), v*(1+0x1p-12))
	}
	got, want := make([]uint16, len(x)), make([]uint16, len(x))
	if n := encodeVectors(got, x); n != len(x) {
		t.Fatalf("the kernel did %d of %d", n, len(x))
	}
	f16.EncodeSlice(want, x)
	for i := range x {
		if got[i] != want[i] {
			t.Fatalf("%v: %#x, want %#x", x[i], got[i], want[i])
		}
	}
	if n := putKeyVectors(got, 0, 4, x, 4, 4); n != 4 && kernels >= cpu.AVX512 {
		t.Errorf("the kernel did %d positions, want 4", n)
	}
}

func BenchmarkPut(b *testing.B) {
	s := AttentionShape{KVHeads: 3, HeadDim: 64, ValueDim: 64}
	p := Page{F16: make([]uint16, s.keys(s.KVHeads))}
	x := randomFloats(rand.New(rand.NewPCG(1, 1)), 192*PagePositions)
	b.Run("1", func(b *testing.B) {
		for b.Loop() {
			p.Put(s, 17, 1, x, x)
		}
	})
	b.Run("32", func(b *testing.B) {
		for b.Loop() {
			p.Put(s, 32, 32, x, x)
		}
	})
}
