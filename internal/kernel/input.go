package kernel

import "math"

// Input is the right-hand side of matrix products: T tokens of N activations. It keeps their quantized forms, each made
// when the first matrix needs it, so that matrices which share an input share that work. It may be reused.
type Input struct {
	T, N int
	x    []float32 // T x N, the caller's

	by32, by256 quantized

	// For MatMul: the products, the methods item and share, made once, where shares begin and end (see cut), and what Expect
	// was told.
	products    []Product
	do, doShare func(item int)
	cuts, backs []int
	expectation expectation
}

// quantized is activations in 8 bits, in blocks that share a scale.
type quantized struct {
	made  made
	block int
	d     []float32 // (T, N/block) scales
	q     []int8    // (T, N)
	sums  []int32   // (T, N/sumsOf) sums of q

	// All of it as kernels want it.
	nib    []uint64 // (T, N/4) for dotNibbles
	by     []uint64 // (T, N/2) for dotBytes
	stream []uint32 // for strips
	tiled  []byte   // for tiles

	items inputItems
}

// made says what of quantized is of the present activations: quants stands for d, q and sums.
type made struct{ quants, nib, by, stream, tiled bool }

// inputItems are the items of making each of them, for Pool.Run. They are made once, since functions made for each
// product would be garbage.
type inputItems struct{ quantize, nib, by, stream, tiled func(item int) }

// Set makes in the input x, which holds T x N activations and must not change until the products are done.
func (in *Input) Set(x []float32, t, n int) {
	in.T, in.N, in.x = t, n, x[:t*n]
	in.by32.reset(in, 32)
	in.by256.reset(in, 256)
}

func (q *quantized) reset(in *Input, block int) {
	q.made, q.block = made{}, block
	if q.items.quantize == nil {
		q.items = inputItems{
			quantize: func(item int) { q.quantizeSome(in, item) },
			nib:      func(t int) { spreadNibbles(q.nib[t*in.N/4:(t+1)*in.N/4], q.q[t*in.N:(t+1)*in.N]) },
			by:       func(t int) { spreadBytes(q.by[t*in.N/2:(t+1)*in.N/2], q.q[t*in.N:(t+1)*in.N]) },
			stream:   func(i int) { q.streamTile(in, i) },
			tiled:    func(i int) { q.tileStream(in, i) },
		}
	}
}

// sumsOf is the number of activations that one element of sums covers: a 32-block has one, while a block of 256 has one
// for each 16, the smallest K-quant sub-block.
func (q *quantized) sumsOf() int {
	if q.block == 32 {
		return 32
	}
	return 16
}

// quantized returns the form of the input that has the format's blocks.
func (in *Input) quantized(f *format) *quantized {
	if f.block == 256 {
		return &in.by256
	}
	return &in.by32
}

// prepare makes the form of the input that m multiplies.
func (in *Input) prepare(p *Pool, m *Matrix) {
	f := m.format
	if f.block == 0 {
		return
	}
	q := in.quantized(f)
	if !q.made.quants {
		q.d = grow(q.d, in.T*in.N/q.block)
		q.q = grow(q.q, in.T*in.N)
		q.sums = grow(q.sums, in.T*in.N/q.sumsOf())
		p.Run(ceil(in.T, in.some()), q.items.quantize)
		q.made.quants = true
	}
	if m.tiles(in.T) != nil {
		if !q.made.tiled {
			q.tileStreams(p, in)
			q.made.tiled = true
		}
		return
	}
	if m.strips() != nil {
		if !q.made.stream {
			q.streams(p, in)
			q.made.stream = true
		}
		return
	}
	if f.nibbles && !q.made.nib {
		q.nib = grow(q.nib, in.T*in.N/4)
		p.Run(in.T, q.items.nib)
		q.made.nib = true
	}
	if !f.nibbles && !q.made.by {
		q.by = grow(q.by, in.T*in.N/2)
		p.Run(in.T, q.items.by)
		q.made.by = true
	}
}

// quantizer quantizes blocks of activations, at least one, and sums them up as sums of quantized has them. The result
// is that of quantizeBlock.
type quantizer func(q *int8, d *float32, sums *int32, x *float32, blocks int)

// some is the number of tokens that are quantized as one item: about a microsecond's work.
func (in *Input) some() int { return max(1, 8192/max(1, in.N)) }

func (q *quantized) quantizeSome(in *Input, item int) {
	for t := item * in.some(); t < min((item+1)*in.some(), in.T); t++ {
		q.quantize(in, t)
	}
}

func (q *quantized) quantize(in *Input, t int) {
	nb := in.N / q.block
	if f := quantizerOf(kernels, q.block); f != nil {
		f(&q.q[t*in.N], &q.d[t*nb], &q.sums[t*in.N/q.sumsOf()], &in.x[t*in.N], nb)
		return
	}
	x, out := in.x[t*in.N:(t+1)*in.N], q.q[t*in.N:(t+1)*in.N]
	for b := range nb {
		q.d[t*nb+b] = quantizeBlock(out[b*q.block:(b+1)*q.block], x[b*q.block:(b+1)*q.block])
	}
	of := q.sumsOf()
	sums := q.sums[t*in.N/of : (t+1)*in.N/of]
	for i := range sums {
		s := int32(0)
		for _, v := range out[i*of : (i+1)*of] {
			s += int32(v)
		}
		sums[i] = s
	}
}

// quantizeBlock quantizes activations to q = round(x * 127/max|x|), half to even, and returns the scale max|x|/127.
//
// A block whose largest magnitude is below 2^-119, where 127/max would overflow, is taken as zero. A block with an
// infinity or a NaN gets the scale NaN, so that every product with it is NaN.
func quantizeBlock(q []int8, x []float32) float32 {
	max := uint32(0) // as bits, whose order is that of the magnitudes, infinity and NaN above all others
	for _, v := range x {
		if b := math.Float32bits(v) &^ (1 << 31); b > max {
			max = b
		}
	}
	amax := math.Float32frombits(max)
	if max >= 0x7f800000 || amax < 0x1p-119 {
		clear(q)
		if max >= 0x7f800000 {
			return float32(math.NaN())
		}
		return 0
	}
	inv := 127 / amax
	q = q[:len(x)]
	for i, v := range x {
		// Adding 1.5 * 2^23 rounds to an integer, half to even, and leaves it in the low bits. |v*inv| is at most 127 and
		// two roundings, so the integer is at most 127.
		const magic = 0x1.8p23
		q[i] = int8(int32(math.Float32bits(float32(v*inv)+magic)) - 0x4b400000)
	}
	return amax / 127
}

// spreadNibbles writes groups of 8 activations as 2 words, 0 2 4 6 and 1 3 5 7, each in the reverse of the order that
// weights have: the middle coefficient of the product of two such words, read as polynomials in 2^16, is their dot
// product. Negative values borrow from the field above; dotNibbles allows for it.
func spreadNibbles(dst []uint64, q []int8) {
	for i := 0; i+8 <= len(q) && i/4+2 <= len(dst); i += 8 {
		g := q[i : i+8 : i+8]
		dst[i/4] = uint64(int64(g[6]) + int64(g[4])<<16 + int64(g[2])<<32 + int64(g[0])<<48)
		dst[i/4+1] = uint64(int64(g[7]) + int64(g[5])<<16 + int64(g[3])<<32 + int64(g[1])<<48)
	}
}

// spreadBytes writes groups of 8 activations as 4 words, 0 4, 1 5, 2 6 and 3 7, reversed likewise in fields of 32 bits.
func spreadBytes(dst []uint64, q []int8) {
	for i := 0; i+8 <= len(q) && i/2+4 <= len(dst); i += 8 {
		g := q[i : i+8 : i+8]
		for j := range 4 {
			dst[i/2+j] = uint64(int64(g[4+j]) + int64(g[j])<<32)
		}
	}
}
