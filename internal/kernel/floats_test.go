package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/f16"
)

// strange are floats that arithmetic treats in other ways than most.
var strange = []float32{
	0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
	0x1p-126, 0x1p-127, 0x1p-119, 0x1.fffffep-120, 65504, -65504, 88, 88.1, -88, -88.1, 87.3, -87.3, 1e-30, -1e-30,
}

// strangeFloats returns n floats: random in a range that the seed chooses, and up to every fourth of them strange.
func strangeFloats(rng *rand.Rand, n int) []float32 {
	x := randomFloats(rng, n)
	scale := float32(math.Ldexp(1, rng.IntN(40)-20))
	often := rng.IntN(4) // 0: none
	for i := range x {
		x[i] *= scale
		if often > 0 && rng.IntN(4*n/often+1) < 4 {
			x[i] = strange[rng.IntN(len(strange))]
		}
	}
	return x
}

// sameFloats compares bits, but takes every NaN for the same.
func sameFloats(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(a, b float32) bool {
		return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
	})
}

// plainly calls f with plain Go in the place of kernels.
func plainly(f func()) {
	before := kernels
	defer func() { kernels = before }()
	kernels = cpu.Generic
	f()
}

// guarded returns a copy of x that nothing may be written beside, and a check of that.
func guarded(x []float32) (mine []float32, check func(t *testing.T)) {
	const canary, beside = 12345, 16
	all := make([]float32, len(x)+2*beside)
	for i := range all {
		all[i] = canary
	}
	mine = all[beside : beside+len(x) : beside+len(x)]
	copy(mine, x)
	return mine, func(t *testing.T) {
		t.Helper()
		for i, v := range all {
			if (i < beside || i >= beside+len(x)) && v != canary {
				t.Fatalf("element %d beside %d floats was overwritten", i-beside, len(x))
			}
		}
	}
}

// TestFloatKernels compares the element-wise kernels with plain Go.
func TestFloatKernels(t *testing.T) { eachSet(t, assembly, floatKernels) }

func floatKernels(t *testing.T) {
	for _, op := range []struct {
		name string
		dst  func(dst, x, y []float32, mode int)
		used func(x []float32) int
	}{
		{
			"RMSNorm", func(dst, x, y []float32, _ int) { RMSNorm(dst, x, y, 1e-5) },
			func(x []float32) int { return scaleVectors(x, x, x, 1) },
		},
		{
			"SwiGLU", func(dst, x, y []float32, _ int) { copy(dst, x); SwiGLU(dst, y) },
			func(x []float32) int { return swiGLUVectors(x, x) },
		},
		{
			"Add", func(dst, x, y []float32, _ int) { copy(dst, x); Add(dst, y) },
			func(x []float32) int { return addVectors(x, x) },
		},
		{
			"Scale", func(dst, x, y []float32, _ int) { copy(dst, x); Scale(dst, y[0]) },
			func(x []float32) int { return multiplyVectors(x, 1) },
		},
		{
			"dotFloats", func(dst, x, y []float32, _ int) { dst[0] = dotFloats(x, y) },
			func(x []float32) int { return dotVectors(new([16]float32), x, x) },
		},
		{
			"Apply", func(dst, x, y []float32, mode int) {
				copy(dst, x)
				n := len(x) / 2
				rope := Rope{Freq: make([]float64, n), Halves: mode%2 == 1}
				rope.Apply(dst, y[:n], y[len(y)-n:])
			},
			func(x []float32) int { return 2 * ropeVectors(x, x, x, len(x)/2, false) },
		},
	} {
		t.Run(op.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 3))
			if got := op.used(make([]float32, 32)); got != 32 {
				t.Fatalf("the kernel did %d elements of 32", got)
			}
			for n := 1; n <= 100; n++ {
				for mode := range 12 {
					x, y := strangeFloats(rng, n), strangeFloats(rng, n)
					dst, check := guarded(make([]float32, n))
					op.dst(dst, x, y, mode)
					check(t)
					want := make([]float32, n)
					plainly(func() { op.dst(want, x, y, mode) })
					if !sameFloats(dst, want) {
						t.Fatalf("%d elements: %v\nwant %v\nof %v\nand %v", n, dst, want, x, y)
					}
				}
			}
		})
	}
}

// TestExpKernel compares the kernels' Exp with plain Go's, as SwiGLU shows it, in steps through all floats.
func TestExpKernel(t *testing.T) { eachSet(t, assembly, expKernel) }

func expKernel(t *testing.T) {
	const n = 1 << 12
	step := uint32(1009)
	if testing.Short() {
		step *= 16
	}
	x, up := make([]float32, n), make([]float32, n)
	for i := range up {
		up[i] = 1
	}
	for bits, left := uint32(0), uint64(1<<32); left > 0; left -= min(left, uint64(step)*n) {
		for i := range x {
			x[i] = math.Float32frombits(bits)
			bits += step
		}
		got, want := slices.Clone(x), slices.Clone(x)
		SwiGLU(got, up)
		plainly(func() { SwiGLU(want, up) })
		if !sameFloats(got, want) {
			t.Fatalf("other bits than plain Go between %v and %v", x[0], x[n-1])
		}
	}
}

// TestAttentionKernels compares attention with plain Go: every number of positions in a block, of queries, and shapes
// that kernels and plain Go share.
func TestAttentionKernels(t *testing.T) { eachSet(t, assembly, attentionKernels) }

func attentionKernels(t *testing.T) {
	if attendKernelsOf(kernels) == nil {
		t.Fatal("no kernels for attention")
	}
	rng := rand.New(rand.NewPCG(5, 5))
	shapes := []AttentionShape{
		{1, 1, 64, 64},
		{2, 1, 32, 16},
		{3, 1, 128, 128},
		{8, 2, 64, 80},
		{5, 1, 20, 48},
		{9, 1, 16, 112},
		{2, 2, 64, 24},
		{16, 1, 96, 144},
	}
	for _, s := range shapes {
		for position := range 2*PagePositions + 3 {
			n := []int{1, 1, 2, 3, 8}[rng.IntN(5)]
			f32 := rng.IntN(2) == 1
			compareAttention(t, rng, s, position, n, f32)
		}
		for _, position := range []int{8*PagePositions - 1, 700, 1022} { // blocks enough for items to share
			compareAttention(t, rng, s, position, 1+rng.IntN(3), rng.IntN(2) == 1)
		}
		compareAttention(t, rng, s, 0, 70, false)
		compareAttention(t, rng, s, 0, 8, true)
	}
}

// TestAttentionItems holds one token of one session to items that threads can share evenly, and more of them to few items.
func TestAttentionItems(t *testing.T) {
	shape := AttentionShape{9, 3, 64, 64}
	for _, c := range []struct{ tasks, tokens, position, threads, want int }{
		{1, 1, 1023, 1, 3},
		{1, 1, 1023, 2, 6},
		{1, 1, 1023, 8, 12}, // of four blocks
		{1, 1, 100, 2, 3},
		{2, 1, 1023, 2, 6},
		{1, 64, 1023, 2, 6},
		{1, 64, 1023, 4, 12},
		{1, 512, 0, 2, 48},
	} {
		a := Attention{Shape: shape}
		if a.kernels() == nil {
			t.Skip("in plain Go threads do not share tiles")
		}
		for range c.tasks {
			a.Tasks = append(a.Tasks, AttentionTask{T: c.tokens, Position: c.position})
		}
		if a.cut(c.threads); len(a.items) != c.want {
			t.Errorf("%+v: %d items", c, len(a.items))
		}
	}
}

func compareAttention(t *testing.T, rng *rand.Rand, s AttentionShape, position, n int, f32 bool) {
	t.Helper()
	task := attentionCase(rng, s, position, n, f32)
	how := rng.IntN(4)
	for b := range task.Pages {
		p := &task.Pages[b]
		switch {
		case how == 0 && f32:
			p.F32 = strangeFloats(rng, len(p.F32))
		case how == 0:
			f16.EncodeSlice(p.F16, strangeFloats(rng, len(p.F16)))
		}
		// What stands behind the positions in use must not matter.
		for j := max(0, position+n-b*PagePositions); j < PagePositions; j++ {
			bad := []uint16{0x7e00, 0x7c00, 0xfc00}[j%3] // NaN and infinities
			spoil := func(at int) {
				if f32 {
					p.F32[at] = f16.ToFloat32(bad)
				} else {
					p.F16[at] = bad
				}
			}
			for kv := range s.KVHeads {
				for d := range s.HeadDim {
					spoil(s.keys(kv) + d*PagePositions + j)
				}
				for d := range s.ValueDim {
					spoil(s.values(kv) + j*s.ValueDim + d)
				}
			}
		}
	}
	switch how {
	case 1:
		task.Q = strangeFloats(rng, len(task.Q))
	case 2: // large scores: most weights are 0
		for i := range task.Q {
			task.Q[i] *= 40
		}
	}
	dst, check := guarded(task.Dst)
	task.Dst = dst
	plain := task
	plain.Dst = make([]float32, len(task.Dst))
	// Items of several threads share tiles, and end in any order.
	a := Attention{Shape: s, Tasks: []AttentionTask{task}}
	if run := a.kernels() != nil; run != (s.ValueDim%16 == 0) {
		t.Fatalf("%v: kernel run: %v", s, run)
	}
	a.cut(1 + rng.IntN(12))
	for _, i := range rng.Perm(len(a.items)) {
		a.item(i)
	}
	plainly(func() {
		p := Attention{Shape: s, Tasks: []AttentionTask{plain}}
		p.cut(1)
		for i := range p.items {
			p.item(i)
		}
	})
	check(t)
	if !sameFloats(task.Dst, plain.Dst) {
		name := fmt.Sprintf("%v, %d tokens at %d, float32 pages: %v, kind %d", s, n, position, f32, how)
		for i, v := range task.Dst {
			if !sameFloats([]float32{v}, plain.Dst[i:i+1]) {
				t.Fatalf("%s: element %d is %v, want %v", name, i, v, plain.Dst[i])
			}
		}
	}
}

func BenchmarkFloats(b *testing.B) {
	const n = 2048
	rng := rand.New(rand.NewPCG(1, 1))
	x, y := randomFloats(rng, n), randomFloats(rng, n)
	dst := make([]float32, n)
	rope := map[bool]*Rope{
		false: {Freq: make([]float64, 32)},
		true:  {Freq: make([]float64, 32), Halves: true},
	}
	for _, bc := range []struct {
		name string
		f    func()
	}{
		{"RMSNorm", func() { RMSNorm(dst, x, y, 1e-5) }},
		{"SwiGLU", func() { copy(dst, x); SwiGLU(dst, y) }},
		{"Add", func() { Add(dst, y) }},
		{"Rope/neighbours", func() { copy(dst[:64], x); rope[false].Apply(dst[:64], x, y) }},
		{"Rope/halves", func() { copy(dst[:64], x); rope[true].Apply(dst[:64], x, y) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				bc.f()
			}
		})
	}
}
