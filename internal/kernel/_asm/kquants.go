package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// Offsets in a stream of 256-blocks.
const (
	sums32    = layout.Sums32
	sums16    = layout.Sums16
	scale256  = layout.Scale256
	dwords256 = layout.Dwords256
)

// Offsets in scratch, in bytes. All but the parked sums are made anew for each block.
const (
	scales      = 0                     // 16 vectors
	corrections = scales + 16*64        // 8 vectors of int16 pairs
	minimums    = corrections + 8*64    // 8 vectors of int16 pairs
	parked      = minimums + 8*64       // 12 vectors
	half        = parked + 12*64        // 12 vectors, only of Q4_K
	_           = uint(4096 - half - 1) // the size of scratch; with the 12 vectors it is full
)

// kquant is a dtype with blocks of 256 and integer scales in a block.
type kquant struct {
	name  string
	bytes int  // of a strip's block, without d where head is set
	head  bool // the d come first
	sub   int  // weights in a sub-block
	d     int  // offset of d where it does not come first
	dmin  int  // offset of dmin where there are minimums

	// decode writes scales to scratch, and corrections and minimums where the dtype has them.
	decode  func(k *kernel)
	correct bool
	steps   bool // weights wants the table for lookUp
	pieces  func(g int) []layout.Piece
	// constants are what weights wants, each a vector of one dword.
	constants []uint32
	// weights makes vector g, 0 to 63, of unsigned weights in v, with u to spare.
	weights func(k *kernel, c []VecVirtual, g int, v, u VecVirtual)
}

var (
	q2K = of256(layout.Q2_K, func(k *kernel) {
		nibble, pairs := constant(0x0f0f0f0f), constant(0x000f000f)
		v, u := ZMM(), ZMM()
		for i := range 4 {
			VPANDD(k.vector(64*i), nibble, v)
			k.scale4(v, u, 4*i, nil)
			for j := range 2 {
				VPSRLW(U8(uint8(4+8*j)), k.vector(64*i), v)
				VPANDD(pairs, v, v)
				VMOVDQA64(v, k.stored(minimums+64*(2*i+j)))
			}
		}
	})
	q3K = of256(layout.Q3_K, func(k *kernel) {
		nibble, m30, bias := constant(0x0f0f0f0f), constant(0x30303030), constant(0x20202020)
		low, v, u := ZMM(), ZMM(), ZMM()
		for i := range 4 {
			// Four scales have their low nibbles in bytes of one dword and their high bits in the third.
			shiftAnd(k.vector(64*(i%2)), -4*(i/2), nibble, low)
			shiftAnd(k.vector(128), 4-2*i, m30, v)
			VPORD(low, v, v)
			VPSUBB(bias, v, v)
			k.correct4(v, u, low, i, 2)
			k.scale4(v, u, 4*i, nil)
		}
	})
	q5K = of256(layout.Q5_K, func(k *kernel) {
		sc, mn := k.scalesMinK4()
		u := ZMM()
		for h := range 2 {
			k.minimum4(mn[h], u, h)
			k.scale4(sc[h], u, 4*h, nil)
		}
	})
	q6K = of256(layout.Q6_K, func(k *kernel) {
		v, u, x := ZMM(), ZMM(), ZMM()
		for i := range 4 {
			VMOVDQU64(k.vector(64*i), v)
			k.correct4(v, u, x, i, 5)
			k.scale4(v, u, 4*i, nil)
		}
	})
	iq4XS = of256(layout.IQ4_XS, func(k *kernel) {
		nibble, m30, bias := constant(0x0f), constant(0x30), constant(0x20)
		high, v, u := ZMM(), ZMM(), ZMM()
		VPMOVZXWD(k.vector(96), high)
		for j := range 8 {
			shiftAnd32(k.vector(0), -4*j, nibble, v)
			shiftAnd32(high, 4-2*j, m30, u)
			VPORD(u, v, v)
			VPSUBD(bias, v, v)
			VMOVDQA64(v, k.stored(scales+64*j))
		}
		// Pairs of -128 times the scales of sub-blocks 0 and 2, 1 and 3, and so on.
		for p, j := range []int{0, 1, 4, 5} {
			VPSUBD(k.stored(scales+64*j), k.zero, v)
			VPSUBD(k.stored(scales+64*(j+2)), k.zero, u)
			VPSLLD(Imm(16), u, u)
			VPSLLD(Imm(16), v, v)
			VPSRLD(Imm(16), v, v)
			VPORD(u, v, v)
			VPSLLW(Imm(7), v, v)
			VMOVDQA64(v, k.stored(corrections+64*p))
		}
	})
)

// line is a vector of the strip's block, in a register where lines are to be loaded once.
func (k *kernel) line(offset int) Op {
	if k.lines == nil {
		return k.vector(offset)
	}
	v, loaded := k.lines[offset]
	if !loaded {
		v = ZMM()
		VMOVDQU64(k.vector(offset), v)
		k.lines[offset] = v
	}
	return v
}

// vector is a vector of the strip's block.
func (k *kernel) vector(offset int) Mem { return Mem{Base: k.w, Disp: offset} }

// stored is a vector in scratch.
func (k *kernel) stored(offset int) Mem { return Mem{Base: k.scratch, Disp: offset} }

// scale4 writes the four signed bytes of each dword of v as scales j to j+3, with u to spare. change, if there is one, is what
// is done to the i-th in u before.
func (k *kernel) scale4(v, u VecVirtual, j int, change func(i int)) {
	for i := range 4 {
		from := v
		if i < 3 {
			VPSLLD(U8(uint8(24-8*i)), v, u)
			from = u
		}
		VPSRAD(Imm(24), from, u)
		if change != nil {
			change(i)
		}
		VMOVDQA64(u, k.stored(scales+64*(j+i)))
	}
}

// correct4 writes minus the four signed bytes of each dword of v, shifted left, as two vectors of pairs, the i-th of
// its dtype. u and x are to spare.
func (k *kernel) correct4(v, u, x VecVirtual, i, shift int) {
	VPSLLW(Imm(8), v, u)
	VPSRAW(U8(uint8(8-shift)), u, u)
	VPSUBW(u, k.zero, u)
	VMOVDQA64(u, k.stored(corrections+128*i))
	VPSRAW(Imm(8), v, x)
	VPSLLW(U8(uint8(shift)), x, x)
	VPSUBW(x, k.zero, x)
	VMOVDQA64(x, k.stored(corrections+128*i+64))
}

// minimum4 writes the four unsigned bytes of each dword of v as two vectors of pairs, with u to spare.
func (k *kernel) minimum4(v, u VecVirtual, i int) {
	VPSLLW(Imm(8), v, u)
	VPSRLW(Imm(8), u, u)
	VMOVDQA64(u, k.stored(minimums+128*i))
	VPSRLW(Imm(8), v, u)
	VMOVDQA64(u, k.stored(minimums+128*i+64))
}

// scalesMinK4 decodes the twelve bytes of scales and minimums of Q4_K and Q5_K into dwords of four bytes: sub-blocks 0 to
// 3, and 4 to 7.
func (k *kernel) scalesMinK4() (sc, mn []VecVirtual) {
	m3f, m30, nibble := constant(0x3f3f3f3f), constant(0x30303030), constant(0x0f0f0f0f)
	sc, mn = vectors(2), vectors(2)
	last := ZMM()
	VMOVDQU64(k.vector(128), last)
	VPANDD(k.vector(0), m3f, sc[0])
	VPANDD(k.vector(64), m3f, mn[0])
	shiftAnd(k.vector(0), -2, m30, sc[1])
	VPTERNLOGD(Imm(or3and), nibble, last, sc[1])
	VPSRLW(Imm(4), last, last)
	shiftAnd(k.vector(64), -2, m30, mn[1])
	VPTERNLOGD(Imm(or3and), nibble, last, mn[1])
	return sc, mn
}

// shiftAnd sets v to from, shifted left by n bits or right by -n within words, and masked.
func shiftAnd(from Op, n int, mask, v VecVirtual) {
	switch {
	case n > 0:
		VPSLLW(U8(uint8(n)), from, v)
		VPANDD(mask, v, v)
	case n < 0:
		VPSRLW(U8(uint8(-n)), from, v)
		VPANDD(mask, v, v)
	default:
		VPANDD(from, mask, v)
	}
}

// shiftAnd32 is shiftAnd within dwords.
func shiftAnd32(from Op, n int, mask, v VecVirtual) {
	switch {
	case n > 0:
		VPSLLD(U8(uint8(n)), from, v)
		VPANDD(mask, v, v)
	case n < 0:
		VPSRLD(U8(uint8(-n)), from, v)
		VPANDD(mask, v, v)
	default:
		VPANDD(from, mask, v)
	}
}

// orShiftAnd does v |= (from >> -n) & mask, with u to spare. n is not positive.
func orShiftAnd(from Op, n int, mask, v, u VecVirtual) {
	if n == 0 {
		VPTERNLOGD(Imm(or3and), from, mask, v)
		return
	}
	VPSRLW(U8(uint8(-n)), from, u)
	VPTERNLOGD(Imm(or3and), u, mask, v)
}

// block256 multiplies a dtype with blocks of 256.
func block256(f kquant, tokens int) {
	k := begin(f.name+"Q8K", tokens)
	k.inOrder = tokens <= inOrderTokens
	k.park = parked
	if tokens <= 4 {
		k.sums = vectors(tokens)
	}
	var consts []VecVirtual
	for _, dword := range f.constants {
		consts = append(consts, constant(dword))
	}
	if f.steps {
		k.loadSteps()
	}
	total := vectors(tokens)
	v, u := ZMM(), ZMM()
	k.strip(f.head)

	pairs, sums := 8, sums16
	if f.sub == 32 {
		pairs, sums = 4, sums32
	}
	Comment("Scales.")
	f.decode(k)
	k.clear(total)
	if f.correct {
		for p := range pairs {
			VMOVDQA64(k.stored(corrections+64*p), v)
			k.pairs(v, sums+p, total)
		}
	}
	bytes := f.bytes
	if f.head {
		bytes += 32
	}
	lines := (bytes + 63) / 64
	if k.inOrder {
		k.linear(f, consts, lines, total)
	} else {
		n := 256 / f.sub
		for j := range n {
			Commentf("Sub-block %d.", j)
			k.prefetch(lines*j/n, lines*(j+1)/n-lines*j/n)
			k.pass(j * f.sub / 4)
			k.clear(k.acc)
			for g := j * f.sub / 4; g < (j+1)*f.sub/4; g++ {
				f.weights(k, consts, g, v, u)
				k.dot(v, g)
			}
			for t := range tokens {
				k.scaled(j, k.acc[t], total[t])
			}
		}
	}
	k.pass(sums32)
	floats(total)
	if f.head {
		VCVTPH2PS(Mem{Base: k.head}, v)
		ADDQ(Imm(32), k.head)
	} else {
		VCVTPH2PS(k.vector(f.d), v)
	}
	k.step(v, scale256, total, false)
	if f.dmin != 0 {
		Comment("Minimums.")
		k.clear(k.acc)
		for p := range pairs {
			VMOVDQA64(k.stored(minimums+64*p), v)
			k.pairs(v, sums+p, k.acc)
		}
		floats(k.acc)
		VCVTPH2PS(k.vector(f.dmin), v)
		k.step(v, scale256, k.acc, true)
	}
	ADDQ(I32(int32(f.bytes)), k.w)
	k.end(bytes, dwords256)
}

// groups returns the sub-blocks in the order of their lines, those together that have lines in common.
func (f *kquant) groups() (groups [][]int) {
	shared := map[int]int{} // which group has a line
next:
	for j := range 256 / f.sub {
		pieces := f.pieces(j * f.sub / 4)
		for _, p := range pieces {
			if i, is := shared[p.Offset]; is {
				groups[i] = append(groups[i], j)
				continue next
			}
		}
		for _, p := range pieces {
			shared[p.Offset] = len(groups)
		}
		groups = append(groups, []int{j})
	}
	return groups
}

// inOrderTokens is up to how many tokens kernels load each line once. With four, computing takes as long as reading, and on a
// Zen 4 prefetches are better again: Q4_K is 1.2 times as fast with them.
const inOrderTokens = 2

// linear adds the products of a block, and loads each line of it once, from the first to the last: sub-blocks that have lines
// in common are multiplied side by side. Left to itself a Zen 4 then reads 29 GB/s of Q6_K with one thread, and 26 at best
// where lines are loaded anew for each sub-block.
func (k *kernel) linear(f kquant, consts []VecVirtual, lines int, total []VecVirtual) {
	last := func(g int) int {
		at := 0
		for _, p := range f.pieces(g) {
			at = max(at, p.Offset)
		}
		return at
	}
	v, u := ZMM(), ZMM()
	k.lines = map[int]VecVirtual{}
	n, done := f.sub/4, 0
	for _, group := range f.groups() {
		acc := map[int][]VecVirtual{}
		var order []int
		for _, j := range group {
			acc[j] = vectors(k.tokens)
			k.clear(acc[j])
			for i := range n {
				order = append(order, n*j+i)
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return last(a) - last(b) })
		for _, g := range order {
			if done%n == 0 {
				k.prefetch(lines*done/64, lines*(done+n)/64-lines*done/64)
			}
			done++
			f.weights(k, consts, g, v, u)
			k.dotTo(acc[g/n], v, g)
		}
		for _, j := range group {
			for t, sum := range acc[j] {
				k.scaled(j, sum, total[t])
			}
		}
	}
	k.lines = nil
}

// scaled adds the products of sub-block j, times its scale, to total.
func (k *kernel) scaled(j int, acc, total VecVirtual) {
	VPMULLD(k.stored(scales+64*j), acc, acc)
	VPADDD(acc, total, total)
}

// q4K multiplies Q4_K, which most weights are stored in. A strip's block is 3 vectors of scales and minimums, d and dmin,
// and 32 vectors of quants.
//
// The products of a sub-block's scale with its sum are added up as floats: four of them are at most 4 * 63 * 32 * 15 *
// 127 = 15,361,920 in magnitude, less than 2^24, hence exact, and the sum of the two halves of a block rounds as the
// conversion of the integer would. It takes two instructions where VPMULLD alone is two steps on Intel's processors.
func q4K(tokens int) {
	k := begin("Q4KQ8K", tokens)
	k.inOrder = tokens <= inOrderTokens
	k.park = parked
	if tokens <= 8 {
		k.sums = vectors(tokens)
	}
	nibble := constant(0x0f0f0f0f)
	high := ZMM()
	VPSLLD(Imm(4), nibble, high)
	total := vectors(tokens)
	k.strip(false)

	Comment("Scales to scratch as floats, those of high nibbles a sixteenth, and minimums as pairs.")
	sc, mn := k.scalesMinK4()
	sixteenth, v := constant(0x3d800000), ZMM()
	for h := range 2 {
		k.minimum4(mn[h], v, h)
		k.scale4(sc[h], v, 4*h, func(i int) {
			VCVTDQ2PS(v, v)
			if i%2 == 1 {
				VMULPS(sixteenth, v, v)
			}
		})
	}

	w, sums := ZMM(), [][]VecVirtual{k.acc} // of sub-blocks that are multiplied side by side
	if k.inOrder {
		// Both of a line's: see linear.
		sums = append(sums, vectors(tokens))
		k.lines = map[int]VecVirtual{}
	}
	n, masks := len(sums), []VecVirtual{nibble, high}
	for j := 0; j < 8; j += n {
		Commentf("Sub-block %d.", j)
		k.prefetch(36*j/8, 36*(j+n)/8-36*j/8)
		k.pass(8 * j)
		for _, sum := range sums {
			k.clear(sum)
		}
		for i := range 8 {
			line := k.line(layout.Q4_K.Pieces(8*j + i)[0].Offset)
			for h, sum := range sums {
				VPANDD(line, masks[(j+h)%2], w)
				k.dotTo(sum, w, 8*(j+h)+i)
			}
		}
		for h, sum := range sums {
			floats(sum)
			for t := range tokens {
				k.q4KTotal(j+h, t, sum[t], total[t])
			}
		}
	}

	Comment("Minimums.")
	k.pass(sums32)
	k.clear(k.acc)
	for p := range 4 {
		VMOVDQA64(k.stored(minimums+64*p), w)
		k.pairs(w, sums32+p, k.acc)
	}
	floats(k.acc)
	VCVTPH2PS(k.vector(layout.Q4_K.D), w)
	k.step(w, scale256, total, false)
	VCVTPH2PS(k.vector(layout.Q4_K.Min), w)
	k.step(w, scale256, k.acc, true)
	ADDQ(I32(int32(layout.Q4_K.Bytes)), k.w)
	k.end(layout.Q4_K.Bytes, dwords256)
}

// q4KTotal adds the products of sub-block j with token t to its total.
func (k *kernel) q4KTotal(j, t int, sum, total VecVirtual) {
	if j%4 == 0 {
		VMULPS(k.stored(scales+64*j), sum, total)
	} else {
		VFMADD231PS(k.stored(scales+64*j), sum, total)
	}
	if at := k.stored(half + 64*t); j == 3 {
		VMOVAPS(total, at)
	} else if j == 7 {
		VADDPS(at, total, total)
	}
}
