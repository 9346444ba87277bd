package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// steps are those of IQ4_NL and IQ4_XS, in each half of a vector: see quant.IQ4_NLValues.
func steps() Mem {
	values := []int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	return table("steps", func(i int) uint32 {
		v := uint32(0)
		for b := range 4 {
			v |= uint32(uint8(values[i%4*4+b])) << (8 * b)
		}
		return v
	})
}

// signed says that weights are signed bytes: then their magnitudes meet activations with the weights' signs, and a pair
// of products, at most 2*128*127, is all that int16 holds.
func (k *kernel) signed() bool { return k.Signed || k.Steps }

// groups is the number of dwords of a row whose products, added up in int16, do not overflow, within a sub-block.
func (k *kernel) groups() int {
	if k.signed() {
		return 1
	}
	n := k.Sub / 4
	for 2*n*k.Max*127 > 1<<15-1 {
		n /= 2
	}
	return n
}

// byToken says that the weights of a chunk of groups stay in registers while each token passes, so that the totals can
// too. Otherwise each token's products stay in a register while the weights pass.
func (k *kernel) byToken() bool { return k.used(k.registersByToken()) <= registers }

// registersByToken is what that takes: totals, weights, products and activations.
func (k *kernel) registersByToken() int {
	n := k.tokens * k.halves
	if k.signed() {
		return n + 2*k.halves + k.halves + k.halves - 1
	}
	return n + k.groups()*k.halves + 2*k.halves
}

// used is n registers and those of the float sums.
func (k *kernel) used(n int) int { return n + len(k.sums) }

// plan decides where the totals are, and which constants are held in registers.
func (k *kernel) plan() {
	n := k.tokens * k.halves
	chunks := k.block / 4 / k.groups()
	need := n + k.halves + 2
	switch {
	case k.byToken():
		k.totals = vectors(n)
		need = k.registersByToken()
	case chunks == 1:
		// The totals take the place of the products.
		k.totals = vectors(n)
	case k.used(n+need) <= registers:
		k.totals = vectors(n)
		need += n
	}
	k.spare = registers - k.used(need)
	for _, p := range k.Pieces(0) {
		if p.Mask != 0xff {
			k.hold(dwords(layout.Dword(p.Mask)))
		}
	}
	if k.Steps {
		k.hold(steps())
	}
	if k.block == 32 {
		k.hold(dwords(0x00010001))
	}
}

// iterations is the number of equal parts of a block of which the text is written once, and the groups in each.
func (k *kernel) iterations() (n, groups int) {
	all := k.block / 4
next:
	for n = all / 8; n > 1; n /= 2 {
		groups = all / n
		if groups*4 < k.Sub {
			continue
		}
		first := k.strides(groups)
		for i := range all - groups {
			a, b := k.Pieces(i), k.Pieces(i+groups)
			for j := range a {
				if b[j].Shift != a[j].Shift || b[j].Offset != a[j].Offset+first[j] {
					continue next
				}
			}
		}
		return n, groups
	}
	return 1, all
}

// moves is what lies between all of an iteration's pieces and the next one's, in bytes, where that is the same: then w itself
// moves on. Else it is 0.
func (k *kernel) moves(groups int) int {
	strides := k.strides(groups)
	if slices.Min(strides) < slices.Max(strides) {
		return 0
	}
	return strides[0]
}

// strides is what lies between an iteration's pieces and the next one's, in bytes.
func (k *kernel) strides(groups int) []int {
	a, b := k.Pieces(0), k.Pieces(groups)
	strides := make([]int, len(a))
	for j := range a {
		strides[j] = b[j].Offset - a[j].Offset
	}
	return strides
}

// indexed is m of the iteration, of which step bytes lie between this one's and the next one's.
func (k *kernel) indexed(m Mem, step int) Mem {
	if k.unit != 0 && step != 0 {
		m.Index, m.Scale = k.index, uint8(step/k.unit)
	}
	return m
}

// weight makes vector g of weights, half h.
func (k *kernel) weight(g, h int) VecVirtual {
	_, groups := k.iterations()
	v := YMM()
	for j, p := range k.Pieces(g) {
		from := k.at(p.Offset, h)
		if k.moves(groups) == 0 {
			from = k.indexed(from, k.strides(groups)[j])
		}
		u := v
		if j > 0 {
			u = YMM()
		}
		if p.Mask == 0xff {
			VMOVDQU(from, u)
		} else {
			k.shiftAnd(from, p.Shift, dwords(layout.Dword(p.Mask)), u)
		}
		if j > 0 {
			VPOR(u, v, v)
		}
	}
	if k.Steps {
		VPSHUFB(v, k.register(steps()), v)
	}
	return v
}

// shiftAnd sets v to from, shifted left by n bits or right by -n within words, and masked.
func (k *kernel) shiftAnd(from Mem, n int, mask Mem, v VecVirtual) {
	m := k.constant(mask)
	if r, held := m.(VecVirtual); held && n == 0 {
		VPAND(from, r, v)
		return
	}
	VMOVDQU(from, v)
	shift(v, n, v)
	VPAND(m, v, v)
}

// shift sets v to from, shifted left by n bits or right by -n within words.
func shift(from VecVirtual, n int, v VecVirtual) {
	switch {
	case n > 0:
		VPSLLW(Imm(uint64(n)), from, v)
	case n < 0:
		VPSRLW(Imm(uint64(-n)), from, v)
	}
}

// chunk adds to the totals the products of the groups of weights from g on, times scale(h).
func (k *kernel) chunk(g int, scale func(h int) Mem) {
	if k.byToken() {
		k.chunkByToken(g, scale)
	} else {
		k.chunkByWeight(g, scale)
	}
	k.started = true
}

func (k *kernel) chunkByToken(g int, scale func(h int) Mem) {
	n := k.groups()
	w := make([][]VecVirtual, n)
	var magnitude []VecVirtual
	for i := range w {
		for h := range k.halves {
			w[i] = append(w[i], k.weight(g+i, h))
			if k.signed() {
				a := YMM()
				VPABSB(w[i][h], a)
				magnitude = append(magnitude, a)
			}
		}
	}
	for t := range k.tokens {
		sums := vectors(k.halves)
		for i := range w {
			x := k.broadcast(g+i, t)
			for h, sum := range sums {
				switch {
				case k.signed():
					VPSIGNB(w[i][h], x, sum)
					VPMADDUBSW(sum, magnitude[h], sum)
				case i == 0:
					VPMADDUBSW(x, w[i][h], sum)
				default:
					k.add16(x, w[i][h], sum, h)
				}
			}
		}
		for h, sum := range sums {
			k.addTotal(scale(h), sum, t, h)
		}
	}
}

func (k *kernel) chunkByWeight(g int, scale func(h int) Mem) {
	sums := vectors(k.tokens * k.halves)
	w := make([]VecVirtual, k.halves)
	for i := range k.groups() {
		for h := range w {
			w[h] = k.weight(g+i, h)
		}
		for t := range k.tokens {
			x := k.broadcast(g+i, t)
			for h := range w {
				if sum := sums[t*k.halves+h]; i == 0 {
					VPMADDUBSW(x, w[h], sum)
				} else {
					k.add16(x, w[h], sum, h)
				}
			}
		}
	}
	for i, sum := range sums {
		k.addTotal(scale(i%k.halves), sum, i/k.halves, i%k.halves)
	}
}

// add16 adds the products of w and x to sum in int16. The last half may overwrite x.
func (k *kernel) add16(x, w, sum VecVirtual, h int) {
	p := x
	if h < k.halves-1 {
		p = YMM()
	}
	VPMADDUBSW(x, w, p)
	VPADDW(p, sum, sum)
}

// addTotal adds pairs of int16, scaled, to the total of token t, half h.
func (k *kernel) addTotal(scale Mem, pairs VecVirtual, t, h int) {
	i := t*k.halves + h
	s := Op(scale)
	if scale.Symbol.Name != "" {
		s = k.constant(scale)
	}
	switch {
	case k.totals == nil:
		VPMADDWD(s, pairs, pairs)
		if k.started {
			VPADDD(k.stored(parkedInts, t, h), pairs, pairs)
		}
		VMOVDQU(pairs, k.stored(parkedInts, t, h))
	case k.started:
		VPMADDWD(s, pairs, pairs)
		VPADDD(pairs, k.totals[i], k.totals[i])
	default:
		VPMADDWD(s, pairs, k.totals[i])
	}
}

// finish adds a block's totals to the float sums: sum = fma(d*dx, total, sum), dx being the scale at the stream's offset
// scale. correction, if not 0, is where the stream has what is to be added to each total. minimum, if not nil, then adds
// a minimum's part to a sum; factor is dx.
func (k *kernel) finish(scale, correction int, minimum func(sum, dx VecVirtual, t, h int)) {
	d := make([]Op, k.halves)
	for h := range d {
		d[h] = k.factor(0, k.D, h)
	}
	if k.Min != 0 {
		for h := range k.halves {
			k.factor(1, k.Min, h)
		}
	}
	for t := range k.tokens {
		dx := k.broadcast(scale, t)
		var c VecVirtual
		if correction != 0 {
			c = k.broadcast(correction, t)
		}
		for h := range k.halves {
			i := t*k.halves + h
			f := YMM()
			VMULPS(d[h], dx, f)
			v := YMM()
			switch {
			case k.totals == nil && correction == 0:
				VCVTDQ2PS(k.stored(parkedInts, t, h), v)
			case k.totals == nil:
				VPADDD(k.stored(parkedInts, t, h), c, v)
				VCVTDQ2PS(v, v)
			default:
				v = k.totals[i]
				if correction != 0 {
					VPADDD(c, v, v)
				}
				VCVTDQ2PS(v, v)
			}
			if k.sums != nil {
				VFMADD231PS(v, f, k.sums[i])
				if minimum != nil {
					minimum(k.sums[i], dx, t, h)
				}
				continue
			}
			VFMADD213PS(k.stored(parkedSums, t, h), f, v)
			if minimum != nil {
				minimum(v, dx, t, h)
			}
			VMOVUPS(v, k.stored(parkedSums, t, h))
		}
	}
}

// factor writes the F16 at offset of the block to scratch as floats, the n-th, and returns their place.
func (k *kernel) factor(n, offset, h int) Mem {
	v := YMM()
	VCVTPH2PS(k.at2(offset, h), v)
	to := k.factorAt(n, h)
	VMOVUPS(v, to)
	return to
}

func (k *kernel) factorAt(n, h int) Mem { return Mem{Base: k.scratch, Disp: factors + 64*n + 32*h} }
