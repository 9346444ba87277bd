package kernel

import "math"

// The integer dot products. A 64-bit word holds several small numbers as the coefficients of a polynomial (in 2^16 or
// 2^32), and the multiplication of two words is the product of the polynomials: with one side's coefficients in reverse
// order, the coefficient that ends in the top field is a dot product, for one multiplication. Coefficients are signed
// and borrow from the one above; half a unit of the top field added before the shift puts that right, as long as
// everything below the top field is smaller than that.

// dotNibbles is the dot product of 32 weights of 0 to 15 with 32 activations. Sums of four products are extracted
// together: the top field is at most 4*4*15*127 = 30480, what is below it less than 2^47.
func dotNibbles(w, x *[8]uint64) int32 {
	a := w[0]*x[0] + w[1]*x[1] + w[2]*x[2] + w[3]*x[3]
	b := w[4]*x[4] + w[5]*x[5] + w[6]*x[6] + w[7]*x[7]
	return int32(int64(a+1<<47)>>48) + int32(int64(b+1<<47)>>48)
}

// dotBytes is the dot product of 16 weights of 0 to 255 with 16 activations: the top field is at most 16*255*127 =
// 518160.
func dotBytes(w, x *[8]uint64) int32 {
	a := w[0]*x[0] + w[1]*x[1] + w[2]*x[2] + w[3]*x[3]
	b := w[4]*x[4] + w[5]*x[5] + w[6]*x[6] + w[7]*x[7]
	return int32(int64(a+b+1<<31) >> 32)
}

// lane is one row of weights against one token: the products that its float sum adds, one after the other.
type lane struct {
	products []float64 // exact
	isum     []int32   // the integer dot product of each block
	msum     []int32   // the sum of its activations, weighted by the sub-blocks' minimums
}

// direct is run for a format with a direct function and the only token of q.
func (l *lane) direct(f *format, w *weights, row []byte, q *quantized) {
	l.isum = grow(l.isum, len(w.d))
	f.direct(l, w, row, q)
	l.scale(f, w, q.d, q.sums)
}

// run fills the products for row w and token t: for each block, in the order that DESIGN section 5 gives,
//
//	acc = fma(d*dx, float32(isum), acc)
//	acc = fma(min*dx, float32(msum), acc)   where the format has minimums
//
// of which the sum is done by accumulate.
func (l *lane) run(f *format, w *weights, q *quantized, t int) {
	nb := len(w.d)
	perBlock := q.block / q.sumsOf()
	bsums := q.sums[t*nb*perBlock : (t+1)*nb*perBlock]
	l.isum = grow(l.isum, nb)
	msum := bsums
	switch {
	case f.block == 256:
		l.superBlocks(f, w, q, t, bsums)
		msum = l.msum
	case f.nibbles:
		x := q.nib[t*nb*8 : (t+1)*nb*8]
		for b := range l.isum {
			l.isum[b] = dotNibbles((*[8]uint64)(w.words[b*8:]), (*[8]uint64)(x[b*8:])) - f.offset*bsums[b]
		}
	default:
		x := q.by[t*nb*16 : (t+1)*nb*16]
		for b := range l.isum {
			l.isum[b] = dotBytes((*[8]uint64)(w.words[b*16:]), (*[8]uint64)(x[b*16:])) +
				dotBytes((*[8]uint64)(w.words[b*16+8:]), (*[8]uint64)(x[b*16+8:])) - f.offset*bsums[b]
		}
	}
	l.scale(f, w, q.d[t*nb:(t+1)*nb], msum)
}

// scale makes the products of the integer sums.
func (l *lane) scale(f *format, w *weights, dx []float32, msum []int32) {
	d, isum := w.d[:len(dx)], l.isum[:len(dx)]
	if !f.mins {
		l.products = grow(l.products, len(dx))
		p := l.products[:len(dx)]
		for b, x := range dx {
			p[b] = float64(float32(d[b]*x)) * float64(float32(isum[b]))
		}
		return
	}
	l.products = grow(l.products, 2*len(dx))
	p, m := l.products, w.min[:len(dx)]
	msum = msum[:len(dx)]
	for b, x := range dx {
		pair := p[2*b : 2*b+2 : 2*b+2]
		pair[0] = float64(float32(d[b]*x)) * float64(float32(isum[b]))
		pair[1] = float64(float32(m[b]*x)) * float64(float32(msum[b]))
	}
}

// superBlocks computes isum and msum for blocks of 256, whose sub-blocks have integer scales and minimums.
func (l *lane) superBlocks(f *format, w *weights, q *quantized, t int, bsums []int32) {
	nb := len(w.d)
	n := 256 / f.sub
	for b := range l.isum {
		isum := int32(0)
		bs := bsums[b*16 : b*16+16]
		scales := w.scales[b*n : b*n+n]
		switch {
		case f.nibbles:
			x := q.nib[(t*nb+b)*64 : (t*nb+b)*64+64]
			words := w.words[b*64 : b*64+64]
			for j, s := range scales {
				isum += s * dotNibbles((*[8]uint64)(words[j*8:]), (*[8]uint64)(x[j*8:]))
			}
		case f.sub == 32:
			x := q.by[(t*nb+b)*128 : (t*nb+b)*128+128]
			words := w.words[b*128 : b*128+128]
			for j, s := range scales {
				dot := dotBytes((*[8]uint64)(words[j*16:]), (*[8]uint64)(x[j*16:])) +
					dotBytes((*[8]uint64)(words[j*16+8:]), (*[8]uint64)(x[j*16+8:]))
				isum += s * (dot - f.offset*(bs[2*j]+bs[2*j+1]))
			}
		default:
			x := q.by[(t*nb+b)*128 : (t*nb+b)*128+128]
			words := w.words[b*128 : b*128+128]
			for j, s := range scales {
				dot := dotBytes((*[8]uint64)(words[j*8:]), (*[8]uint64)(x[j*8:]))
				isum += s * (dot - f.offset*bs[j])
			}
		}
		l.isum[b] = isum
	}
	if !f.mins {
		return
	}
	l.msum = grow(l.msum, nb)
	for b := range l.msum {
		msum := int32(0)
		bs := bsums[b*16 : b*16+16]
		mins := w.mins[b*n : b*n+n]
		for j, m := range mins {
			if f.sub == 32 {
				msum += m * (bs[2*j] + bs[2*j+1])
			} else {
				msum += m * bs[j]
			}
		}
		l.msum[b] = msum
	}
}

// idle gives the lane something harmless to sum, as long as what other has.
func (l *lane) idle(other *lane) {
	l.products = grow(l.products, len(other.products))
	clear(l.products)
}

// lanes is how many float sums advance together: each waits for its own last addition, so one alone would leave the
// processor idle.
const lanes = 4

// accumulate sums the products of the lanes: acc = fma(x, y, acc) for each x*y in order, from 0. All lanes have equally
// many.
func accumulate(acc *[lanes]float32, ls *[lanes]lane) {
	p0 := ls[0].products
	p1, p2, p3 := ls[1].products[:len(p0)], ls[2].products[:len(p0)], ls[3].products[:len(p0)]
	var a0, a1, a2, a3 float32
	for i, p := range p0 {
		s0, s1, s2, s3 := p+float64(a0), p1[i]+float64(a1), p2[i]+float64(a2), p3[i]+float64(a3)
		r0, r1, r2, r3 := float32(s0), float32(s1), float32(s2), float32(s3)
		if roundsTwice(s0) {
			r0 = roundOnce(p, a0)
		}
		if roundsTwice(s1) {
			r1 = roundOnce(p1[i], a1)
		}
		if roundsTwice(s2) {
			r2 = roundOnce(p2[i], a2)
		}
		if roundsTwice(s3) {
			r3 = roundOnce(p3[i], a3)
		}
		a0, a1, a2, a3 = r0, r1, r2, r3
	}
	*acc = [lanes]float32{quiet(a0), quiet(a1), quiet(a2), quiet(a3)}
}

// quiet returns v, or the one NaN that products have: which of its many bit patterns comes out of a sum depends on the
// order of operands and on the architecture.
func quiet(v float32) float32 {
	if v != v {
		return math.Float32frombits(0x7fc00000)
	}
	return v
}

// dotFloats is the product of a float row and activations: 16 sums, of the elements whose index has the same remainder
// modulo 16, added pairwise in a fixed tree.
func dotFloats(w, x []float32) float32 {
	var acc [16]float32
	x = x[:len(w)]
	n := dotVectors(&acc, w, x)
	w, x = w[n:], x[n:]
	for len(w) >= 16 {
		ws, xs := (*[16]float32)(w), (*[16]float32)(x)
		for i := range acc {
			p := float64(ws[i]) * float64(xs[i])
			s := p + float64(acc[i])
			if roundsTwice(s) {
				acc[i] = roundOnce(p, acc[i])
			} else {
				acc[i] = float32(s)
			}
		}
		w, x = w[16:], x[16:]
	}
	for i := range w {
		acc[i] = FMA(w[i], x[i], acc[i])
	}
	return sum16(&acc)
}

// sum16 adds 16 numbers pairwise: each of the lower half to its partner in the upper half, until one is left.
func sum16(acc *[16]float32) float32 {
	for n := 8; n > 0; n /= 2 {
		for i := range n {
			acc[i] += acc[i+n]
		}
	}
	return acc[0]
}
