package kernel

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/realm-ai/realm/internal/f16"
)

func closeTo(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= tolerance*max(1, math.Abs(w))) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], w)
		}
	}
}

func TestRMSNorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 15, 16, 64, 576} {
		x, w := randomFloats(rng, n), randomFloats(rng, n)
		sum := 0.0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		want := make([]float64, n)
		for i, v := range x {
			want[i] = float64(v) / math.Sqrt(sum/float64(n)+1e-5) * float64(w[i])
		}
		RMSNorm(x, x, w, 1e-5)
		closeTo(t, "RMSNorm", x, want, 1e-6)
	}
}

func TestSwiGLU(t *testing.T) {
	gate := []float32{-200, -90, -10, -1, 0, 0.5, 3, 90, 200}
	up := []float32{1, 1, 2, -3, 4, 5, 6, 7, 8}
	want := make([]float64, len(gate))
	for i, g := range gate {
		want[i] = float64(g) / (1 + math.Exp(-float64(g))) * float64(up[i])
	}
	SwiGLU(gate, up)
	closeTo(t, "SwiGLU", gate, want, 1e-6)
}

// TestRope compares with the definition, for both orders of pairs.
func TestRope(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	const dim, headDim = 8, 10
	for _, halves := range []bool{false, true} {
		r := NewRope(dim, 10000, halves, RopeScaling{Factor: 1, Magnitude: 1})
		for _, position := range []int{0, 1, 777, 8191, 1 << 20} {
			head := randomFloats(rng, headDim)
			want := make([]float64, headDim)
			for i, v := range head {
				want[i] = float64(v)
			}
			for i := range dim / 2 {
				a, b := 2*i, 2*i+1
				if halves {
					a, b = i, i+dim/2
				}
				sin, cos := math.Sincos(float64(position) * math.Pow(10000, -2*float64(i)/dim))
				want[a], want[b] = want[a]*cos-want[b]*sin, want[a]*sin+want[b]*cos
			}
			cos, sin := make([]float32, dim/2), make([]float32, dim/2)
			r.Table(cos, sin, position)
			r.Apply(head, cos, sin)
			closeTo(t, "Apply", head, want, 1e-6)
		}
	}
}

func TestRopeScaling(t *testing.T) {
	freq := func(i int) float64 { return math.Pow(10000, -2*float64(i)/64) }
	linear := NewRope(64, 10000, false, RopeScaling{Factor: 4, Magnitude: 1})
	divisors := make([]float32, 32)
	for i := range divisors {
		divisors[i] = float32(i + 1)
	}
	divided := NewRope(64, 10000, false, RopeScaling{Factor: 1, Magnitude: 1, Divisors: divisors})
	yarn := NewRope(64, 10000, false, RopeScaling{Factor: 4, Magnitude: 1, Yarn: true, OriginalContext: 2048, BetaFast: 32, BetaSlow: 1})
	for i := range 32 {
		if got, want := linear.Freq[i], freq(i)/4; math.Abs(got/want-1) > 1e-14 {
			t.Errorf("linear, pair %d: %v, want %v", i, got, want)
		}
		if got, want := divided.Freq[i], freq(i)/float64(i+1); math.Abs(got/want-1) > 1e-14 {
			t.Errorf("divided, pair %d: %v, want %v", i, got, want)
		}
		// A pair that turns n times over 2048 positions is fast from n = 32 up and slow from 1 down: pairs 8 and 21.
		got, want := yarn.Freq[i], freq(i)
		if i >= 21 {
			want /= 4
		}
		if (i <= 8 || i >= 21) != (math.Abs(got/want-1) < 1e-14) || got > freq(i)*(1+1e-14) || got < freq(i)/4*(1-1e-14) {
			t.Errorf("YaRN, pair %d: %v of %v", i, got, freq(i))
		}
	}
	if got, want := float64(yarn.Magnitude), 1+0.1*math.Log(4); math.Abs(got-want) > 1e-6 || linear.Magnitude != 1 {
		t.Errorf("YaRN's magnitude %v, want %v", got, want)
	}
}

// attentionCase is queries at the end of random pages.
func attentionCase(rng *rand.Rand, shape AttentionShape, position, n int, f32 bool) AttentionTask {
	var pages []Page
	for range (position + n + PagePositions - 1) / PagePositions {
		var p Page
		x := make([]float32, shape.keys(shape.KVHeads))
		kn, vn := shape.HeadDim*PagePositions, shape.ValueDim*PagePositions
		k, v := randomFloats(rng, shape.KVHeads*kn), randomFloats(rng, shape.KVHeads*vn)
		for kv := range shape.KVHeads {
			toK, toV := headOf(x, shape, kv)
			copy(toK, k[kv*kn:])
			copy(toV, v[kv*vn:])
		}
		if f32 {
			p.F32 = x
		} else {
			p.F16 = make([]uint16, len(x))
			f16.EncodeSlice(p.F16, x)
		}
		pages = append(pages, p)
	}
	return AttentionTask{
		Dst: make([]float32, n*shape.Heads*shape.ValueDim), Q: randomFloats(rng, n*shape.Heads*shape.HeadDim),
		T: n, Position: position, Pages: pages,
	}
}

// naiveAttention is softmax(q . k) v in float64.
func naiveAttention(s AttentionShape, task *AttentionTask) []float64 {
	at := func(p Page, i int) float64 {
		if p.F32 != nil {
			return float64(p.F32[i])
		}
		return float64(f16.ToFloat32(p.F16[i]))
	}
	out := make([]float64, len(task.Dst))
	for t := range task.T {
		for head := range s.Heads {
			kv := head / (s.Heads / s.KVHeads)
			sum := 0.0
			o := out[(t*s.Heads+head)*s.ValueDim:][:s.ValueDim]
			for pos := range task.Position + t + 1 {
				p, j := task.Pages[pos/PagePositions], pos%PagePositions
				score := 0.0
				for d := range s.HeadDim {
					score += float64(task.Q[(t*s.Heads+head)*s.HeadDim+d]) * at(p, s.keys(kv)+d*PagePositions+j)
				}
				w := math.Exp(score)
				sum += w
				for d := range o {
					o[d] += w * at(p, s.values(kv)+j*s.ValueDim+d)
				}
			}
			for d := range o {
				o[d] /= sum
			}
		}
	}
	return out
}

func TestAttention(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	p := NewPool(2)
	defer p.Close()
	for _, shape := range []AttentionShape{{9, 3, 16, 16}, {4, 4, 8, 12}, {2, 1, 6, 4}} {
		for _, c := range []struct{ position, n int }{{0, 1}, {0, 5}, {63, 1}, {64, 1}, {60, 10}, {200, 1}, {130, 70}} {
			for _, f32 := range []bool{false, true} {
				tasks := []AttentionTask{attentionCase(rng, shape, c.position, c.n, f32), attentionCase(rng, shape, 7, 2, f32)}
				p.Attend(&Attention{Shape: shape, Tasks: tasks})
				for i := range tasks {
					closeTo(t, "Attend", tasks[i].Dst, naiveAttention(shape, &tasks[i]), 1e-5)
				}
			}
		}
	}
}

// TestAttentionBits holds attention to fixed bits, and to the same ones for any number of threads and of tokens at a
// time.
func TestAttentionBits(t *testing.T) {
	shape := AttentionShape{6, 2, 32, 32}
	const position, n = 100, 60
	for _, threads := range []int{1, 2, 3} {
		p := NewPool(threads)
		for _, step := range []int{1, 7, 60} {
			all := attentionCase(rand.New(rand.NewPCG(9, 9)), shape, position, n, false)
			for t0 := 0; t0 < n; t0 += step {
				at := t0 * shape.Heads * 32
				p.Attend(&Attention{Shape: shape, Tasks: []AttentionTask{{
					Dst: all.Dst[at:], Q: all.Q[at:], T: min(step, n-t0), Position: position + t0, Pages: all.Pages,
				}}})
			}
			h := fnv.New64a()
			_ = binary.Write(h, binary.LittleEndian, all.Dst)
			if got, want := h.Sum64(), uint64(goldenAttention); got != want {
				t.Errorf("%d threads, %d tokens at a time: hash %#x, want %#x", threads, step, got, want)
			}
		}
		p.Close()
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, bc := range []struct {
		name        string
		shape       AttentionShape
		position, n int
		f32         bool
	}{
		{"9of3x64/decode", AttentionShape{9, 3, 64, 64}, 511, 1, false},
		{"9of3x64/prefill", AttentionShape{9, 3, 64, 64}, 256, 256, false},
		{"32of4x64/decode", AttentionShape{32, 4, 64, 64}, 511, 1, false},
		{"32of4x64/prefill", AttentionShape{32, 4, 64, 64}, 256, 256, false},
		{"8of8x128/decode", AttentionShape{8, 8, 128, 128}, 511, 1, false},
		{"8of8x128/decode-f32", AttentionShape{8, 8, 128, 128}, 511, 1, true},
		{"8of8x128/prefill", AttentionShape{8, 8, 128, 128}, 256, 256, false},
	} {
		b.Run(bc.name, func(b *testing.B) {
			p := NewPool(1)
			defer p.Close()
			// As in a model, one token reads the pages of a layer from memory, or from a far cache.
			layers := 16
			if bc.n > 1 {
				layers = 1
			}
			rng := rand.New(rand.NewPCG(1, 1))
			var tasks []AttentionTask
			for range layers {
				tasks = append(tasks, attentionCase(rng, bc.shape, bc.position, bc.n, bc.f32))
			}
			for i := 0; b.Loop(); i++ {
				p.Attend(&Attention{Shape: bc.shape, Tasks: tasks[i%layers : i%layers+1]})
			}
			// Products of queries with keys, and of weights with values.
			seen := bc.n*bc.position + bc.n*(bc.n+1)/2
			fmas := float64(seen) * float64(bc.shape.Heads*(bc.shape.HeadDim+bc.shape.ValueDim))
			b.ReportMetric(fmas*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFMA/s")
		})
	}
}
