package main

import "fmt"

// float is a dtype whose weights are floats.
type float struct {
	name  string
	bytes int
	// widen makes the low or the high four weights in u floats; nil where they are.
	widen func(a *asm, high bool, v, u vec)
}

var floatDTypes = []float{
	{name: "F32", bytes: 4},
	{name: "F16", bytes: 2, widen: (*asm).widenHalves},
	{name: "BF16", bytes: 2, widen: func(a *asm, high bool, v, u vec) {
		if high {
			a.shll2(v, u)
		} else {
			a.shll(v, u)
		}
	}},
}

// widenHalves makes the low or the high four halves in u floats.
func (a *asm) widenHalves(high bool, v, u vec) {
	if high {
		a.fcvtl2(v, u)
	} else {
		a.fcvtl(v, u)
	}
}

// load sets v to four weights, the i-th such of 16 at p, with u to spare. Even i come before the odd ones that follow
// them, with the same u.
func (f float) load(a *asm, p gp, i int, v, u vec) {
	if f.widen == nil {
		a.load(v, mem{p, 16 * i})
		return
	}
	if i%2 == 0 {
		a.load(u, mem{p, 8 * i})
	}
	f.widen(a, i%2 == 1, v, u)
}

// loadOne sets the lowest lane of v to the weight at p, the others to 0, and moves p behind it.
func (f float) loadOne(a *asm, p gp, v vec) {
	if f.widen == nil {
		a.line("FMOVS.P 4(%v), F%d", p, int(v))
		return
	}
	t := a.gp()
	a.line("MOVHU.P 2(%v), %v", p, t)
	a.line("FMOVS %v, F%d", t, int(v))
	f.widen(a, false, v, v)
	a.r = t
}

// rowTile is how many rows and tokens dotFloat sums at a time: 16 vectors of sums.
type rowTile struct{ rows, tokens int }

// dotFloat multiplies four rows of float weights with tokens. Each product has four vectors of sums, of the elements
// whose index has the same remainder modulo 16, which are then added pairwise.
func dotFloat(a *asm, f float, tokens int) {
	const rows = 4
	tile := rowTile{4, 1}
	if tokens > 1 {
		tile = rowTile{2, 2}
	}
	name := fmt.Sprintf("dot%sF32NEONT%d", f.name, tokens)
	a.function(name, fmt.Sprintf("multiplies %d rows of weights with %d tokens: see dotRows.", rows, tokens), 64, false,
		param{"out", "*float32"}, param{"stride", "int"}, param{"w", "*byte"}, param{"rowBytes", "int"},
		param{"x", "*float32"}, param{"n", "int"})
	out, stride, w := a.arg("out"), a.arg("stride"), a.arg("w")
	rowBytes, x, n := a.arg("rowBytes"), a.arg("x"), a.arg("n")
	tokenBytes, firstW, firstOut, rowsLeft, tokensLeft := a.gp(), a.gp(), a.gp(), a.gp(), a.gp()
	ws, xs, left := make([]gp, tile.rows), make([]gp, tile.tokens), a.gp()
	for i := range ws {
		ws[i] = a.gp()
	}
	for i := range xs {
		xs[i] = a.gp()
	}
	sums := make([][]vec, tile.rows*tile.tokens) // of row r and token t at r*tile.tokens + t
	for i := range sums {
		sums[i] = a.vecs(4)
	}
	wv, xv, us := a.vecs(tile.rows), a.vecs(tile.tokens), a.vecs(tile.rows)
	a.shiftLeft(tokenBytes, n, 2)
	a.move(firstW, w)
	a.moveImm(tokensLeft, uint32(tokens/tile.tokens))

	a.label("tokens")
	a.move(w, firstW)
	a.move(firstOut, out)
	a.moveImm(rowsLeft, uint32(rows/tile.rows))
	a.label("rows")
	a.follow(ws, w, rowBytes)
	a.follow(xs, x, tokenBytes)
	for _, s := range sums {
		for _, v := range s {
			a.zero(v)
		}
	}
	a.line("LSR $4, %v, %v", n, left)
	a.branch(fmt.Sprintf("CBZ %v,", left), "tail")
	a.label("loop")
	for i := range 4 {
		for r := range wv {
			f.load(a, ws[r], i, wv[r], us[r])
		}
		for t := range xv {
			a.load(xv[t], mem{xs[t], 16 * i})
		}
		for r := range wv {
			for t := range xv {
				a.fmla(sums[r*tile.tokens+t][i], wv[r], xv[t])
			}
		}
	}
	for _, p := range ws {
		a.addImm(p, p, 16*f.bytes)
	}
	for _, p := range xs {
		a.addImm(p, p, 64)
	}
	a.count(left, 1, "loop")

	a.label("tail")
	a.comment("The last 1 to 15 elements, one at a time, on sums in memory.")
	a.line("ANDS $15, %v, %v", n, left)
	a.branch("BEQ", "add")
	pw, px, ps := a.gp(), a.gp(), a.gp()
	for i, s := range sums {
		a.line("MOVD $sums-64(SP), %v", ps)
		for j, v := range s {
			a.store(v, mem{ps, 16 * j})
		}
		a.move(pw, ws[i/tile.tokens])
		a.move(px, xs[i%tile.tokens])
		a.line("ANDS $15, %v, %v", n, left)
		a.label(fmt.Sprintf("tail%d", i))
		f.loadOne(a, pw, wv[0])
		a.line("FMOVS.P 4(%v), F%d", px, int(xv[0]))
		a.load4(us[0], mem{ps, 0})
		a.fmla(us[0], wv[0], xv[0])
		a.line("FMOVS.P F%d, 4(%v)", int(us[0]), ps)
		a.count(left, 1, fmt.Sprintf("tail%d", i))
		a.line("MOVD $sums-64(SP), %v", ps)
		for j, v := range s {
			a.load(v, mem{ps, 16 * j})
		}
	}

	a.label("add")
	a.comment("Add the upper half of the sums to the lower, until one is left. Every NaN becomes the same one.")
	nan, ordered := wv[0], us[0]
	a.constant(nan, 0x7fc00000)
	a.move(left, out)
	for t := range tile.tokens {
		for r := range tile.rows {
			s := sums[r*tile.tokens+t]
			a.sum16(s, ordered)
			a.fcmeq(ordered, s[0], s[0])
			a.insertNot(s[0], nan, ordered)
			a.store4(s[0], mem{left, 4 * r})
		}
		a.add(left, left, stride)
	}
	if tokens > 1 {
		a.follow(ws, w, rowBytes)
		a.add(w, ws[1], rowBytes)
		a.addImm(out, out, 4*tile.rows)
		a.count(rowsLeft, 1, "rows")
		a.add(out, firstOut, stride)
		a.add(out, out, stride)
		a.follow(xs, x, tokenBytes)
		a.add(x, xs[1], tokenBytes)
		a.count(tokensLeft, 1, "tokens")
	}
	a.ret()
}

// follow sets registers to places some bytes apart, from the first on.
func (a *asm) follow(rs []gp, first, bytes gp) {
	for i, r := range rs {
		if i == 0 {
			a.move(r, first)
		} else {
			a.add(r, rs[i-1], bytes)
		}
	}
}

// sum16 leaves in the lowest lane of s[0] what the tree of sum16 in package kernel makes of the 16, with u to spare.
func (a *asm) sum16(s []vec, u vec) {
	a.fadd(s[0], s[0], s[2])
	a.fadd(s[1], s[1], s[3])
	a.fadd(s[0], s[0], s[1])
	a.swapHalves(u, s[0])
	a.fadd(s[0], s[0], u)
	a.faddpS(s[0], s[0])
}
