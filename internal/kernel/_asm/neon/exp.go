package main

import "math"

// expConstants are the constants of Exp in math.go, in registers.
type expConstants struct {
	low, log2E, magic, bias, ln2High, ln2Low, one vec
	poly                                          []vec
}

// loadExp loads them.
func (a *asm) loadExp() expConstants {
	load := func(v float32) vec {
		d := a.vec()
		a.float(d, v)
		return d
	}
	c := expConstants{
		low: load(-87.3), log2E: load(math.Log2E), magic: load(0x1.8p23),
		ln2High: load(0.693359375), ln2Low: load(-2.12194440e-4), one: load(1),
	}
	for _, v := range []float32{
		1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
	} {
		c.poly = append(c.poly, load(v))
	}
	c.bias = a.vec()
	a.constant(c.bias, 0x100000000-0x4b400000+127)
	return c
}

// exp replaces vectors by Exp of them, where they are not above 88. It takes four registers for each and one more. The
// vectors advance together, as each step waits for the one before it.
func (a *asm) exp(c expConstants, xs ...vec) {
	mark := a.v
	scale, r, p, t := a.vecs(len(xs)), a.vecs(len(xs)), a.vecs(len(xs)), a.vecs(len(xs))
	each := func(step func(x, scale, r, p, t vec)) {
		for i, x := range xs {
			step(x, scale[i], r[i], p[i], t[i])
		}
	}
	each(func(x, scale, _, _, _ vec) { a.fmul(scale, x, c.log2E) })
	each(func(_, scale, _, _, _ vec) { a.fadd(scale, scale, c.magic) })
	each(func(_, scale, _, p, _ vec) { a.fsub(p, scale, c.magic) })
	each(func(_, scale, _, _, _ vec) {
		a.addS(scale, scale, c.bias)
		a.shiftS(scale, scale, 23)
	})
	each(func(_, _, r, p, _ vec) { a.fmul(r, p, c.ln2High) })
	each(func(x, _, r, _, _ vec) { a.fsub(r, x, r) })
	each(func(_, _, _, p, _ vec) { a.fmul(p, p, c.ln2Low) })
	each(func(_, _, r, p, _ vec) { a.fsub(r, r, p) })
	each(func(x, _, _, _, _ vec) { a.fcmgt(x, c.low, x) }) // what becomes 0; not NaN
	each(func(_, _, r, p, _ vec) { a.fmul(p, c.poly[0], r) })
	for i, v := range c.poly[1:] {
		each(func(_, _, _, p, _ vec) { a.fadd(p, p, v) })
		if i < len(c.poly)-2 {
			each(func(_, _, r, p, _ vec) { a.fmul(p, p, r) })
		}
	}
	each(func(_, _, r, _, t vec) { a.fmul(t, r, r) })
	each(func(_, _, _, p, t vec) { a.fmul(p, p, t) })
	each(func(_, _, r, p, _ vec) { a.fadd(p, p, r) })
	each(func(_, _, _, p, _ vec) { a.fadd(p, p, c.one) })
	each(func(_, scale, _, p, _ vec) { a.fmul(p, p, scale) })
	each(func(x, _, _, p, _ vec) { a.bic(x, p, x) })
	a.releaseTo(mark)
}
