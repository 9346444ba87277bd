package kernel

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/f16"
	"github.com/realm-ai/realm/internal/quant"
)

// dtypes are all that have a kernel, with the offsets of the F16 scales in a block.
var dtypes = []struct {
	t      quant.DType
	scales []int
}{
	{quant.F32, nil},
	{quant.F16, nil},
	{quant.BF16, nil},
	{quant.Q4_0, []int{quant.Q4_0D}},
	{quant.Q4_1, []int{quant.Q4_1D, quant.Q4_1M}},
	{quant.Q5_0, []int{quant.Q5_0D}},
	{quant.Q5_1, []int{quant.Q5_1D, quant.Q5_1M}},
	{quant.Q8_0, []int{quant.Q8_0D}},
	{quant.IQ4_NL, []int{quant.IQ4_NLD}},
	{quant.Q2_K, []int{quant.Q2_KD, quant.Q2_KDMin}},
	{quant.Q3_K, []int{quant.Q3_KD}},
	{quant.Q4_K, []int{quant.Q4_KD, quant.Q4_KDMin}},
	{quant.Q5_K, []int{quant.Q5_KD, quant.Q5_KDMin}},
	{quant.Q6_K, []int{quant.Q6_KD}},
	{quant.IQ4_XS, []int{quant.IQ4_XSD}},
}

// randomMatrix makes a matrix of random quants with scales near 1.
func randomMatrix(tb testing.TB, rng *rand.Rand, t quant.DType, scales []int, rows, cols int) *Matrix {
	tb.Helper()
	data := make([]byte, rows*t.RowBytes(cols))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	for b := 0; b < len(data); b += t.BlockBytes() {
		block := data[b : b+t.BlockBytes()]
		for _, at := range scales {
			binary.LittleEndian.PutUint16(block[at:], f16.FromFloat32(float32(rng.Float64()*2-1)))
		}
		if len(scales) > 0 {
			continue
		}
		switch v := float32(rng.Float64()*4 - 2); t {
		case quant.F32:
			binary.LittleEndian.PutUint32(block, math.Float32bits(v))
		case quant.F16:
			binary.LittleEndian.PutUint16(block, f16.FromFloat32(v))
		case quant.BF16:
			binary.LittleEndian.PutUint16(block, f16.BF16FromFloat32(v))
		}
	}
	m, err := NewMatrix(t, rows, cols, data)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func randomFloats(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.Float64()*4 - 2)
	}
	return x
}

// TestMatMulAgainstDequantized compares products with float64 sums over the dequantized weights and activations, which
// other code makes.
func TestMatMulAgainstDequantized(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	for _, d := range dtypes {
		t.Run(d.t.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, uint64(d.t)))
			const cols = 768
			for _, rows := range []int{1, 3, 4, 9} {
				for _, tokens := range []int{1, 2, 5, 33} {
					m := randomMatrix(t, rng, d.t, d.scales, rows, cols)
					x := randomFloats(rng, tokens*cols)
					var in Input
					in.Set(x, tokens, cols)
					got := make([]float32, tokens*rows)
					p.MatMul(&in, Product{got, m})

					w := make([]float32, cols)
					for r := range rows {
						m.Row(w, r)
						for tok := range tokens {
							sum, size := 0.0, 0.0
							for i, v := range w {
								a := float64(x[tok*cols+i])
								if q := in.quantized(m.format); q.made.quants {
									a = float64(q.q[tok*cols+i]) * float64(q.d[(tok*cols+i)/q.block])
								}
								sum += float64(v) * a
								size += math.Abs(float64(v) * a)
							}
							// 24 to 768 float steps of half a unit each.
							if diff := math.Abs(sum - float64(got[tok*rows+r])); diff > 1e-6*size {
								t.Fatalf("%d x %d, row %d, token %d of %d: %v, want %v", rows, cols, r, tok, tokens, got[tok*rows+r], sum)
							}
						}
					}
				}
			}
		})
	}
}

// TestMatMulBits holds the products to fixed bits, and to the same ones for any number of threads and of tokens at a
// time, on every set of kernels, for packed matrices and others.
func TestMatMulBits(t *testing.T) {
	eachSet(t, append(assembly, cpu.Generic), func(t *testing.T) {
		for _, d := range dtypes {
			t.Run(d.t.String(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(4, uint64(d.t)))
				const rows, cols, tokens = 37, 512, 45
				m := randomMatrix(t, rng, d.t, d.scales, rows, cols)
				x := randomFloats(rng, tokens*cols)
				goldenBits(t, m, x, tokens)
				goldenBits(t, pack(t, m), x, tokens)
			})
		}
	})
}

func goldenBits(t *testing.T, m *Matrix, x []float32, tokens int) {
	t.Helper()
	for _, threads := range []int{1, 2, 3} {
		p := NewPool(threads)
		for _, step := range []int{1, 2, 7, 45} {
			got := make([]float32, tokens*m.Rows)
			var in Input
			for t0 := 0; t0 < tokens; t0 += step {
				n := min(step, tokens-t0)
				in.Set(x[t0*m.Cols:], n, m.Cols)
				p.MatMul(&in, Product{got[t0*m.Rows:], m})
			}
			h := fnv.New64a()
			_ = binary.Write(h, binary.LittleEndian, got)
			if goldenMatMul[m.DType] != h.Sum64() {
				t.Errorf("%d threads, %d tokens at a time, packed %v: hash %#x, want %#x",
					threads, step, m.layout != nil, h.Sum64(), goldenMatMul[m.DType])
			}
		}
		p.Close()
	}
}

func TestMatMulSeveral(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	p := NewPool(2)
	defer p.Close()
	const cols, tokens = 256, 3
	x := randomFloats(rng, tokens*cols)
	var products, alone []Product
	for i, d := range dtypes {
		m := randomMatrix(t, rng, d.t, d.scales, 5+i, cols)
		products = append(products, Product{make([]float32, tokens*m.Rows), m})
		alone = append(alone, Product{make([]float32, tokens*m.Rows), m})
	}
	var in Input
	in.Set(x, tokens, cols)
	p.MatMul(&in, products...)
	for i, o := range alone {
		var in Input
		in.Set(x, tokens, cols)
		p.MatMul(&in, o)
		for j, v := range o.Dst {
			if math.Float32bits(v) != math.Float32bits(products[i].Dst[j]) {
				t.Fatalf("%v: element %d is %v among others, %v alone", o.W.DType, j, products[i].Dst[j], v)
			}
		}
	}
}

func TestDotsAtTheirLimits(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for i := range 20000 {
		var q [32]int8
		var w [32]byte
		extreme := i%2 == 0
		for j := range q {
			q[j], w[j] = int8(rng.IntN(255)-127), byte(rng.Uint32())
			if extreme {
				q[j] = int8(127 * (1 - 2*rng.IntN(2)))
				w[j] = byte(255 * rng.IntN(2))
			}
		}
		if i < 4 {
			for j := range q {
				q[j], w[j] = int8(127-254*(i%2)), byte(255*(1-i/2))
			}
		}
		nibbles, bytes := int32(0), int32(0)
		for j := range q {
			nibbles += int32(w[j]&15) * int32(q[j])
			if j < 16 {
				bytes += int32(w[j]) * int32(q[j])
			}
		}
		var qs [16]byte
		for j := range qs {
			qs[j] = w[j]&15 | w[j+16]<<4
		}
		var a, b [8]uint64
		halves(&a, qs[:])
		spreadNibbles(b[:], q[:])
		if got := dotNibbles(&a, &b); got != nibbles {
			t.Fatalf("dotNibbles(%v, %v) = %d, want %d", w, q, got, nibbles)
		}
		spread(a[:], w[:16])
		spreadBytes(b[:], q[:16])
		if got := dotBytes(&a, &b); got != bytes {
			t.Fatalf("dotBytes(%v, %v) = %d, want %d", w, q, got, bytes)
		}
	}
}

func TestQuantizeBlock(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		x []float32
		q []int8
		d float32
	}{
		{[]float32{0, 0}, []int8{0, 0}, 0},
		{[]float32{127, -127, 0.5, 1.5, 2.5, -0.5}, []int8{127, -127, 0, 2, 2, 0}, 1},
		{[]float32{0x1p-130, -0x1p-126}, []int8{0, 0}, 0},
		{[]float32{0x1p-119, -0x1p-120}, []int8{127, -64}, 0x1p-119 / 127},
		{[]float32{math.MaxFloat32, -math.MaxFloat32}, []int8{127, -127}, float32(math.MaxFloat32) / 127},
		{[]float32{1, inf}, []int8{0, 0}, nan},
		{[]float32{nan, 1}, []int8{0, 0}, nan},
	} {
		q := make([]int8, len(c.x))
		d := quantizeBlock(q, c.x)
		if fmt.Sprint(q, d) != fmt.Sprint(c.q, c.d) {
			t.Errorf("%v: %v, scale %v; want %v, scale %v", c.x, q, d, c.q, c.d)
		}
	}
}

// TestQuantizersEqualPlainGo compares scales, quants and sums of activations with those of plain Go.
func TestQuantizersEqualPlainGo(t *testing.T) { eachSet(t, assembly, quantizersEqualPlainGo) }

func quantizersEqualPlainGo(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	p := NewPool(1)
	defer p.Close()
	f32 := &format{block: 32, sub: 32}
	f256 := &format{block: 256, sub: 16}
	for i := range 300 {
		tokens, n := 1+i%3, 256*(1+i%5)
		x := hostileFloats(rng, tokens*n, i%2 == 0)
		switch i {
		case 1:
			for j := range x {
				x[j] = float32(127-j%255) + 0.5 // ties
			}
		case 2:
			x[0], x[300%n] = 0x1p-119, 0x1.fffffep-120
		case 3:
			for j := range x {
				x[j] = math.Float32frombits(rng.Uint32())
			}
		}
		for _, f := range []*format{f32, f256} {
			var got, want Input
			got.Set(x, tokens, n)
			want.Set(x, tokens, n)
			got.prepare(p, &Matrix{format: f})
			plainly(func() { want.prepare(p, &Matrix{format: f}) })
			g, w := got.quantized(f), want.quantized(f)
			if !slices.Equal(bitsOf(g.d), bitsOf(w.d)) || !slices.Equal(g.q, w.q) || !slices.Equal(g.sums, w.sums) {
				t.Fatalf("input %d, blocks of %d: other quants, scales or sums than plain Go", i, f.block)
			}
		}
	}
}

func TestNewMatrixRejects(t *testing.T) {
	for _, c := range []struct {
		t          quant.DType
		rows, cols int
		bytes      int
	}{
		{quant.Q4_0, 2, 33, 36},
		{quant.Q4_0, 2, 32, 35},
		{quant.Q4_0, 2, 32, 54},
		{quant.Q4_K, 1, 128, 144},
		{quant.F32, 0, 4, 0},
		{quant.DType(9999), 1, 32, 32},
	} {
		if _, err := NewMatrix(c.t, c.rows, c.cols, make([]byte, c.bytes)); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func BenchmarkMatMul(b *testing.B) {
	for _, d := range dtypes {
		for _, tokens := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/tokens=%d", d.t, tokens), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				const rows, cols = 512, 1536
				p := NewPool(1)
				defer p.Close()
				m := randomMatrix(b, rng, d.t, d.scales, rows, cols)
				var in Input
				in.Set(randomFloats(rng, tokens*cols), tokens, cols)
				dst := make([]float32, tokens*rows)
				for b.Loop() {
					p.MatMul(&in, Product{dst, m})
				}
				b.ReportMetric(float64(b.N)*rows*cols*float64(tokens)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
}
