package kernel

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Kernels for tiles multiply strips with many tokens at a time, 16 to a tile. They read activations as a stream, in which
// what one block and one tile of tokens need stands together. A block of 32 has
//
//	16 x 32  quants, those of a token after those of another
//	16       scales, floats, one for each token
//	16       sums of the activations as floats
//
// and a block of 256
//
//	4 x 16 x 64  quants, 64 of each token before the next 64
//	16           scales
//	4 x 16       pairs of int16 sums of 32 activations: 0 and 2, 1 and 3, 4 and 6, 5 and 7
//	8 x 16       pairs of int16 sums of 16 activations: 0 and 2, 1 and 3, 4 and 6, and so on
//
// Kernels for blocks of 256 go through all tiles with a block and for blocks of 32 through some blocks with a tile, so
// that is the order of the stream.

// tileRows is the number of tokens in a tile, of which each is a row.
const tileRows = 16

// dotTiles multiplies strips of weights, one after the other, with tokens: out[t][r] for each row and token. stride is
// what lies between tokens in out, in bytes; x is the stream from the first token's tile on, and step what lies between
// blocks of 256, or tiles of blocks of 32, in it. blocks is the number of blocks in a row, and the strips are as many as
// hold the rows. scratch has dotTilesScratch bytes.
type dotTiles func(out *float32, stride int, w *byte, size int, x, scratch *byte, step, blocks, tokens, rows int)

// tileKernels multiply one dtype.
type tileKernels struct {
	few  [len(fewTokens)]dotTiles // up to fewTokens; nil for blocks of 32
	many dotTiles
}

// fewTokens are the numbers of tokens up to which there are kernels of their own.
var fewTokens = [...]int{8, 16}

// What they multiply in one call is at most fewStrips strips, all of which meet a block of activations before the next
// one, and about fewBlocks of the strips' blocks: ten to twenty microseconds' work.
const (
	fewStrips = 8
	fewBlocks = 96
)

// dotTilesScratch is what a kernel keeps in scratch for a number of tokens; those for few want no more for fewStrips.
func dotTilesScratch(tokens int) int { return 40960 + 2*64*ceil(tokens, tileRows)*tileRows }

// tiles returns the kernel that multiplies m with so many tokens, or nil where others do.
func (m *Matrix) tiles(tokens int) dotTiles {
	// Where tiles begin to be faster with weights that come from memory.
	from := 5
	if m.format.block == 32 {
		from = 24
	}
	if m.layout == nil || tokens < from {
		return nil
	}
	k := tileKernelsOf(kernels, m.DType)
	if k == nil {
		return nil
	}
	for i, most := range fewTokens {
		if k.few[i] != nil && tokens <= most {
			return k.few[i]
		}
	}
	return k.many
}

// Sizes of a tile's share of the stream for one block, in bytes.
const (
	tileBytes32  = tileRows * (32 + 4 + 4)
	tileBytes256 = tileRows * (256 + 4 + 4*4 + 8*4)
)

// tileAt returns where the stream has a block and a tile, and how far the next of the blocks of 256, or the next tile
// of those of 32, is from it.
func (q *quantized) tileAt(in *Input, tile, block int) (at, step int) {
	if q.block == 32 {
		step = in.N / 32 * tileBytes32
		return tile*step + block*tileBytes32, step
	}
	step = ceil(in.T, tileRows) * tileBytes256
	return block*step + tile*tileBytes256, step
}

// tileStreams makes the stream.
func (q *quantized) tileStreams(p *Pool, in *Input) {
	tiles := ceil(in.T, tileRows)
	size := tiles * in.N / 32 * tileBytes32
	if q.block == 256 {
		size = tiles * in.N / 256 * tileBytes256
	}
	q.tiled = align(q.tiled, size)
	p.Run(tiles, q.items.tiled)
}

// tileStream makes the stream of one tile.
func (q *quantized) tileStream(in *Input, tile int) {
	n := min(tileRows, in.T-tile*tileRows)
	for b := range in.N / q.block {
		at, _ := q.tileAt(in, tile, b)
		if q.block == 32 {
			q.tileBlock32((*[tileBytes32]byte)(q.tiled[at:]), in, tile*tileRows, n, b)
		} else {
			q.tileBlock256((*[tileBytes256]byte)(q.tiled[at:]), in, tile*tileRows, n, b)
		}
	}
}

// tileBlock32 writes block b of n tokens from token t0 on.
func (q *quantized) tileBlock32(dst *[tileBytes32]byte, in *Input, t0, n, b int) {
	nb := in.N / 32
	if n < tileRows {
		clear(dst[:])
	}
	for t := range n {
		at := (t0+t)*nb + b
		*(*[32]int8)(unsafe.Pointer(&dst[32*t])) = [32]int8(q.q[32*at:])
		binary.LittleEndian.PutUint32(dst[512+4*t:], math.Float32bits(q.d[at]))
		binary.LittleEndian.PutUint32(dst[576+4*t:], math.Float32bits(float32(q.sums[at])))
	}
}

// tileBlock256 writes block b of n tokens from token t0 on.
func (q *quantized) tileBlock256(dst *[tileBytes256]byte, in *Input, t0, n, b int) {
	nb := in.N / 256
	if n < tileRows {
		clear(dst[:])
	}
	for t := range n {
		at := (t0+t)*nb + b
		x := (*[256]int8)(q.q[256*at:])
		for i := range 4 {
			*(*[64]int8)(unsafe.Pointer(&dst[1024*i+64*t])) = [64]int8(x[64*i:])
		}
		v := (*[13 * tileRows]uint32)(unsafe.Pointer(&dst[4096]))[t:]
		s := (*[16]int32)(q.sums[16*at:])
		v[0] = math.Float32bits(q.d[at])
		for i := range 2 {
			g := s[8*i : 8*i+8]
			v[(1+2*i)*tileRows] = pair(g[0]+g[1], g[4]+g[5])
			v[(2+2*i)*tileRows] = pair(g[2]+g[3], g[6]+g[7])
		}
		for i := range 4 {
			g := s[4*i : 4*i+4]
			v[(5+2*i)*tileRows] = pair(g[0], g[2])
			v[(6+2*i)*tileRows] = pair(g[1], g[3])
		}
	}
}

// planTiles cuts a product of m with t tokens. An item takes tens of microseconds. What it needs of the activations stays
// in the second-level cache while its strips pass, and the sums of a pair of strips near the first-level cache.
func planTiles(m *Matrix, t int) stripPlan {
	const (
		quants   = 1 << 20  // of an item
		tokens   = 256      // of an item
		products = 12 << 20 // of an item
		weights  = 64 << 10 // of an item, of blocks of 32
	)
	if m.format.block == 256 && t <= fewTokens[len(fewTokens)-1] {
		p := stripPlan{columns: 1, tokens: tileRows, strips: max(1, min(fewStrips, fewBlocks*256/m.Cols))}
		p.share(m, 1)
		return p
	}
	p := stripPlan{columns: ceil(t, max(tileRows, min(tokens, quants/m.Cols)))}
	p.tokens = ceil(ceil(t, p.columns), tileRows) * tileRows
	p.columns = ceil(t, p.tokens)
	p.strips = products / (p.tokens * stripRows * m.Cols)
	if m.format.block == 32 {
		p.strips = max(1, min(p.strips, weights/(stripRows*m.Cols)))
		p.share(m, 1)
	} else {
		p.strips = max(2, p.strips&^1)
		p.share(m, 2)
	}
	return p
}

// tileItem computes one item of a product.
func (s *scratch) tileItem(dst []float32, m *Matrix, f dotTiles, in *Input, p stripPlan, item int) {
	s0, t0 := item/p.columns*p.strips, item%p.columns*p.tokens
	n := min(p.tokens, in.T-t0)
	q := in.quantized(m.format)
	s.aligned = align(s.aligned, dotTilesScratch(n))
	at, step := q.tileAt(in, t0/tileRows, 0)
	s.dotTiles(f, dst[t0*m.Rows+s0*stripRows:], m.Rows, m.strip(s0), m.stripBytes, q.tiled[at:], step,
		in.N/m.format.block, n, min(p.strips*stripRows, m.Rows-s0*stripRows))
}

// dotTiles calls a kernel from a frame of Go's, as dot does.
//
//go:noinline
func (s *scratch) dotTiles(f dotTiles, out []float32, stride int, w []byte, size int, x []byte, step, blocks, tokens, rows int) {
	f(&out[0], 4*stride, &w[0], size, &x[0], &s.aligned[0], step, blocks, tokens, rows)
}
