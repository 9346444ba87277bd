package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func skip() {
	text("skipAVX512", "func(x *float32, limit float32, n int) (left int)", "returns how many of n elements "+
		"are left where a vector of 16 begins that has one above limit or a NaN. n is a multiple of 16.")
	limit, above := ZMM(), K()
	VBROADCASTSS(NewParamAddr("limit", 8), limit)
	x, n := Load(Param("x"), GP64()).(GPVirtual), Load(Param("n"), GP64())
	Label("loop")
	VCMPPS(Imm(notAtLeast), Mem{Base: x}, limit, above)
	KORTESTW(above, above)
	JNZ(LabelRef("found"))
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	Label("found")
	Store(n, Return("left"))
	VZEROUPPER()
	RET()
}
