package main

import "fmt"

func encodeHalves(a *asm) {
	a.function("encodeHalvesNEON", "converts float32 to F16. n is a multiple of 16.", 0, true,
		param{"dst", "*uint16"}, param{"x", "*float32"}, param{"n", "int"})
	dst, x, n := a.arg("dst"), a.arg("x"), a.arg("n")
	v, h := a.vecs(4), a.vecs(2)
	a.label("loop")
	a.loadAll(v, x)
	for i := range h {
		a.fcvtn(h[i], v[2*i])
		a.fcvtn2(h[i], v[2*i+1])
	}
	a.storeAll(h, dst)
	a.addImm(dst, dst, 32)
	a.addImm(x, x, 64)
	a.count(n, 16, "loop")
	a.ret()
}

// putKeys turns four positions of dimensions into dimensions of four positions.
func putKeys(a *asm) {
	a.function("putKeysNEON", "writes the keys of 4 positions to a page, whose rows are dimensions: to each of dims rows "+
		"of 64 F16, from dst on, one dimension. In k they stand stride floats apart. dims is a multiple of 4.", 0, true,
		param{"dst", "*uint16"}, param{"k", "*float32"}, param{"dims", "int"}, param{"stride", "int"})
	dst, k, dims, bytes := a.arg("dst"), a.arg("k"), a.arg("dims"), a.gp()
	ks := []gp{a.gp(), a.gp(), a.gp(), a.gp()}
	v, u := a.vecs(4), a.vecs(2)
	a.shiftLeft(bytes, a.arg("stride"), 2)
	a.follow(ks, k, bytes)
	a.label("loop")
	for i := range v {
		a.line("FMOVQ.P 16(%v), F%d", ks[i], int(v[i]))
		a.fcvtn(v[i], v[i])
	}
	a.zip(1, u[0], v[0], v[2])
	a.zip(1, u[1], v[1], v[3])
	for i := range 2 {
		a.zip(i+1, v[i], u[0], u[1])
		a.line("FMOVD F%d, (%v)", int(v[i]), dst)
		a.addImm(dst, dst, 128)
		a.line("VST1 %v.D[1], (%v)", v[i], dst)
		a.addImm(dst, dst, 128)
	}
	a.count(dims, 4, "loop")
	a.ret()
}

// zip interleaves the low or, as the second, the high 16-bit lanes of n and m.
func (a *asm) zip(part int, d, n, m vec) {
	a.line("%s %v.H8, %v.H8, %v.H8", fmt.Sprintf("VZIP%d", part), m, n, d)
}
