package kernel

import (
	"unsafe"

	"github.com/realm-ai/realm/internal/cpu"
)

//go:generate go run -C _asm ./neon -out ..
//go:generate go run -C _asm ./join ../neon_arm64.s ../floats_neon_arm64.s

// kernels is the set of kernels that products of packed matrices run on.
var kernels = cpu.Chosen()

// dotStrips multiplies strips of weights, one after the other, with a tile of tokens: out[t][r] for 16 rows r of each
// strip and each token t of the tile. stride is what lies between tokens in out, in bytes; x is the tile's stream, and
// blocks the number of blocks in a row. scratch has dotScratch bytes.
type dotStrips func(out *float32, stride int, w *byte, x *uint32, scratch *byte, blocks, strips int)

// dotScratch is the most that a kernel keeps in scratch.
const dotScratch = 4096

// stripKernels multiply one dtype in tiles of tileTokens.
type stripKernels [len(tileTokens)]dotStrips

// strips returns the kernels for m, or nil where it is multiplied in plain Go.
func (m *Matrix) strips() *stripKernels {
	if m.layout == nil {
		return nil
	}
	return stripKernelsOf(kernels, m.DType)
}

// dot calls a kernel from a frame of Go's. A loop over nothing but assembly could hardly ever be stopped for the garbage
// collector; this is where it can be.
//
//go:noinline
func (s *scratch) dot(f dotStrips, out []float32, stride int, w []byte, x []uint32, blocks, strips int) {
	f(&out[0], 4*stride, &w[0], &x[0], &s.aligned[0], blocks, strips)
}

// stripPlan is how a product of a packed matrix is cut into items.
type stripPlan struct {
	strips, tokens int // of an item
	columns, rows  int // items: columns*rows
}

func ceil(n, d int) int { return (n + d - 1) / d }

// planStrips cuts a product of m with t tokens. An item takes tens of microseconds, so that threads end together; its
// weights stay in the second-level cache while its tiles of tokens pass.
func planStrips(m *Matrix, t int) stripPlan {
	const (
		weights  = 256 << 10 // of an item
		products = 24 << 20  // of an item
	)
	p := stripPlan{strips: max(1, weights/(stripRows*m.Cols))}
	p.tokens = max(maxTile, products/(p.strips*stripRows*m.Cols)/maxTile*maxTile)
	p.columns = ceil(t, p.tokens)
	p.share(m, 1)
	return p
}

// share sets the number of rows of items and makes them equal, in multiples of some strips: two threads have nothing to
// gain from one large item and one small one.
func (p *stripPlan) share(m *Matrix, multiple int) {
	strips := ceil(m.Rows, stripRows)
	p.rows = ceil(strips, p.strips)
	p.strips = ceil(ceil(strips, p.rows), multiple) * multiple
	p.rows = ceil(strips, p.strips)
}

// stripItem computes one item of a product.
func (s *scratch) stripItem(dst []float32, m *Matrix, k *stripKernels, in *Input, p stripPlan, item int) {
	s0, t0 := item/p.columns*p.strips, item%p.columns*p.tokens
	s.stripRange(dst, m, k, in, s0, min(s0+p.strips, ceil(m.Rows, stripRows)), t0, min(t0+p.tokens, in.T))
}

// stripRange computes the products of strips s0 to s1-1 with tokens t0 to t1-1.
func (s *scratch) stripRange(dst []float32, m *Matrix, k *stripKernels, in *Input, s0, s1, t0, t1 int) {
	s.aligned = align(s.aligned, dotScratch)
	q := in.quantized(m.format)
	share, blocks := q.streamDwords(in.N), in.N/m.format.block
	for t := t0; t < t1; t += maxTile {
		n := min(maxTile, t1-t)
		kind := tileKind(n)
		x := q.stream[t*share:]
		whole := 0 // strips whose products go where they belong without a detour
		if n == tileTokens[kind] {
			whole = min(s1, m.Rows/stripRows) - s0
			if whole > 0 {
				s.dot(k[kind], dst[t*m.Rows+s0*stripRows:], m.Rows, m.strip(s0), x, blocks, whole)
			}
		}
		for i := s0 + max(0, whole); i < s1; i++ {
			s.dot(k[kind], s.out[:], stripRows, m.strip(i), x, blocks, 1)
			for j := range n {
				row := dst[(t+j)*m.Rows : (t+j+1)*m.Rows]
				copy(row[i*stripRows:min((i+1)*stripRows, m.Rows)], s.out[j*stripRows:])
			}
		}
	}
}

// align returns b with length n, in new memory where it is too short, starting a cache line.
func align(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	b = make([]byte, n+PackedAlignment)
	skip := -uintptr(unsafe.Pointer(&b[0])) & (PackedAlignment - 1)
	return b[skip:][:n]
}
