package main

import "math"

// The kernels here and in attention.go do what the plain Go functions of the same names do, operation for operation.
// Where Go has an FMA there is one here, and where Go rounds a product before it adds there are two instructions.

// floats writes them all.
func floats(a *asm) {
	for queries := 1; queries <= 4; queries++ {
		for _, s := range sources {
			attend(a, s, queries)
		}
	}
	divide(a)
	multiply(a)
	decodeHalves(a)
	encodeHalves(a)
	putKeys(a)
	dotLanes(a)
	norm(a)
	swiGLU(a)
	add(a)
	rope(a)
	skip(a)
}

// elementwise writes a loop over n elements, 16 at a time, and the function's end. body handles 16 of them at pointers,
// which are the arguments called names.
func (a *asm) elementwise(names []string, body func(p []gp)) {
	p := make([]gp, len(names))
	for i, name := range names {
		p[i] = a.arg(name)
	}
	n := a.arg("n")
	a.label("loop")
	body(p)
	for _, r := range p {
		a.addImm(r, r, 64)
	}
	a.count(n, 16, "loop")
	a.ret()
}

// loadAll loads 16 floats.
func (a *asm) loadAll(v []vec, p gp) {
	for i := range v {
		a.load(v[i], mem{p, 16 * i})
	}
}

// storeAll stores them.
func (a *asm) storeAll(v []vec, p gp) {
	for i := range v {
		a.store(v[i], mem{p, 16 * i})
	}
}

// each calls an instruction for each of 16 floats.
func each(op func(d, n, m vec), d, n, m []vec) {
	for i := range d {
		op(d[i], n[i], m[i])
	}
}

func divide(a *asm) {
	a.function("divideNEON", "writes x/by to dst. n is a multiple of 16.", 0, true,
		param{"dst", "*float32"}, param{"x", "*float32"}, param{"by", "float32"}, param{"n", "int"})
	by, v := a.floatArg("by"), a.vecs(4)
	a.elementwise([]string{"dst", "x"}, func(p []gp) {
		a.loadAll(v, p[1])
		for i := range v {
			a.fdiv(v[i], v[i], by)
		}
		a.storeAll(v, p[0])
	})
}

func multiply(a *asm) {
	a.function("multiplyNEON", "multiplies x by a number. n is a multiple of 16.", 0, true,
		param{"x", "*float32"}, param{"by", "float32"}, param{"n", "int"})
	by, v := a.floatArg("by"), a.vecs(4)
	a.elementwise([]string{"x"}, func(p []gp) {
		a.loadAll(v, p[0])
		for i := range v {
			a.fmul(v[i], v[i], by)
		}
		a.storeAll(v, p[0])
	})
}

func decodeHalves(a *asm) {
	a.function("decodeHalvesNEON", "converts F16 to float32. n is a multiple of 16.", 0, true,
		param{"dst", "*float32"}, param{"x", "*uint16"}, param{"n", "int"})
	dst, x, n := a.arg("dst"), a.arg("x"), a.arg("n")
	v, u := a.vecs(4), a.vec()
	a.label("loop")
	for i := range v {
		f16.load(a, x, i, v[i], u)
	}
	a.storeAll(v, dst)
	a.addImm(dst, dst, 64)
	a.addImm(x, x, 32)
	a.count(n, 16, "loop")
	a.ret()
}

func dotLanes(a *asm) {
	a.function("dotLanesNEON", "writes the 16 sums of dotFloats. n is a multiple of 16.", 0, true,
		param{"acc", "*[16]float32"}, param{"w", "*float32"}, param{"x", "*float32"}, param{"n", "int"})
	acc, w, x, n := a.arg("acc"), a.arg("w"), a.arg("x"), a.arg("n")
	sums, v, u := a.vecs(4), a.vecs(4), a.vecs(4)
	for _, s := range sums {
		a.zero(s)
	}
	a.label("loop")
	a.loadAll(v, w)
	a.loadAll(u, x)
	each(a.fmla, sums, v, u)
	a.addImm(w, w, 64)
	a.addImm(x, x, 64)
	a.count(n, 16, "loop")
	a.storeAll(sums, acc)
	a.ret()
}

func norm(a *asm) {
	a.function("scaleNEON", "writes x*scale*weight to dst. n is a multiple of 16.", 0, true,
		param{"dst", "*float32"}, param{"x", "*float32"}, param{"weight", "*float32"}, param{"scale", "float32"},
		param{"n", "int"})
	scale, v, u := a.floatArg("scale"), a.vecs(4), a.vecs(4)
	a.elementwise([]string{"dst", "x", "weight"}, func(p []gp) {
		a.loadAll(v, p[1])
		a.loadAll(u, p[2])
		for i := range v {
			a.fmul(v[i], v[i], scale)
			a.fmul(v[i], v[i], u[i])
		}
		a.storeAll(v, p[0])
	})
}

func swiGLU(a *asm) {
	a.function("swiGLUNEON", "writes silu(gate)*up to gate. n is a multiple of 16.", 0, true,
		param{"gate", "*float32"}, param{"up", "*float32"}, param{"n", "int"})
	c := a.loadExp()
	low, inf := a.vec(), a.vec()
	a.float(low, -88)
	a.float(inf, float32(math.Inf(1)))
	e := a.vecs(2)
	mark := a.v
	a.elementwise([]string{"gate", "up"}, func(p []gp) {
		for i := 0; i < 4; i += len(e) {
			for j := range e {
				a.load(e[j], mem{p[0], 16 * (i + j)})
				a.fneg(e[j], e[j])
			}
			a.exp(c, e...)
			g, u, over := a.vec(), a.vec(), a.vec()
			for j := range e {
				a.load(g, mem{p[0], 16 * (i + j)})
				a.load(u, mem{p[1], 16 * (i + j)})
				a.fcmgt(over, low, g)
				a.insert(e[j], inf, over)
				a.fadd(e[j], e[j], c.one)
				a.fdiv(g, g, e[j])
				a.fmul(g, g, u)
				a.store(g, mem{p[0], 16 * (i + j)})
			}
			a.releaseTo(mark)
		}
	})
}

func add(a *asm) {
	a.function("addNEON", "adds x to acc. n is a multiple of 16.", 0, true,
		param{"acc", "*float32"}, param{"x", "*float32"}, param{"n", "int"})
	v, u := a.vecs(4), a.vecs(4)
	a.elementwise([]string{"acc", "x"}, func(p []gp) {
		a.loadAll(v, p[0])
		a.loadAll(u, p[1])
		each(a.fadd, v, v, u)
		a.storeAll(v, p[0])
	})
}

func rope(a *asm) {
	a.function("ropeHalvesNEON", "turns the pairs of x and y. n is a multiple of 16.", 0, true,
		param{"x", "*float32"}, param{"y", "*float32"}, param{"cos", "*float32"}, param{"sin", "*float32"},
		param{"n", "int"})
	x, y, c, s := a.vecs(4), a.vecs(4), a.vecs(4), a.vecs(4)
	a.elementwise([]string{"x", "y", "cos", "sin"}, func(p []gp) {
		for i, v := range [][]vec{x, y, c, s} {
			a.loadAll(v, p[i])
		}
		a.turn(x, y, c, s)
		a.storeAll(x, p[0])
		a.storeAll(y, p[1])
	})

	a.function("ropeNeighboursNEON", "turns n pairs of neighbours. n is a multiple of 8.", 0, true,
		param{"head", "*float32"}, param{"cos", "*float32"}, param{"sin", "*float32"}, param{"n", "int"})
	head, cos, sin, n := a.arg("head"), a.arg("cos"), a.arg("sin"), a.arg("n")
	pair := a.vecs(2)
	c, s = a.vecs(1), a.vecs(1)
	a.label("loop")
	for i := range 2 {
		a.load(c[0], mem{cos, 16 * i})
		a.load(s[0], mem{sin, 16 * i})
		a.line("VLD2 (%v), [%s, %s]", head, pair[0].s(), pair[1].s())
		a.turn(pair[:1], pair[1:], c, s)
		a.line("VST2.P [%s, %s], 32(%v)", pair[0].s(), pair[1].s(), head)
	}
	a.addImm(cos, cos, 32)
	a.addImm(sin, sin, 32)
	a.count(n, 8, "loop")
	a.ret()
}

// turn rotates pairs of x and y. c and s are spoilt.
func (a *asm) turn(x, y, c, s []vec) {
	mark := a.v
	xs := a.vecs(len(x))
	ys := a.vecs(len(x))
	each(a.fmul, xs, x, s)
	each(a.fmul, ys, y, s)
	each(a.fmul, x, x, c)
	each(a.fmul, y, y, c)
	each(a.fsub, x, x, ys)
	each(a.fadd, y, xs, y)
	a.releaseTo(mark)
}

func skip(a *asm) {
	a.result = "left"
	a.function("skipNEON", "returns how many of n elements are left where 16 begin that have one above limit or a NaN. "+
		"n is a multiple of 16.", 0, true, param{"x", "*float32"}, param{"limit", "float32"}, param{"n", "int"})
	limit, v := a.floatArg("limit"), a.vecs(4)
	x, n, all := a.arg("x"), a.arg("n"), a.gp()
	a.label("loop")
	a.loadAll(v, x)
	for i := range v {
		a.fcmge(v[i], limit, v[i])
	}
	a.and(v[0], v[0], v[1])
	a.and(v[2], v[2], v[3])
	a.and(v[0], v[0], v[2])
	a.uminv(v[0], v[0])
	a.line("FMOVS F%d, %v", int(v[0]), all)
	a.line("CMNW $1, %v", all)
	a.branch("BNE", "found")
	a.addImm(x, x, 64)
	a.count(n, 16, "loop")
	a.label("found")
	a.line("MOVD %v, left+%d(FP)", n, a.where["left"])
	a.ret()
}
