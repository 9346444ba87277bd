package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// roundToEven is the rounding of VCVTPS2PH.
const roundToEven = 0

func encodeHalves() {
	text("encodeHalvesAVX512", "func(dst *uint16, x *float32, n int)",
		"converts float32 to F16. n is a multiple of 16.")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	v := ZMM()
	Label("loop")
	VMOVUPS(Mem{Base: x}, v)
	VCVTPS2PH(Imm(roundToEven), v, Mem{Base: dst})
	ADDQ(Imm(32), dst)
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func putKeys() {
	text("putKeysAVX512", "func(dst *uint16, k *float32, lanes uint16, dims, stride int)", "writes the keys of up to 16 "+
		"positions to a page, whose rows are dimensions: to each of dims rows of 64 F16, from dst on, one dimension of "+
		"the positions in lanes. In k they stand stride floats apart.")
	dst, k := Load(Param("dst"), GP64()).(GPVirtual), Load(Param("k"), GP64()).(GPVirtual)
	dims := Load(Param("dims"), GP64()).(GPVirtual)
	lanes, gathered := K(), K()
	KMOVW(NewParamAddr("lanes", 16), lanes)
	Comment("Where the positions' keys are, in floats.")
	index := ZMM()
	stride := Load(Param("stride"), GP64()).(GPVirtual)
	VPBROADCASTD(stride.As32(), index)
	VPMULLD(numbers, index, index)
	zero, v, halves := ZMM(), ZMM(), YMM()
	VPXORD(zero, zero, zero)
	Label("loop")
	KMOVW(lanes, gathered)
	VMOVAPS(zero, v)
	VGATHERDPS(Mem{Base: k, Index: index, Scale: 4}, gathered, v)
	VCVTPS2PH(Imm(roundToEven), v, halves)
	VMOVDQU16(halves, lanes, Mem{Base: dst})
	ADDQ(Imm(4), k)
	ADDQ(U32(128), dst)
	DECQ(dims)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
