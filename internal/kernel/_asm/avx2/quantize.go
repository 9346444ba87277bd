package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// quantize makes 8-bit activations of blocks of 32 or 256, with their scales and sums, as quantizeBlock says.
func quantize(block int) {
	name := fmt.Sprintf("quantize%dAVX2", block)
	TEXT(name, NOSPLIT, "func(q *int8, d *float32, sums *int32, x *float32, blocks int)")
	Doc(fmt.Sprintf("%s quantizes blocks of %d activations: see quantizer.", name, block))
	q, d := Load(Param("q"), GP64()), Load(Param("d"), GP64())
	sums, x, blocks := Load(Param("sums"), GP64()), Load(Param("x"), GP64()), Load(Param("blocks"), GP64())
	sumBytes := 4
	if block == 256 {
		sumBytes = 16 * 4
	}
	// Packing leaves groups of 4 bytes, and adding neighbours sums of 16 bytes, in this order.
	order := load(table("order", func(i int) uint32 { return uint32(i/2 + i%2*4) }))
	magnitude := load(dwords(0x7fffffff))

	Label("block")
	Comment("The largest magnitude, as bits.")
	most := vectors(4)
	for i := range block / 8 {
		m := most[i%4]
		if i < 4 {
			VPAND(Mem{Base: x, Disp: 32 * i}, magnitude, m)
		} else {
			v := YMM()
			VPAND(Mem{Base: x, Disp: 32 * i}, magnitude, v)
			VPMAXUD(v, m, m)
		}
	}
	VPMAXUD(most[2], most[0], most[0])
	VPMAXUD(most[3], most[1], most[1])
	VPMAXUD(most[1], most[0], most[0])
	m, v := most[0].AsX(), XMM()
	VEXTRACTI128(Imm(1), most[0], v)
	VPMAXUD(v, m, m)
	VPSHUFD(Imm(0b1110), m, v)
	VPMAXUD(v, m, m)
	VPSHUFD(Imm(0b01), m, v)
	VPMAXUD(v, m, m)

	Comment("What is too small, infinite or NaN has quants of 0.")
	bits, scale, steps := GP32(), GP32(), XMM()
	VMOVD(m, bits)
	XORL(scale, scale)
	CMPL(bits, U32(0x04000000)) // 2^-119
	JB(LabelRef("zero"))
	MOVL(U32(0x7fc00000), scale)
	CMPL(bits, U32(0x7f800000))
	JAE(LabelRef("zero"))
	VMOVSS(dwords(0x42fe0000), steps) // 127
	quotient, inverse := XMM(), YMM()
	VDIVSS(steps, m, quotient)
	VMOVSS(quotient, Mem{Base: d})
	VDIVSS(m, steps, steps)
	VBROADCASTSS(steps, inverse)
	ones8, ones16 := dwords(0x01010101), dwords(0x00010001)
	var fours []VecVirtual // sums of 4, for the sums of 16
	for i := range block / 32 {
		xs := vectors(4)
		for j := range xs {
			VMULPS(Mem{Base: x, Disp: 128*i + 32*j}, inverse, xs[j])
			VCVTPS2DQ(xs[j], xs[j])
		}
		VPACKSSDW(xs[1], xs[0], xs[0])
		VPACKSSDW(xs[3], xs[2], xs[2])
		VPACKSSWB(xs[2], xs[0], xs[0])
		VPERMD(xs[0], order, xs[0])
		VMOVDQU(xs[0], Mem{Base: q, Disp: 32 * i})
		VMOVDQU(ones8, xs[1])
		VPMADDUBSW(xs[0], xs[1], xs[0])
		VPMADDWD(ones16, xs[0], xs[0])
		fours = append(fours, xs[0])
		if len(fours) == 4 {
			VPHADDD(fours[1], fours[0], fours[0])
			VPHADDD(fours[3], fours[2], fours[2])
			VPHADDD(fours[2], fours[0], fours[0])
			VPERMD(fours[0], order, fours[0])
			VMOVDQU(fours[0], Mem{Base: sums, Disp: 8 * (i - 3)})
			fours = nil
		}
	}
	if block == 32 {
		s := fours[0].AsX()
		VEXTRACTI128(Imm(1), fours[0], v)
		VPADDD(v, s, s)
		VPSHUFD(Imm(0b1110), s, v)
		VPADDD(v, s, s)
		VPSHUFD(Imm(0b01), s, v)
		VPADDD(v, s, s)
		VMOVD(s, Mem{Base: sums})
	}
	Label("next")
	ADDQ(I32(int32(4*block)), x)
	ADDQ(I32(int32(block)), q)
	ADDQ(Imm(4), d)
	ADDQ(Imm(uint64(sumBytes)), sums)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()

	Label("zero")
	MOVL(scale, Mem{Base: d})
	none := YMM()
	VPXOR(none, none, none)
	for i := range block / 32 {
		VMOVDQU(none, Mem{Base: q, Disp: 32 * i})
	}
	if block == 32 {
		VMOVD(none.AsX(), Mem{Base: sums})
	} else {
		VMOVDQU(none, Mem{Base: sums})
		VMOVDQU(none, Mem{Base: sums, Disp: 32})
	}
	JMP(LabelRef("next"))
}
