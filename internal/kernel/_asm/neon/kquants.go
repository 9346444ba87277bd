package main

import "github.com/realm-ai/realm/internal/kernel/_asm/layout"

// kquant is a dtype with blocks of 256 and integer scales in a block.
type kquant struct {
	layout.DType
	// decode writes a quarter's scales to scratch, and minimums and high bits where weights wants them.
	decode    func(k *kernel, q int)
	constants []uint32
	// weights makes vector g, 0 to 31, of quarter q of signed bytes in v, for the half of the block at h. They are
	// 2^shift times the weights. The table of steps is behind the constants.
	weights func(k *kernel, h half, c []vec, g, q int, v vec)
	shift   int
}

// half is where a half of the block has its quants, and its scales and high bits in scratch. The halves are alike, so
// that the text of one serves both.
type half struct{ quants, scratch, left gp }

func (h half) weights(offset, q int) mem { return mem{h.quants, offset + 16*q} }
func (h half) stored(offset, q int) mem  { return mem{h.scratch, offset + 16*q} }

// highBits and lowBits are where a block has those of vector g of weights.
func highBits(f layout.DType, g int) int { return f.Pieces(g)[0].Offset }

func lowBits(f layout.DType, g int) int {
	p := f.Pieces(g)
	return p[len(p)-1].Offset
}

var kquants = []kquant{
	{
		DType: layout.Q2_K,
		decode: func(k *kernel, q int) {
			nibble, v, u := k.vec(), k.vec(), k.vec()
			k.constant(nibble, 0x0f0f0f0f)
			for i := range 4 {
				k.load(v, k.weights(64*i, q))
				k.shiftB(u, v, -4)
				k.minimum4(u, q, i)
				k.and(v, v, nibble)
				k.scale4(v, q, 4*i)
			}
		},
		constants: []uint32{0x03030303},
		weights: func(k *kernel, h half, c []vec, g, q int, v vec) {
			quarter := g / 8
			k.load(v, h.weights(lowBits(layout.Q2_K, g), q))
			k.shiftB(v, v, -2*quarter)
			if quarter < 3 {
				k.and(v, v, c[0])
			}
		},
	},
	{
		// A weight is two bits, and four less where its high bit is not set: three bits of two's complement, once the
		// high one is turned. They are put at the top of the byte, where the high one is the sign.
		DType: layout.Q3_K, shift: 5,
		decode: func(k *kernel, q int) {
			nibble, m30, bias := k.vec(), k.vec(), k.vec()
			v, u := k.vec(), k.vec()
			k.constant(bias, 0xffffffff)
			for i := range 8 {
				// Bit j belongs to the j-th 32 weights: the first half finds its own in the high four bits too.
				k.load(v, k.weights(highBits(layout.Q3_K, i), q))
				k.xor(v, v, bias)
				k.store(v, k.stored(highs+512+64*i, q))
				k.shiftB(v, v, 4)
				k.store(v, k.stored(highs+64*i, q))
			}
			k.constant(nibble, 0x0f0f0f0f)
			k.constant(m30, 0x30303030)
			k.constant(bias, 0x20202020)
			for i := range 4 {
				// Four scales have their low nibbles in bytes of one dword and their high bits in the third.
				k.nibble(k.weights(64*(i%2), q), i/2, nibble, v)
				k.load(u, k.weights(128, q))
				k.shiftB(u, u, 4-2*i)
				k.insert(v, u, m30)
				k.subB(v, v, bias)
				k.scale4(v, q, 4*i)
			}
		},
		constants: []uint32{0xc0c0c0c0, 0},
		weights: func(k *kernel, h half, c []vec, g, q int, v vec) {
			quarter, i := g/8, g%8
			u := c[1]
			k.load(v, h.stored(highs+64*i, q))
			k.shiftB(v, v, 3-quarter)
			k.load(u, h.weights(lowBits(layout.Q3_K, g), q))
			k.shiftB(u, u, 6-2*quarter)
			if quarter > 0 {
				k.and(u, u, c[0])
			}
			k.insertBelow(v, u, 1)
		},
	},
	{
		DType:     layout.Q4_K,
		decode:    (*kernel).scalesMinK4,
		constants: []uint32{0x0f0f0f0f},
		weights: func(k *kernel, h half, c []vec, g, q int, v vec) {
			k.nibble(h.weights(lowBits(layout.Q4_K, g), q), g/8%2, c[0], v)
		},
	},
	{
		DType: layout.Q5_K,
		decode: func(k *kernel, q int) {
			// High bits are those of sub-block j in bit j: the second half finds its own in the low four bits.
			v := k.vec()
			for i := range 8 {
				k.load(v, k.weights(highBits(layout.Q5_K, i), q))
				k.store(v, k.stored(highs+64*i, q))
				k.shiftB(v, v, -4)
				k.store(v, k.stored(highs+512+64*i, q))
			}
			k.releaseTo(v)
			k.scalesMinK4(q)
		},
		constants: []uint32{0x0f0f0f0f, 0x10101010, 0},
		weights: func(k *kernel, h half, c []vec, g, q int, v vec) {
			j, i := g/8, g%8
			k.nibble(h.weights(lowBits(layout.Q5_K, g), q), j%2, c[0], v)
			u := c[2]
			k.load(u, h.stored(highs+64*i, q))
			k.shiftB(u, u, 4-j)
			k.insert(v, u, c[1])
		},
	},
	{
		// A weight is six bits less 32: with the highest turned, six bits of two's complement, put at the top of the
		// byte.
		DType: layout.Q6_K, shift: 2,
		decode: func(k *kernel, q int) {
			turn, v := k.vec(), k.vec()
			k.constant(turn, 0xaaaaaaaa)
			for i := range 16 {
				k.load(v, k.weights(highBits(layout.Q6_K, i/8*32+i%8), q))
				k.xor(v, v, turn)
				k.store(v, k.stored(highs+64*i, q))
			}
			for i := range 4 {
				k.load(v, k.weights(64*i, q))
				k.scale4(v, q, 4*i)
			}
		},
		constants: []uint32{0xf0f0f0f0, 0},
		weights: func(k *kernel, h half, c []vec, g, q int, v vec) {
			quarter, i := g/8, g%8
			u := c[1]
			k.load(v, h.stored(highs+64*i, q))
			k.shiftB(v, v, 6-2*quarter)
			k.load(u, h.weights(lowBits(layout.Q6_K, g), q))
			if quarter < 2 {
				k.shiftB(u, u, 4)
			} else {
				k.and(u, u, c[0])
			}
			k.insertBelow(v, u, 2)
		},
	},
	{
		DType: layout.IQ4_XS,
		decode: func(k *kernel, q int) {
			nibble, m30, bias := k.vec(), k.vec(), k.vec()
			k.constant(nibble, 0x0f)
			k.constant(m30, 0x30)
			k.constant(bias, 0x20)
			low, high, v, u := k.vec(), k.vec(), k.vec(), k.vec()
			k.load(low, k.weights(0, q))
			k.load8(high, mem{k.dq, 32 + 8*q})
			k.uxtl(high, high)
			for j := range 8 {
				from := low
				if j > 0 {
					k.shiftS(v, low, -4*j)
					from = v
				}
				k.and(v, from, nibble)
				from = high
				if j != 2 {
					k.shiftS(u, high, 4-2*j)
					from = u
				}
				k.insert(v, from, m30)
				k.subS(v, v, bias)
				k.store(v, k.stored(scales+512*(j/4)+64*(j%4), q))
			}
		},
		constants: []uint32{0x0f0f0f0f},
		weights: func(k *kernel, h half, c []vec, g, q int, v vec) {
			k.nibble(h.weights(lowBits(layout.IQ4_XS, g), q), g/4%2, c[0], v)
			k.look(v, c[1], v)
		},
	},
}

// scale4 writes the four signed bytes of each dword of v as vectors j to j+3 of scales of quarter q.
func (k *kernel) scale4(v vec, q, j int) {
	mark := k.asm.v
	u := k.vec()
	for i := range 4 {
		from := v
		if i < 3 {
			k.shiftS(u, v, 24-8*i)
			from = u
		}
		k.sshr(u, from, 24)
		k.store(u, k.stored(scales+64*(j+i), q))
	}
	k.releaseTo(mark)
}

// minimum4 writes the four unsigned bytes of each dword of v as two vectors of 16 bits, the i-th two of its dtype: in
// each, the lower ones of four rows, then the others. Pairs are those of the stream, bytes 0 and 2, 1 and 3.
func (k *kernel) minimum4(v vec, q, i int) {
	mark := k.asm.v
	order, u := k.vec(), k.vec()
	for j, name := range []string{"pairs02", "pairs13"} {
		k.loadTable(order, name)
		k.look(u, v, order)
		k.store(u, k.stored(minimums+128*i+64*j, q))
	}
	k.releaseTo(mark)
}

// pairsOf are indices for minimum4: bytes from and from+2 of each dword, widened. An index past 15 gives 0.
func pairsOf(from byte) (t [16]byte) {
	for i := range 4 {
		t[2*i], t[2*i+1] = from+byte(4*i), 0xff
		t[8+2*i], t[8+2*i+1] = from+2+byte(4*i), 0xff
	}
	return t
}

// scalesMinK4 decodes the twelve bytes of scales and minimums of Q4_K and Q5_K.
func (k *kernel) scalesMinK4(q int) {
	m3f, m30, nibble := k.vec(), k.vec(), k.vec()
	k.constant(m3f, 0x3f3f3f3f)
	k.constant(m30, 0x30303030)
	k.constant(nibble, 0x0f0f0f0f)
	first, second, last, v, u := k.vec(), k.vec(), k.vec(), k.vec(), k.vec()
	k.load(first, k.weights(0, q))
	k.load(second, k.weights(64, q))
	k.load(last, k.weights(128, q))
	k.and(v, first, m3f)
	k.scale4(v, q, 0)
	k.and(v, second, m3f)
	k.minimum4(v, q, 0)
	k.and(v, last, nibble)
	k.shiftB(u, first, -2)
	k.insert(v, u, m30)
	k.scale4(v, q, 8)
	k.shiftB(v, last, -4)
	k.shiftB(u, second, -2)
	k.insert(v, u, m30)
	k.minimum4(v, q, 1)
}

// block256 multiplies a dtype with blocks of 256.
func block256(a *asm, f kquant, tokens int) {
	k := begin(a, f.Name+"Q8K", tokens, map[int]int{1: 4, 2: 4, 4: 2, 8: 1, 12: 1}[tokens])
	c := k.constants(f.constants, f.Steps)
	decoding := k.asm.v // nothing below is in use while scales are decoded
	total := k.square(k.quarters)
	k.strip(f.Head)
	k.group(f.D)

	k.comment("Scales.")
	used := k.asm.v
	for q := range k.quarters {
		k.releaseTo(decoding)
		f.decode(k, q)
	}
	k.asm.v = used

	pairs, sums := 8, layout.Sums16
	if f.Sub == 32 {
		pairs, sums = 4, layout.Sums32
	}
	k.clear(total)
	h := half{k.gp(), k.gp(), k.gp()}
	k.xp = k.gp()
	k.move(h.quants, k.wq)
	k.move(h.scratch, k.scratch)
	k.move(k.xp, k.xs)
	k.moveImm(h.left, 2)
	k.label("half")
	n := f.Sub / 4 // vectors in a sub-block
	for j := range 128 / f.Sub {
		k.comment("Sub-block %d of the half.", j)
		k.clear(k.acc)
		for g := n * j; g < n*(j+1); g++ {
			k.dot(g, layout.Dwords256, func(q int, v vec) { f.weights(k, h, c, g, q, v) })
		}
		for q := range k.quarters {
			scale := k.v[q%len(k.v)]
			k.load(scale, h.stored(scales+64*j, q))
			for t, acc := range k.acc[q] {
				k.mla(total[q][t], acc, scale)
			}
		}
	}
	k.addImm(h.quants, h.quants, lowBits(f.DType, 32)-lowBits(f.DType, 0))
	k.addImm(h.scratch, h.scratch, 512)
	k.addImm(k.xp, k.xp, 4*tokens*32)
	k.count(h.left, 1, "half")
	k.xp, k.loaded = k.xs, -1
	for q := range k.quarters {
		for _, v := range total[q] {
			k.scvtfFixed(v, v, f.shift)
		}
		k.loadD(k.v[0], q, 0)
		k.step(q, layout.Scale256, layout.Dwords256, total[q], k.acc[0][0], false)
	}
	if f.Min != 0 {
		k.comment("Minimums.")
		k.clear(k.acc)
		for p := range pairs {
			for q := range k.quarters {
				k.load(k.v[0], k.stored(minimums+64*p, q))
				for t, acc := range k.acc[q] {
					x, lane := k.activation(sums+p, t, layout.Dwords256)
					k.smlal(acc, k.v[0], x, 2*lane)
					k.smlal2(acc, k.v[0], x, 2*lane+1)
				}
			}
		}
		for q := range k.quarters {
			for _, acc := range k.acc[q] {
				k.scvtf(acc, acc)
			}
			k.loadD(k.v[0], q, f.Min-f.D)
			k.step(q, layout.Scale256, layout.Dwords256, k.acc[q], total[0][0], true)
		}
	}
	k.end(f.Bytes, layout.Dwords256)
}
