package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose4 are the dwords of a vector, taken as 4 x 4, transposed.
var transpose4 Mem

// quantize makes 8-bit activations of blocks of 32 or 256, with their scales and sums, as quantizeBlock says.
func quantize(block int) {
	name := fmt.Sprintf("quantize%dAVX512", block)
	TEXT(name, NOSPLIT, "func(q *int8, d *float32, sums *int32, x *float32, blocks int)")
	Doc(fmt.Sprintf("%s quantizes blocks of %d activations: see quantizeRow.", name, block))
	q, d := Load(Param("q"), GP64()), Load(Param("d"), GP64())
	sums, x, blocks := Load(Param("sums"), GP64()), Load(Param("x"), GP64()), Load(Param("blocks"), GP64())
	magnitude, ones := constant(0x7fffffff), constant(0x01010101)
	steps, zero := constant(0x42fe0000), ZMM() // 127
	VPXORD(zero, zero, zero)
	order := ZMM()
	if block == 256 {
		VMOVDQU64(transpose4, order)
	}
	xs := vectors(block / 16)

	Label("block")
	Comment("The largest magnitude, as bits.")
	most := vectors(min(4, len(xs)))
	v := ZMM()
	for i := range xs {
		VMOVUPS(Mem{Base: x, Disp: 64 * i}, xs[i])
		if i < len(most) {
			VPANDD(magnitude, xs[i], most[i])
		} else {
			VPANDD(magnitude, xs[i], v)
			VPMAXUD(v, most[i%4], most[i%4])
		}
	}
	for n := len(most) / 2; n > 0; n /= 2 {
		for i := range n {
			VPMAXUD(most[i+n], most[i], most[i])
		}
	}
	m := most[0]
	VEXTRACTI64X4(Imm(1), m, v.AsY())
	VPMAXUD(v.AsY(), m.AsY(), m.AsY())
	VEXTRACTI32X4(Imm(1), m.AsY(), v.AsX())
	VPMAXUD(v.AsX(), m.AsX(), m.AsX())
	VPSHUFD(Imm(0b1110), m.AsX(), v.AsX())
	VPMAXUD(v.AsX(), m.AsX(), m.AsX())
	VPSHUFD(Imm(0b01), m.AsX(), v.AsX())
	VPMAXUD(v.AsX(), m.AsX(), m.AsX())

	Comment("Its scale. Of what is too small, infinite or NaN the quants become 0: NaN converts to -2^31.")
	bits := GP32()
	VMOVD(m.AsX(), bits)
	scale, inverse := XMM(), ZMM()
	CMPL(bits, U32(0x04000000)) // 2^-119
	JB(LabelRef("small"))
	CMPL(bits, U32(0x7f800000))
	JAE(LabelRef("nan"))
	VDIVSS(steps.AsX(), m.AsX(), scale)
	VDIVSS(m.AsX(), steps.AsX(), inverse.AsX())
	VBROADCASTSS(inverse.AsX(), inverse)
	JMP(LabelRef("scaled"))
	Label("small")
	VMOVDQA64(zero, inverse)
	VMOVDQA64(zero.AsX(), scale)
	JMP(LabelRef("scaled"))
	Label("nan")
	VMOVDQA64(zero, inverse)
	MOVL(U32(0x7fc00000), bits)
	VMOVD(bits, scale)
	Label("scaled")
	VMOVSS(scale, Mem{Base: d})
	for i := range xs {
		VMULPS(inverse, xs[i], xs[i])
		VCVTPS2DQ(xs[i], xs[i])
		VPMOVDB(xs[i], Mem{Base: q, Disp: 16 * i})
	}

	Comment("Sums.")
	if block == 32 {
		VPMOVDB(xs[0], v.AsX())
		VPMOVSXBD(v.AsX(), xs[0])
		VPMOVDB(xs[1], v.AsX())
		VPMOVSXBD(v.AsX(), v)
		VPADDD(v, xs[0], v)
		VEXTRACTI64X4(Imm(1), v, m.AsY())
		VPADDD(m.AsY(), v.AsY(), v.AsY())
		VEXTRACTI32X4(Imm(1), v.AsY(), m.AsX())
		VPADDD(m.AsX(), v.AsX(), v.AsX())
		VPSHUFD(Imm(0b1110), v.AsX(), m.AsX())
		VPADDD(m.AsX(), v.AsX(), v.AsX())
		VPSHUFD(Imm(0b01), v.AsX(), m.AsX())
		VPADDD(m.AsX(), v.AsX(), v.AsX())
		VMOVD(v.AsX(), bits)
		MOVL(bits, Mem{Base: sums})
		ADDQ(Imm(4), sums)
	} else {
		fours := xs[:4] // sums of 4
		for i := range fours {
			VMOVDQA64(zero, fours[i])
			VPDPBUSD(Mem{Base: q, Disp: 64 * i}, ones, fours[i])
		}
		add := func(a, b VecVirtual, low, high func(...Op)) VecVirtual {
			s, t := ZMM(), ZMM()
			low(b, a, s)
			high(b, a, t)
			VPADDD(t, s, s)
			return s
		}
		s := add(
			add(fours[0], fours[1], VPUNPCKLDQ, VPUNPCKHDQ), add(fours[2], fours[3], VPUNPCKLDQ, VPUNPCKHDQ),
			VPUNPCKLQDQ, VPUNPCKHQDQ)
		VPERMD(s, order, s)
		VMOVDQU64(s, Mem{Base: sums})
		ADDQ(Imm(64), sums)
	}
	ADDQ(I32(int32(4*block)), x)
	ADDQ(I32(int32(block)), q)
	ADDQ(Imm(4), d)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}
