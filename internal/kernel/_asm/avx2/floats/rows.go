package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func dotLanes() {
	text("dotLanesAVX2", "func(acc *[16]float32, w, x *float32, n int)",
		"writes the 16 sums of dotFloats. n is a multiple of 16.")
	sums := zeros(2)
	acc := Load(Param("acc"), GP64())
	w, x, n := Load(Param("w"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	Label("loop")
	for i, sum := range sums {
		v := YMM()
		VMOVUPS(Mem{Base: w, Disp: 32 * i}, v)
		VFMADD231PS(Mem{Base: x, Disp: 32 * i}, v, sum)
	}
	ADDQ(Imm(64), w)
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	for i, sum := range sums {
		VMOVUPS(sum, Mem{Base: acc, Disp: 32 * i})
	}
	VZEROUPPER()
	RET()
}

func norm() {
	text("scaleAVX2", "func(dst, x, weight *float32, scale float32, n int)",
		"writes x*scale*weight to dst. n is a multiple of 8.")
	scale := YMM()
	VBROADCASTSS(NewParamAddr("scale", 24), scale)
	elementwise([]string{"dst", "x", "weight"}, func(p []GPVirtual) {
		v := YMM()
		VMULPS(Mem{Base: p[1]}, scale, v)
		VMULPS(Mem{Base: p[2]}, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func swiGLU() {
	expConstants()
	sign := constant("signBit", float32(math.Copysign(0, -1)))
	text("swiGLUAVX2", "func(gate, up *float32, n int)", "writes silu(gate)*up to gate. n is a multiple of 8.")
	elementwise([]string{"gate", "up"}, func(p []GPVirtual) {
		g, e, over := YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: p[0]}, g)
		VXORPS(sign, g, e)
		VCMPPS(Imm(greater), expHigh, e, over)
		exp(e, YMM)
		VBLENDVPS(over, infinity, e, e)
		VADDPS(one, e, e)
		VDIVPS(e, g, g)
		VMULPS(Mem{Base: p[1]}, g, g)
		VMOVUPS(g, Mem{Base: p[0]})
	})
}

func add() {
	text("addAVX2", "func(acc, x *float32, n int)", "adds x to acc. n is a multiple of 8.")
	elementwise([]string{"acc", "x"}, func(p []GPVirtual) {
		v := YMM()
		VMOVUPS(Mem{Base: p[0]}, v)
		VADDPS(Mem{Base: p[1]}, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func merge() {
	text("mergeAVX2", "func(acc, b *float32, x, y float32, n int)", "writes acc*x + b*y to acc. n is a multiple of 8.")
	x, y := YMM(), YMM()
	VBROADCASTSS(NewParamAddr("x", 16), x)
	VBROADCASTSS(NewParamAddr("y", 20), y)
	elementwise([]string{"acc", "b"}, func(p []GPVirtual) {
		v, w := YMM(), YMM()
		VMULPS(Mem{Base: p[0]}, x, v)
		VMULPS(Mem{Base: p[1]}, y, w)
		VADDPS(w, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func multiply() {
	text("multiplyAVX2", "func(x *float32, by float32, n int)", "multiplies x by a number. n is a multiple of 8.")
	by := YMM()
	VBROADCASTSS(NewParamAddr("by", 8), by)
	elementwise([]string{"x"}, func(p []GPVirtual) {
		v := YMM()
		VMULPS(Mem{Base: p[0]}, by, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func divide() {
	text("divideAVX2", "func(dst, x *float32, by float32, n int)", "writes x/by to dst. n is a multiple of 8.")
	by := YMM()
	VBROADCASTSS(NewParamAddr("by", 16), by)
	elementwise([]string{"dst", "x"}, func(p []GPVirtual) {
		v := YMM()
		VMOVUPS(Mem{Base: p[1]}, v)
		VDIVPS(by, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func decodeHalves() {
	text("decodeHalvesAVX2", "func(dst *float32, x *uint16, n int)", "converts F16 to float32. n is a multiple of 8.")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	v := YMM()
	Label("loop")
	VCVTPH2PS(Mem{Base: x}, v)
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(Imm(32), dst)
	ADDQ(Imm(16), x)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func encodeHalves() {
	text("encodeHalvesAVX2", "func(dst *uint16, x *float32, n int)", "converts float32 to F16. n is a multiple of 8.")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	v := YMM()
	const toEven = 0
	Label("loop")
	VMOVUPS(Mem{Base: x}, v)
	VCVTPS2PH(Imm(toEven), v, Mem{Base: dst})
	ADDQ(Imm(16), dst)
	ADDQ(Imm(32), x)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func ropeHalves() {
	text("ropeHalvesAVX2", "func(x, y, cos, sin *float32, n int)", "turns the pairs of x and y. n is a multiple of 8.")
	elementwise([]string{"x", "y", "cos", "sin"}, func(p []GPVirtual) {
		x, y, c, s := YMM(), YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: p[0]}, x)
		VMOVUPS(Mem{Base: p[1]}, y)
		VMOVUPS(Mem{Base: p[2]}, c)
		VMOVUPS(Mem{Base: p[3]}, s)
		xs, ys := YMM(), YMM()
		VMULPS(s, x, xs)
		VMULPS(s, y, ys)
		VMULPS(c, x, x)
		VMULPS(c, y, y)
		VSUBPS(ys, x, x)
		VADDPS(y, xs, y)
		VMOVUPS(x, Mem{Base: p[0]})
		VMOVUPS(y, Mem{Base: p[1]})
	})
}

func ropeNeighbours() {
	text("ropeNeighboursAVX2", "func(head, cos, sin *float32, n int)",
		"turns n pairs of neighbours. n is a multiple of 4.")
	head := Load(Param("head"), GP64())
	cos, sin, n := Load(Param("cos"), GP64()), Load(Param("sin"), GP64()), Load(Param("n"), GP64())
	Label("loop")
	v, w, c, s := YMM(), YMM(), YMM(), YMM()
	VPMOVZXDQ(Mem{Base: cos}, c)
	VMOVSLDUP(c, c)
	VPMOVZXDQ(Mem{Base: sin}, s)
	VMOVSLDUP(s, s)
	VMOVUPS(Mem{Base: head}, v)
	VPERMILPS(Imm(swapNext), v, w)
	VMULPS(c, v, v)
	VMULPS(s, w, w)
	VADDSUBPS(w, v, v)
	VMOVUPS(v, Mem{Base: head})
	ADDQ(Imm(32), head)
	ADDQ(Imm(16), cos)
	ADDQ(Imm(16), sin)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
