package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// kquant is a dtype with blocks of 256, and how its integer scales are decoded.
type kquant struct {
	layout.DType
	// decode writes half h of scales to scratch, and of corrections and minimums where the dtype has them.
	decode func(k *kernel, h int)
}

var kquants = []kquant{
	{layout.Q2_K, func(k *kernel, h int) {
		for i := range 4 {
			v := load(k.at(64*i, h))
			u := YMM()
			shift(v, -4, u)
			VPAND(dwords(0x0f0f0f0f), v, v)
			k.scale4(v, 4*i, h)
			for j := range 2 {
				m := u
				if j > 0 {
					VPSRLW(Imm(8), u, m)
				}
				p := YMM()
				VPAND(dwords(0x000f000f), m, p)
				VMOVDQU(p, k.stored(minimums, 2*i+j, h))
			}
		}
	}},
	{layout.Q3_K, func(k *kernel, h int) {
		for i := range 4 {
			// Four scales have their low nibbles in bytes of one dword and their high bits in the third.
			v, high := YMM(), YMM()
			k.shiftAnd(k.at(64*(i%2), h), -4*(i/2), dwords(0x0f0f0f0f), v)
			k.shiftAnd(k.at(128, h), 4-2*i, dwords(0x30303030), high)
			VPOR(high, v, v)
			VPSUBB(dwords(0x20202020), v, v)
			k.correct4(v, i, h, 2)
			k.signedScale4(v, 4*i, h)
		}
	}},
	{layout.Q4_K, (*kernel).scalesMinK4},
	{layout.Q5_K, (*kernel).scalesMinK4},
	{layout.Q6_K, func(k *kernel, h int) {
		for i := range 4 {
			v := load(k.at(64*i, h))
			k.correct4(v, i, h, 5)
			k.signedScale4(v, 4*i, h)
		}
	}},
	{layout.IQ4_XS, func(k *kernel, h int) {
		low, high := load(k.at(0, h)), YMM()
		VPMOVZXWD(k.at2(96, h), high)
		for j := range 8 {
			v, u := YMM(), YMM()
			shift32(low, -4*j, v)
			VPAND(dwords(0x0f), v, v)
			shift32(high, 4-2*j, u)
			VPAND(dwords(0x30), u, u)
			VPOR(u, v, v)
			VPSLLD(Imm(16), v, u)
			VPOR(u, v, v)
			VPSUBW(dwords(0x00200020), v, v)
			VMOVDQU(v, k.stored(scales, j, h))
		}
	}},
}

func load(m Mem) VecVirtual {
	v := YMM()
	VMOVDQU(m, v)
	return v
}

// shift32 sets v to from, shifted left by n bits or right by -n within dwords.
func shift32(from VecVirtual, n int, v VecVirtual) {
	switch {
	case n > 0:
		VPSLLD(Imm(uint64(n)), from, v)
	case n < 0:
		VPSRLD(Imm(uint64(-n)), from, v)
	default:
		VMOVDQU(from, v)
	}
}

// spread is a shuffle that brings byte i of each dword to both words of it: to their low bytes, or the high ones.
func spread(i int, high bool) Mem {
	name, shift := "spread", 0
	if high {
		name, shift = "spreadHigh", 8
	}
	return table(name+string(rune('0'+i)), func(d int) uint32 {
		from := uint32(4*(d%4) + i)
		return from<<shift | from<<(16+shift) | 0x80008000>>shift
	})
}

// scale4 writes the four unsigned bytes of each dword of v as scales j to j+3.
func (k *kernel) scale4(v VecVirtual, j, h int) {
	for i := range 4 {
		u := YMM()
		VPSHUFB(spread(i, false), v, u)
		VMOVDQU(u, k.stored(scales, j+i, h))
	}
}

// signedScale4 is scale4 of signed bytes.
func (k *kernel) signedScale4(v VecVirtual, j, h int) {
	for i := range 4 {
		u := YMM()
		VPSHUFB(spread(i, true), v, u)
		VPSRAW(Imm(8), u, u)
		VMOVDQU(u, k.stored(scales, j+i, h))
	}
}

// correct4 writes minus the four signed bytes of each dword of v, shifted left, as two vectors of pairs, the i-th of
// its dtype.
func (k *kernel) correct4(v VecVirtual, i, h, shift int) {
	zero, u := YMM(), YMM()
	VPXOR(zero, zero, zero)
	VPSLLW(Imm(8), v, u)
	VPSRAW(Imm(uint64(8-shift)), u, u)
	VPSUBW(u, zero, u)
	VMOVDQU(u, k.stored(corrections, 2*i, h))
	VPSRAW(Imm(8), v, u)
	VPSLLW(Imm(uint64(shift)), u, u)
	VPSUBW(u, zero, u)
	VMOVDQU(u, k.stored(corrections, 2*i+1, h))
}

// scalesMinK4 decodes the twelve bytes of scales and minimums of Q4_K and Q5_K.
func (k *kernel) scalesMinK4(h int) {
	first, second, last := load(k.at(0, h)), load(k.at(64, h)), load(k.at(128, h))
	for i, v := range []VecVirtual{first, second} {
		// Sub-blocks 0 to 3 have six bits of a byte, 4 to 7 its other two and a nibble of the last dword.
		low, high, nibble := YMM(), YMM(), YMM()
		VPAND(dwords(0x3f3f3f3f), v, low)
		VPSRLW(Imm(2), v, high)
		VPAND(dwords(0x30303030), high, high)
		shift(last, -4*i, nibble)
		if i == 0 {
			VPAND(dwords(0x0f0f0f0f), last, nibble)
		} else {
			VPAND(dwords(0x0f0f0f0f), nibble, nibble)
		}
		VPOR(nibble, high, high)
		for j, b := range []VecVirtual{low, high} {
			if i == 0 {
				k.scale4(b, 4*j, h)
			} else {
				k.minimum4(b, j, h)
			}
		}
	}
}

// minimum4 writes the four unsigned bytes of each dword of v as two vectors of pairs.
func (k *kernel) minimum4(v VecVirtual, i, h int) {
	u := YMM()
	VPAND(dwords(0x00ff00ff), v, u)
	VMOVDQU(u, k.stored(minimums, 2*i, h))
	VPSRLW(Imm(8), v, v)
	VMOVDQU(v, k.stored(minimums, 2*i+1, h))
}

// pairs is the sum of the products of int16 pairs at offset in scratch, n of them, with those of token t in the stream.
func (k *kernel) pairs(offset, n, sums, t, h int, sum VecVirtual) {
	for p := range n {
		x := k.broadcast(sums+p, t)
		if p == 0 {
			VPMADDWD(k.stored(offset, p, h), x, sum)
			continue
		}
		VPMADDWD(k.stored(offset, p, h), x, x)
		VPADDD(x, sum, sum)
	}
}

// block256 multiplies a dtype with blocks of 256.
func block256(f kquant, tokens int) {
	k := begin(f.DType, "Q8K", tokens)
	k.block = 256
	k.plan()
	n, groups := k.iterations()
	if n > 1 {
		k.index = GP64()
		steps := []int{scaleStep(f.DType, groups)}
		if k.moves(groups) == 0 {
			steps = append(steps, k.strides(groups)...)
		}
		k.unit = slices.Max(steps) / 8
	}
	k.strip()
	Comment("Scales.")
	for h := range k.halves {
		f.decode(k, h)
	}
	pairs, sums := 8, layout.Sums16
	if f.Sub == 32 {
		pairs, sums = 4, layout.Sums32
	}
	if f.Offset != 0 {
		for i := range tokens * k.halves {
			t, h, sum := i/k.halves, i%k.halves, YMM()
			if k.totals != nil {
				sum = k.totals[i]
			}
			k.pairs(corrections, pairs, sums, t, h, sum)
			if k.totals == nil {
				VMOVDQU(sum, k.stored(parkedInts, t, h))
			}
		}
		k.started = true
	} else if n > 1 {
		zero := YMM()
		VPXOR(zero, zero, zero)
		for i := range tokens * k.halves {
			if k.totals != nil {
				VMOVDQU(zero, k.totals[i])
			} else {
				VMOVDQU(zero, k.stored(parkedInts, i/k.halves, i%k.halves))
			}
		}
		k.started = true
	}
	k.products(n, groups)
	var minimum func(sum, dx VecVirtual, t, h int)
	if f.Min != 0 {
		minimum = func(sum, dx VecVirtual, t, h int) {
			v, u := YMM(), YMM()
			k.pairs(minimums, pairs, sums, t, h, v)
			VCVTDQ2PS(v, v)
			VMULPS(k.factorAt(1, h), dx, u)
			VFNMADD231PS(v, u, sum)
		}
	}
	k.finish(layout.Scale256, 0, minimum)
	k.next(layout.Dwords256)
	k.end()
}

// scaleStep is what lies between the scales of so many groups of weights in scratch, in bytes.
func scaleStep(f layout.DType, groups int) int { return 64 * 4 * groups / f.Sub }

// products adds those of a block to the totals, in n iterations of groups.
func (k *kernel) products(n, groups int) {
	bytes := k.Bytes
	if k.Head {
		bytes += 32
	}
	if n > 1 {
		XORQ(k.index, k.index)
		Label("part")
	}
	chunks := groups / k.groups()
	part := bytes * k.halves / 2 / n // is prefetched in an iteration
	lines := (part + 63) / 64
	for c := range chunks {
		g := c * k.groups()
		k.prefetch(lines*c/chunks, lines*(c+1)/chunks-lines*c/chunks)
		if g%8 == 0 {
			Commentf("Weights from %d on.", 4*g)
			k.pass(g)
		}
		k.chunk(g, func(h int) Mem {
			return k.indexed(k.stored(scales, 4*g/k.Sub, h), scaleStep(k.DType, groups))
		})
	}
	k.pass(groups)
	ADDQ(I32(int32(part)), k.ahead)
	if n > 1 {
		k.passed = 0
		move := k.moves(groups)
		if move > 0 {
			ADDQ(I32(int32(move)), k.w)
		}
		ADDQ(I32(int32(k.unit)), k.index)
		CMPQ(k.index, I32(int32(n*k.unit)))
		JNE(LabelRef("part"))
		if move > 0 {
			SUBQ(I32(int32(n*move)), k.w)
		}
		k.passed = layout.Sums32
	}
}
