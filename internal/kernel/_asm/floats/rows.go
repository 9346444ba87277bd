package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func dotLanes() {
	text("dotLanesAVX512", "func(acc *[16]float32, w, x *float32, n int)",
		"writes the 16 sums of dotFloats. n is a multiple of 16.")
	sum := zero()
	acc := Load(Param("acc"), GP64())
	w, x, n := Load(Param("w"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	v := ZMM()
	Label("loop")
	VMOVUPS(Mem{Base: w}, v)
	VFMADD231PS(Mem{Base: x}, v, sum)
	ADDQ(Imm(64), w)
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	VMOVUPS(sum, Mem{Base: acc})
	VZEROUPPER()
	RET()
}

func norm() {
	text("scaleAVX512", "func(dst, x, weight *float32, scale float32, n int)",
		"writes x*scale*weight to dst. n is a multiple of 16.")
	scale := ZMM()
	VBROADCASTSS(NewParamAddr("scale", 24), scale)
	elementwise([]string{"dst", "x", "weight"}, func(p []GPVirtual) {
		v := ZMM()
		VMULPS(Mem{Base: p[1]}, scale, v)
		VMULPS(Mem{Base: p[2]}, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func swiGLU() {
	text("swiGLUAVX512", "func(gate, up *float32, n int)", "writes silu(gate)*up to gate. n is a multiple of 16.")
	sign, high, inf := ZMM(), ZMM(), ZMM()
	VBROADCASTSS(constant("signBit", float32(math.Copysign(0, -1))), sign)
	VBROADCASTSS(expHigh, high)
	VBROADCASTSS(infinity, inf)
	all := allLanes()
	elementwise([]string{"gate", "up"}, func(p []GPVirtual) {
		g, e := ZMM(), ZMM()
		VMOVUPS(Mem{Base: p[0]}, g)
		VPXORD(sign, g, e)
		over := K()
		VCMPPS(Imm(greater), high, e, over)
		exp(e, all)
		VMOVAPS(inf, over, e)
		VADDPS_BCST(one, e, e)
		VDIVPS(e, g, g)
		VMULPS(Mem{Base: p[1]}, g, g)
		VMOVUPS(g, Mem{Base: p[0]})
	})
}

func add() {
	text("addAVX512", "func(acc, x *float32, n int)", "adds x to acc. n is a multiple of 16.")
	elementwise([]string{"acc", "x"}, func(p []GPVirtual) {
		v := ZMM()
		VMOVUPS(Mem{Base: p[0]}, v)
		VADDPS(Mem{Base: p[1]}, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func merge() {
	text("mergeAVX512", "func(acc, b *float32, x, y float32, n int)", "writes acc*x + b*y to acc. n is a multiple of 16.")
	x, y := ZMM(), ZMM()
	VBROADCASTSS(NewParamAddr("x", 16), x)
	VBROADCASTSS(NewParamAddr("y", 20), y)
	elementwise([]string{"acc", "b"}, func(p []GPVirtual) {
		v, w := ZMM(), ZMM()
		VMULPS(Mem{Base: p[0]}, x, v)
		VMULPS(Mem{Base: p[1]}, y, w)
		VADDPS(w, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func multiply() {
	text("multiplyAVX512", "func(x *float32, by float32, n int)", "multiplies x by a number. n is a multiple of 16.")
	by := ZMM()
	VBROADCASTSS(NewParamAddr("by", 8), by)
	elementwise([]string{"x"}, func(p []GPVirtual) {
		v := ZMM()
		VMULPS(Mem{Base: p[0]}, by, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func ropeHalves() {
	text("ropeHalvesAVX512", "func(x, y, cos, sin *float32, n int)",
		"turns the pairs of x and y. n is a multiple of 16.")
	elementwise([]string{"x", "y", "cos", "sin"}, func(p []GPVirtual) {
		x, y, c, s := ZMM(), ZMM(), ZMM(), ZMM()
		VMOVUPS(Mem{Base: p[0]}, x)
		VMOVUPS(Mem{Base: p[1]}, y)
		VMOVUPS(Mem{Base: p[2]}, c)
		VMOVUPS(Mem{Base: p[3]}, s)
		xs, ys := ZMM(), ZMM()
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
	text("ropeNeighboursAVX512", "func(head, cos, sin *float32, n int)",
		"turns n pairs of neighbours. n is a multiple of 8.")
	head := Load(Param("head"), GP64())
	cos, sin, n := Load(Param("cos"), GP64()), Load(Param("sin"), GP64()), Load(Param("n"), GP64())
	mask, even := GP32(), K()
	MOVL(U32(0x5555), mask)
	KMOVW(mask, even)
	Label("loop")
	v, w, c, s := ZMM(), ZMM(), ZMM(), ZMM()
	VPMOVZXDQ(Mem{Base: cos}, c)
	VMOVSLDUP(c, c)
	VPMOVZXDQ(Mem{Base: sin}, s)
	VMOVSLDUP(s, s)
	VMOVUPS(Mem{Base: head}, v)
	VPERMILPS(Imm(swapNext), v, w)
	VMULPS(c, v, v)
	VMULPS(s, w, w)
	VADDPS(w, v, c)
	VSUBPS(w, v, even, c)
	VMOVUPS(c, Mem{Base: head})
	ADDQ(Imm(64), head)
	ADDQ(Imm(32), cos)
	ADDQ(Imm(32), sin)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
