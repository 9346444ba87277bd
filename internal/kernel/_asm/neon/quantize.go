package main

import "fmt"

// quantize makes 8-bit activations of blocks of 32 or 256, with their scales and sums, as quantizeBlock says.
func quantize(a *asm, block int) {
	n := min(block, 64) // activations in an iteration
	a.function(fmt.Sprintf("quantize%dNEON", block),
		fmt.Sprintf("quantizes blocks of %d activations: see quantizer.", block), 0, false,
		param{"q", "*int8"}, param{"d", "*float32"}, param{"sums", "*int32"}, param{"x", "*float32"}, param{"blocks", "int"})
	q, d, sums, x, blocks := a.arg("q"), a.arg("d"), a.arg("sums"), a.arg("x"), a.arg("blocks")
	p, left, bits, limit := a.gp(), a.gp(), a.gp(), a.gp()
	magnitude, steps, scale, inverse := a.vec(), a.vec(), a.vec(), a.vec()
	a.constant(magnitude, 0x7fffffff)
	a.float(steps, 127)
	v, most := a.vecs(n/4), a.vecs(4)
	loop := func(name string, body func()) {
		a.move(p, x)
		if n < block {
			a.moveImm(left, uint32(block/n))
			a.label(name)
		}
		for i := range v {
			a.load(v[i], mem{p, 16 * i})
		}
		body()
		if n < block {
			a.addImm(p, p, 4*n)
			a.count(left, 1, name)
		}
	}

	a.label("block")
	a.comment("The largest magnitude, as bits.")
	for _, m := range most {
		a.zero(m)
	}
	loop("largest", func() {
		for i := range v {
			a.and(v[i], v[i], magnitude)
			a.umax(most[i%4], most[i%4], v[i])
		}
	})
	a.umax(most[0], most[0], most[1])
	a.umax(most[2], most[2], most[3])
	a.umax(most[0], most[0], most[2])
	a.umaxv(most[0], most[0])

	a.comment("Its scale. Of what is too small, infinite or NaN the quants become 0: NaN converts to 0.")
	a.line("FMOVS F%d, %v", int(most[0]), bits)
	a.zero(inverse)
	a.zero(scale)
	a.moveImm(limit, 0x04000000) // 2^-119
	a.line("CMPW %v, %v", limit, bits)
	a.branch("BLO", "scaled")
	a.constant(scale, 0x7fc00000)
	a.moveImm(limit, 0x7f800000)
	a.line("CMPW %v, %v", limit, bits)
	a.branch("BHS", "scaled")
	a.line("FDIVS F%d, F%d, F%d", int(steps), int(most[0]), int(scale))
	a.line("FDIVS F%d, F%d, F%d", int(most[0]), int(steps), int(inverse))
	a.label("scaled")
	a.line("FMOVS.P F%d, 4(%v)", int(scale), d)
	loop("quants", func() {
		for i := range v {
			a.fmulLane(v[i], v[i], inverse, 0)
			a.fcvtns(v[i], v[i])
		}
		for i := 0; i < len(v); i += 4 {
			t := most
			a.low16(t[0], v[i], v[i+1])
			a.low16(t[1], v[i+2], v[i+3])
			a.low8(t[0], t[0], t[1])
			a.store(t[0], mem{q, 4 * i})
		}
		a.addImm(q, q, n)
		// Sums of 16.
		for i := 0; i < len(v); i += 4 {
			a.addS(v[i], v[i], v[i+1])
			a.addS(v[i+2], v[i+2], v[i+3])
			a.addS(v[i], v[i], v[i+2])
		}
		if block == 32 {
			a.addS(v[0], v[0], v[4])
			a.addv(v[0], v[0])
			a.line("FMOVS.P F%d, 4(%v)", int(v[0]), sums)
			return
		}
		a.addp(v[0], v[0], v[4])
		a.addp(v[8], v[8], v[12])
		a.addp(v[0], v[0], v[8])
		a.line("FMOVQ.P F%d, 16(%v)", int(v[0]), sums)
	})
	a.addImm(x, x, 4*block)
	a.count(blocks, 1, "block")
	a.ret()
}
