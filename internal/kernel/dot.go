package kernel

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

// lane is one row of weights against one token: what a step of the float sum needs for each block.
type lane struct {
	isum, msum     []int32   // integer sums: of products, and of activations for the minimums
	d, min         []float32 // factors of the weights
	dx             []float32 // scales of the activations
	isums, msum256 []int32   // the lane's own memory for the sums
}

// sums computes the integer sums of the lane: row w against token t of the activations.
func (l *lane) sums(f *format, w *weights, q *quantized, t int) {
	nb := len(w.d)
	l.isums = grow(l.isums, nb)
	l.isum, l.d, l.min = l.isums, w.d, w.min
	l.dx = q.d[t*nb : (t+1)*nb]
	perBlock := q.block / q.sumsOf()
	sums := q.sums[t*nb*perBlock : (t+1)*nb*perBlock]
	switch {
	case f.block == 32 && f.nibbles:
		x := q.nib[t*nb*8 : (t+1)*nb*8]
		for b := range l.isum {
			l.isum[b] = dotNibbles((*[8]uint64)(w.words[b*8:]), (*[8]uint64)(x[b*8:])) - f.offset*sums[b]
		}
		l.msum = sums
	case f.block == 32:
		x := q.by[t*nb*16 : (t+1)*nb*16]
		for b := range l.isum {
			l.isum[b] = dotBytes((*[8]uint64)(w.words[b*16:]), (*[8]uint64)(x[b*16:])) +
				dotBytes((*[8]uint64)(w.words[b*16+8:]), (*[8]uint64)(x[b*16+8:])) - f.offset*sums[b]
		}
		l.msum = sums
	default:
		l.superBlocks(f, w, q, t, sums)
	}
}

// superBlocks is sums for blocks of 256, whose sub-blocks have integer scales and minimums.
func (l *lane) superBlocks(f *format, w *weights, q *quantized, t int, sums []int32) {
	nb := len(w.d)
	n := 256 / f.sub
	for b := range l.isum {
		isum := int32(0)
		bs := sums[b*16 : b*16+16]
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
	l.msum256 = grow(l.msum256, nb)
	l.msum = l.msum256
	for b := range l.msum {
		msum := int32(0)
		bs := sums[b*16 : b*16+16]
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

// lanes is how many float sums advance together: each waits for its own last addition, so one alone would leave the
// processor idle.
const lanes = 4

// steps does the float sums of the lanes, block by block in ascending order:
//
//	acc = fma(d*dx, float32(isum), acc)
//	acc = fma(min*dx, float32(msum), acc)   where the format has minimums
func steps(acc *[lanes]float32, ls []lane, nb int, mins bool) {
	*acc = [lanes]float32{}
	for b := range nb {
		for i := range ls {
			l := &ls[i]
			a := acc[i]
			x, y := float32(l.d[b]*l.dx[b]), float32(l.isum[b])
			s := float64(x)*float64(y) + float64(a)
			if roundsTwice(s) {
				a = fmaSlow(x, y, a)
			} else {
				a = float32(s)
			}
			if mins {
				x, y = float32(l.min[b]*l.dx[b]), float32(l.msum[b])
				s = float64(x)*float64(y) + float64(a)
				if roundsTwice(s) {
					a = fmaSlow(x, y, a)
				} else {
					a = float32(s)
				}
			}
			acc[i] = a
		}
	}
}

// dotFloats is the product of a float row and activations: 16 sums, of the elements whose index has the same remainder
// modulo 16, added pairwise in a fixed tree.
func dotFloats(w, x []float32) float32 {
	var acc [16]float32
	x = x[:len(w)]
	for len(w) >= 16 {
		ws, xs := (*[16]float32)(w), (*[16]float32)(x)
		for i := range acc {
			s := float64(ws[i])*float64(xs[i]) + float64(acc[i])
			if roundsTwice(s) {
				acc[i] = fmaSlow(ws[i], xs[i], acc[i])
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
