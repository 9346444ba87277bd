package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/f16"
	"github.com/realm-ai/realm/internal/quant"
)

// needKernels runs the rest of a test on one set of kernels. Where the processor lacks it the test is skipped, unless
// REALM_TEST_CPU names the set: then the run was meant to cover it, and fails.
func needKernels(tb testing.TB, set cpu.Set) {
	tb.Helper()
	if !cpu.Available(set) {
		if slices.Contains(strings.Split(os.Getenv("REALM_TEST_CPU"), ","), set.String()) {
			tb.Fatalf("REALM_TEST_CPU wants %v, which this processor or build lacks", set)
		}
		tb.Skipf("no %v here", set)
	}
	before := kernels
	tb.Cleanup(func() { kernels = before })
	kernels = set
}

// assembly are the sets that have kernels of their own.
var assembly = []cpu.Set{cpu.NEON, cpu.AVX2, cpu.AVX512, cpu.AMX}

// eachSet runs a test on each of some sets of kernels.
func eachSet(t *testing.T, sets []cpu.Set, f func(t *testing.T)) {
	for _, set := range sets {
		t.Run(set.String(), func(t *testing.T) {
			needKernels(t, set)
			f(t)
		})
	}
}

// aligned returns n bytes as packed weights should start, canaries around them, and a check of those.
func aligned(tb testing.TB, n int) []byte {
	b := align(nil, n+2*PackedAlignment)
	for i := range b {
		b[i] = 0xa5
	}
	tb.Cleanup(func() {
		for i, v := range b {
			if (i < PackedAlignment || i >= PackedAlignment+n) && v != 0xa5 {
				tb.Errorf("byte %d beside %d packed bytes was overwritten", i-PackedAlignment, n)
			}
		}
	})
	return b[PackedAlignment:][:n:n]
}

func pack(tb testing.TB, m *Matrix) *Matrix {
	tb.Helper()
	dst := aligned(tb, int(PackedBytes(m.DType, m.Rows, m.Cols)))
	Pack(dst, m.DType, m.Rows, m.Cols, m.data)
	packed, err := NewPackedMatrix(m.DType, m.Rows, m.Cols, dst)
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

// hostileMatrix makes a matrix whose quants, integer scales and F16 scales are often at their limits: zero, subnormal,
// the largest, infinite, NaN.
func hostileMatrix(tb testing.TB, rng *rand.Rand, t quant.DType, scales []int, rows, cols int, finite bool) *Matrix {
	tb.Helper()
	m := randomMatrix(tb, rng, t, scales, rows, cols)
	special := []uint16{0, 0x8000, 1, 0x83ff, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfd01}
	if finite {
		special = special[:6]
	}
	for b := 0; b < len(m.data); b += t.BlockBytes() {
		block := m.data[b : b+t.BlockBytes()]
		if len(scales) == 0 && rng.IntN(200) == 0 {
			// Zeros, subnormals or all sorts; of random bits every exponent comes up, the highest ones often.
			for i := range block {
				block[i] = byte(rng.Uint32())
			}
			if finite {
				block[len(block)-1] &= 0xbf // below 2
			}
		}
		if len(scales) > 0 {
			switch fill := rng.IntN(6); fill {
			case 0, 1, 2:
				for i := range block {
					block[i] = []byte{0, 0xff, 0x80}[fill]
				}
			case 3:
				for i := range block {
					block[i] = []byte{0, 0xff, 0x80, 0x7f}[rng.IntN(4)]
				}
			}
		}
		for _, at := range scales {
			h := f16.FromFloat32(float32(rng.Float64()*2 - 1))
			if rng.IntN(40) == 0 || finite && rng.IntN(3) == 0 {
				h = special[rng.IntN(len(special))]
			}
			binary.LittleEndian.PutUint16(block[at:], h)
		}
	}
	return m
}

// hostileFloats makes activations with blocks at their limits.
func hostileFloats(rng *rand.Rand, n int, finite bool) []float32 {
	x := randomFloats(rng, n)
	for b := 0; b+32 <= n; b += 32 {
		block := x[b : b+32]
		switch rng.IntN(12) {
		case 0:
			clear(block)
		case 1:
			for i := range block {
				block[i] = 3
			}
		case 2:
			for i := range block {
				block[i] = -3
			}
		case 3:
			for i := range block {
				block[i] = float32(3 - 6*rng.IntN(2))
			}
		case 4:
			for i := range block {
				block[i] *= 0x1p-130
			}
		case 5:
			for i := range block {
				block[i] *= 0x1p+90
			}
		case 6:
			if !finite && rng.IntN(20) == 0 {
				block[rng.IntN(32)] = []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}[rng.IntN(3)]
			}
		}
	}
	return x
}

func TestLayoutsHoldEachByteOnce(t *testing.T) {
	for dtype, l := range layouts {
		seen := make([]int, dtype.BlockBytes())
		for i, f := range l.fields {
			if l.head && i == 0 && (f.unit != 2 || f.count != 1) {
				t.Errorf("%v: the head is not one scale", dtype)
			}
			unit := f.unit
			if unit == highBits {
				unit = 4
			}
			for r := range f.runs() {
				for j := range unit * f.count {
					seen[f.run(r)+j]++
				}
			}
		}
		for i, n := range seen {
			if n != 1 {
				t.Errorf("%v: byte %d of a block stands %d times in a strip", dtype, i, n)
			}
		}
		rest := stripRows * dtype.BlockBytes()
		if l.head {
			rest -= 2 * stripRows
		}
		if rest%PackedAlignment != 0 {
			t.Errorf("%v: a block of a strip has %d bytes, not whole cache lines", dtype, rest)
		}
	}
}

func TestPackRoundTrip(t *testing.T) {
	for _, d := range dtypes {
		t.Run(d.t.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, uint64(d.t)))
			for _, rows := range []int{1, 15, 16, 17, 40} {
				for _, blocks := range []int{1, 2, 3, 7} {
					cols := blocks * d.t.BlockSize()
					m := randomMatrix(t, rng, d.t, d.scales, rows, cols)
					p := pack(t, m)
					want, got := make([]float32, cols), make([]float32, cols)
					buf := make([]byte, p.rowBytes)
					for r := range rows {
						if !bytes.Equal(p.row(buf, r), m.row(nil, r)) {
							t.Fatalf("%d x %d: row %d has other bytes", rows, cols, r)
						}
						m.Row(want, r)
						p.Row(got, r)
						if !slices.Equal(bitsOf(got), bitsOf(want)) {
							t.Fatalf("%d x %d: row %d dequantizes otherwise", rows, cols, r)
						}
					}
					if rows > stripRows {
						// In two parts.
						first := int(PackedBytes(d.t, stripRows, cols))
						parts := make([]byte, len(p.data))
						Pack(parts[:first], d.t, stripRows, cols, m.data[:stripRows*m.rowBytes])
						Pack(parts[first:], d.t, rows-stripRows, cols, m.data[stripRows*m.rowBytes:])
						if !bytes.Equal(parts, p.data) {
							t.Fatalf("%d x %d: packed in parts, other bytes", rows, cols)
						}
					}
				}
			}
		})
	}
}

func TestNewPackedMatrixRejects(t *testing.T) {
	for _, c := range []struct {
		t          quant.DType
		rows, cols int
		bytes      int
	}{
		{quant.Q4_0, 2, 33, 320},
		{quant.Q4_0, 2, 32, 36},
		{quant.Q4_0, 17, 32, 320},
		{quant.Q4_K, 1, 128, 2304},
		{quant.Q4_K, 1, 256, 144},
		{quant.Q4_K, 0, 256, 0},
		{quant.F32, 0, 4, 0},
		{quant.DType(9999), 1, 32, 32},
	} {
		if _, err := NewPackedMatrix(c.t, c.rows, c.cols, make([]byte, c.bytes)); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	for _, c := range []struct {
		t          quant.DType
		rows, cols int
	}{
		{quant.Q4_K, 16, 100},
		{quant.Q4_K, -1, 256},
		{quant.DType(9999), 16, 256},
		{quant.Q4_K, 16, math.MaxInt - 255},
		{quant.Q4_K, math.MaxInt, 256},
		{quant.F32, math.MaxInt, 2},
	} {
		if n := PackedBytes(c.t, c.rows, c.cols); n != 0 {
			t.Errorf("PackedBytes(%v, %d, %d) = %d, want 0", c.t, c.rows, c.cols, n)
		}
	}
}

func bitsOf(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}

// multiply returns the products of one matrix, which stand between canaries.
func multiply(tb testing.TB, p *Pool, m *Matrix, x []float32, tokens int) []uint32 {
	tb.Helper()
	const pad, canary = 16, 12345
	out := make([]float32, tokens*m.Rows+2*pad)
	for i := range out {
		out[i] = canary
	}
	var in Input
	in.Set(x, tokens, m.Cols)
	p.MatMul(&in, Product{out[pad : len(out)-pad : len(out)-pad], m})
	for i, v := range out {
		if (i < pad || i >= len(out)-pad) && v != canary {
			tb.Fatalf("%v, %d x %d, %d tokens: element %d beside the products was overwritten",
				m.DType, m.Rows, m.Cols, tokens, i-pad)
		}
	}
	return bitsOf(out[pad : len(out)-pad])
}

// multiplyPlain is multiply in plain Go.
func multiplyPlain(tb testing.TB, p *Pool, m *Matrix, x []float32, tokens int) []uint32 {
	tb.Helper()
	before := kernels
	defer func() { kernels = before }()
	kernels = cpu.Generic
	return multiply(tb, p, m, x, tokens)
}

// TestKernelsEqualPlainGo compares products of packed matrices, on each set of kernels, with those of plain Go on rows as
// a GGUF file has them, bit for bit.
func TestKernelsEqualPlainGo(t *testing.T) {
	eachSet(t, append(assembly, cpu.Generic), func(t *testing.T) {
		for _, d := range dtypes {
			t.Run(d.t.String(), func(t *testing.T) { testKernels(t, d.t, d.scales) })
		}
	})
}

func testKernels(t *testing.T, dtype quant.DType, scales []int) {
	rng := rand.New(rand.NewPCG(12, uint64(dtype)))
	p := NewPool(2)
	defer p.Close()
	compare := func(rows, cols, tokens int, finite bool) {
		t.Helper()
		m := hostileMatrix(t, rng, dtype, scales, rows, cols, finite)
		x := hostileFloats(rng, tokens*cols, finite)
		got, want := multiply(t, p, pack(t, m), x, tokens), multiplyPlain(t, p, m, x, tokens)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%d x %d, row %d, token %d of %d, finite %v: %v (%#x), plain Go has %v (%#x)", rows, cols,
					i%rows, i/rows, tokens, finite, math.Float32frombits(got[i]), got[i], math.Float32frombits(want[i]), want[i])
			}
		}
	}
	block := max(dtype.BlockSize(), 32)
	for tokens := 1; tokens <= 33; tokens++ {
		compare(1+rng.IntN(40), block*(1+rng.IntN(5)), tokens, tokens%2 == 0)
	}
	for rows := 1; rows <= 40; rows++ {
		compare(rows, block*(1+rng.IntN(3)), 1+rng.IntN(4), rows%2 == 0)
	}
	for rows := 1; rows <= 40; rows += 3 {
		compare(rows, block*(1+rng.IntN(640/block+1)), 32+rng.IntN(20), rows%2 == 0)
	}
	for _, cols := range []int{256, 512, 768, 1024, 1280, 2048} {
		compare(17, cols, 1, true)
		compare(33, cols, 13, true)
		compare(300, cols, 5+cols/256, cols%512 == 0)
		if block == 32 {
			compare(16, cols-32, 3, true)
		}
	}
	if dtype.BlockSize() == 1 {
		for cols := 1; cols <= 50; cols++ {
			compare(1+cols%7, cols, 1+cols%6, cols%2 == 0)
		}
	}
	if !testing.Short() {
		compare(600, 2048, 1, true)
		compare(200, 1024, 130, true)
	}
}

// TestKernelsAtTheirLimits multiplies the quants and activations that make the largest integer sums.
func TestKernelsAtTheirLimits(t *testing.T) { eachSet(t, assembly, kernelsAtTheirLimits) }

func kernelsAtTheirLimits(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	const rows, cols, tokens = 16, 512, 33
	x := make([]float32, tokens*cols)
	for i := range x {
		switch tok := i / cols; {
		case tok%3 == 0:
			x[i] = 127
		case tok%3 == 1:
			x[i] = -127
		default:
			x[i] = float32(127 - 254*(i/16%2))
		}
	}
	for _, d := range dtypes {
		for _, fill := range []byte{0x00, 0xff, 0x80, 0x7f, 0xf0, 0x0f} {
			m := randomMatrix(t, rand.New(rand.NewPCG(1, 1)), d.t, d.scales, rows, cols)
			for b := 0; b < len(m.data); b += d.t.BlockBytes() {
				block := m.data[b : b+d.t.BlockBytes()]
				if len(d.scales) == 0 {
					continue
				}
				for i := range block {
					block[i] = fill
				}
				for _, at := range d.scales {
					binary.LittleEndian.PutUint16(block[at:], 0x3c00)
				}
			}
			for _, n := range append(tileTokens[:], 16, tokens) {
				got, want := multiply(t, p, pack(t, m), x[:n*cols], n), multiplyPlain(t, p, m, x[:n*cols], n)
				if !slices.Equal(got, want) {
					t.Errorf("%v of bytes %#x, %d tokens: other bits than plain Go", d.t, fill, n)
				}
			}
		}
	}
}

// TestPackedLayout holds packed bytes to what they were: images of them are kept on disk. Who changes them changes
// PackedLayout, and the hash.
func TestPackedLayout(t *testing.T) {
	h := fnv.New64a()
	rng := rand.NewChaCha8([32]byte{})
	for _, d := range dtypes {
		const rows, cols = 19, 768
		src := make([]byte, rows*d.t.RowBytes(cols))
		_, _ = rng.Read(src)
		dst := make([]byte, PackedBytes(d.t, rows, cols))
		Pack(dst, d.t, rows, cols, src)
		_, _ = h.Write(dst)
	}
	const layout, hash = "strips of 16 rows, 2", 0x2f6cfc3b226673f6
	if got := h.Sum64(); PackedLayout != layout || got != hash {
		t.Errorf("layout %q has the hash %#x, want %q and %#x", PackedLayout, got, layout, uint64(hash))
	}
}

func BenchmarkPack(b *testing.B) {
	for _, d := range dtypes {
		b.Run(d.t.String(), func(b *testing.B) {
			const rows, cols = 256, 2048
			m := randomMatrix(b, rand.New(rand.NewPCG(1, 1)), d.t, d.scales, rows, cols)
			dst := make([]byte, PackedBytes(d.t, rows, cols))
			b.SetBytes(int64(len(m.data)))
			for b.Loop() {
				Pack(dst, d.t, rows, cols, m.data)
			}
		})
	}
}

func BenchmarkStrips(b *testing.B) {
	for _, d := range dtypes {
		for _, tokens := range []int{1, 4, 8, 16, 512} {
			b.Run(fmt.Sprintf("%v/tokens=%d", d.t, tokens), func(b *testing.B) {
				// The shape of TinyLlama's feed-forward matrices, several of them, so that one token reads weights from
				// memory rather than from a cache.
				const rows, cols, matrices = 5632, 2048, 16
				if tokens > 1 && testing.Short() {
					b.Skip("short")
				}
				rng := rand.New(rand.NewPCG(1, 1))
				p := NewPool(0)
				defer p.Close()
				n := matrices
				if tokens >= 512 {
					n = 1
				}
				m := pack(b, randomMatrix(b, rng, d.t, d.scales, rows, cols))
				all := []*Matrix{m}
				for len(all) < n {
					again := *m
					again.data = align(nil, len(m.data))
					copy(again.data, m.data)
					all = append(all, &again)
				}
				x := randomFloats(rng, tokens*cols)
				dst := make([]float32, tokens*rows)
				i := 0
				for b.Loop() {
					var in Input
					in.Set(x, tokens, cols)
					p.MatMul(&in, Product{dst, all[i%n]})
					i++
				}
				seconds := b.Elapsed().Seconds()
				b.ReportMetric(float64(b.N)*float64(len(m.data))/seconds/1e9, "GB/s")
				b.ReportMetric(2*float64(b.N)*rows*cols*float64(tokens)/seconds/1e9, "GOP/s")
			})
		}
	}
}
