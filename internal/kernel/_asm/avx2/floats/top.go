package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func skip() {
	text("skipAVX2", "func(x *float32, limit float32, n int) (left int)", "returns how many of n elements "+
		"are left where 16 begin that have one above limit or a NaN. n is a multiple of 16.")
	limit, low, high, any := YMM(), YMM(), YMM(), GP32()
	VBROADCASTSS(NewParamAddr("limit", 8), limit)
	x, n := Load(Param("x"), GP64()).(GPVirtual), Load(Param("n"), GP64())
	Label("loop")
	VCMPPS(Imm(notAtLeast), Mem{Base: x}, limit, low)
	VCMPPS(Imm(notAtLeast), Mem{Base: x, Disp: 32}, limit, high)
	VORPS(high, low, low)
	VMOVMSKPS(low, any)
	TESTL(any, any)
	JNZ(LabelRef("found"))
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	Label("found")
	Store(n, Return("left"))
	VZEROUPPER()
	RET()
}
