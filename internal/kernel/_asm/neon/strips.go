package main

import "fmt"

// kernel is the state that the kernels of strips share while their text is written.
//
// A kernel handles some quarters of a strip at a time, so that all of a tile's sums stay in registers: its loops are
// strips, blocks, and groups of quarters.
type kernel struct {
	*asm
	tokens, quarters int // of a group

	out, stride, w, x, scratch, blocks, strips gp
	xs, left                                   gp // the block's stream and the number of blocks left
	head                                       gp // the d of the block, where they stand at the start of the strip
	wq, dq, sq                                 gp // the weights, d and parked sums of the group's first quarter
	groups                                     gp // of quarters, left
	xp                                         gp // what the stream's offsets count from: xs, or a part of the block

	acts   []vec // what is loaded of the stream
	loaded int   // the first 16 bytes of it, or -1
	acc    [][]vec
	sums   [][]vec // the float sums by quarter and token; nil where scratch holds them
	v      []vec   // to spare
}

// Offsets in scratch, in bytes. Vectors of quarter q stand at 16*q behind them. All but the parked sums are made anew
// for each block and group of quarters.
const (
	scales   = 0                           // 16 times four vectors
	minimums = scales + 16*64              // 8 times four vectors: 16-bit pairs, see minimum4
	highs    = minimums + 8*64             // 16 times four vectors
	parked   = highs + 16*64               // 12 times four vectors
	_        = uint(4096 - parked - 12*64) // the size of scratch
)

// begin starts a function and loads the arguments. dtypes names those of the weights and of the activations.
func begin(a *asm, dtypes string, tokens, quarters int) *kernel {
	name := fmt.Sprintf("dot%sNEONT%d", dtypes, tokens)
	doc := fmt.Sprintf("multiplies strips of weights with a tile of %d tokens: see dotStrips.", tokens)
	a.function(name, doc, 0, false,
		param{"out", "*float32"}, param{"stride", "int"}, param{"w", "*byte"}, param{"x", "*uint32"},
		param{"scratch", "*byte"}, param{"blocks", "int"}, param{"strips", "int"})
	k := &kernel{asm: a, tokens: tokens, quarters: quarters, loaded: -1}
	k.out, k.stride, k.w, k.x = a.arg("out"), a.arg("stride"), a.arg("w"), a.arg("x")
	k.scratch, k.blocks, k.strips = a.arg("scratch"), a.arg("blocks"), a.arg("strips")
	k.xs, k.left, k.dq = a.gp(), a.gp(), a.gp()
	k.xp = k.xs
	k.wq, k.sq = k.w, k.scratch
	if !k.whole() {
		k.wq, k.sq, k.groups = a.gp(), a.gp(), a.gp()
	}
	k.acts = a.vecs(max(1, tokens/4)) // the first registers: see smlal
	k.v = a.vecs(2)
	k.acc = k.square(quarters)
	if tokens < 4 {
		k.sums = k.square(quarters)
	}
	return k
}

// whole says that a group is a whole strip.
func (k *kernel) whole() bool { return k.quarters == 4 }

// square returns n times a register for each token.
func (k *kernel) square(n int) [][]vec {
	s := make([][]vec, n)
	for i := range s {
		s[i] = k.vecs(k.tokens)
	}
	return s
}

// strip starts the loops over strips and blocks. headed says that the d of all blocks come first, 32 bytes each, up to
// a multiple of 64.
func (k *kernel) strip(headed bool) {
	k.label("strip")
	k.move(k.xs, k.x)
	k.move(k.left, k.blocks)
	if headed {
		k.head = k.gp()
		k.move(k.head, k.w)
		k.shiftLeft(k.dq, k.blocks, 5)
		k.addImm(k.dq, k.dq, 63)
		k.line("AND $~63, %v, %v", k.dq, k.dq)
		k.add(k.w, k.w, k.dq)
	}
	if k.sums != nil {
		k.clear(k.sums)
	} else {
		k.zero(k.v[0])
		for i := range 4 * k.tokens {
			k.store(k.v[0], mem{k.scratch, parked + 16*i})
		}
	}
	k.label("block")
}

// group starts the loop over groups of quarters. d is the offset of d in the block where it is not in the head.
func (k *kernel) group(d int) {
	if k.head != 0 {
		k.move(k.dq, k.head)
	} else {
		k.addImm(k.dq, k.w, d)
	}
	if k.whole() {
		return
	}
	k.move(k.wq, k.w)
	k.move(k.sq, k.scratch)
	k.moveImm(k.groups, uint32(4/k.quarters))
	k.label("group")
}

// end closes the loops, moving on from a block of the given bytes and dwords of the stream, and stores the sums.
func (k *kernel) end(bytes, dwords int) {
	if !k.whole() {
		k.addImm(k.wq, k.wq, 16*k.quarters)
		k.addImm(k.sq, k.sq, 16*k.quarters)
		k.addImm(k.dq, k.dq, 8*k.quarters)
		k.count(k.groups, 1, "group")
	}
	k.addImm(k.w, k.w, bytes)
	k.addImm(k.xs, k.xs, 4*k.tokens*dwords)
	if k.head != 0 {
		k.addImm(k.head, k.head, 32)
	}
	k.count(k.left, 1, "block")

	k.comment("Store the sums, every NaN as the same one.")
	nan, ordered := k.acts[0], k.v[0]
	k.constant(nan, 0x7fc00000)
	k.move(k.dq, k.out)
	for t := range k.tokens {
		for q := range 4 {
			sum := k.v[1]
			if k.sums != nil {
				sum = k.sums[q][t]
			} else {
				k.load(sum, mem{k.scratch, parked + 64*t + 16*q})
			}
			k.fcmeq(ordered, sum, sum)
			k.insertNot(sum, nan, ordered)
			k.store(sum, mem{k.dq, 16 * q})
		}
		k.add(k.dq, k.dq, k.stride)
	}
	k.addImm(k.out, k.out, 64)
	k.count(k.strips, 1, "strip")
	k.ret()
}

// weights is a vector of quarter q at an offset in the strip's block.
func (k *kernel) weights(offset, q int) mem { return mem{k.wq, offset + 16*q} }

// stored is a vector of quarter q in scratch.
func (k *kernel) stored(offset, q int) mem { return mem{k.scratch, offset + 16*q} }

// clear sets sums to 0.
func (k *kernel) clear(sums [][]vec) {
	for _, row := range sums {
		for _, v := range row {
			k.zero(v)
		}
	}
}

// activation returns where the dword of token t at offset, which counts dwords of one token, has been loaded.
func (k *kernel) activation(offset, t, dwords int) (v vec, lane int) {
	at := offset*k.tokens + t
	chunk := at / 4
	first := offset * k.tokens / 4 // of this offset
	if k.loaded != first {
		for i := range k.acts {
			switch from := (mem{k.xp, 16 * (first + i)}); dwords*k.tokens - 4*(first+i) {
			case 1:
				k.load4(k.acts[i], from)
			case 2:
				k.load8(k.acts[i], from)
			default:
				k.load(k.acts[i], from)
			}
		}
		k.loaded = first
	}
	return k.acts[chunk-first], at % 4
}

// dot adds the products of vectors of weights, one for each quarter, with each token's dword at offset. weights makes
// one.
func (k *kernel) dot(offset, dwords int, weights func(q int, v vec)) {
	for q := 0; q < k.quarters; q += len(k.v) {
		n := min(len(k.v), k.quarters-q)
		for i := range n {
			weights(q+i, k.v[i])
		}
		for t := range k.tokens {
			x, lane := k.activation(offset, t, dwords)
			for i := range n {
				k.sdot(k.acc[q+i][t], k.v[i], x, lane)
			}
		}
	}
}

// step does sum = fma(factor*dx, v, sum) for each token of quarter q, dx being the scale at the stream's offset, or sum
// = fma(-(factor*dx), v, sum). factor is k.v[0], v holds floats, and spare is free.
func (k *kernel) step(q, offset, dwords int, v []vec, spare vec, minus bool) {
	factor, f := k.v[0], k.v[1]
	for t := range k.tokens {
		dx, lane := k.activation(offset, t, dwords)
		k.fmulLane(f, factor, dx, lane)
		k.sum(q, t, spare, func(sum vec) {
			if minus {
				k.fmls(sum, f, v[t])
			} else {
				k.fmla(sum, f, v[t])
			}
		})
	}
}

// sum calls add with the float sum of quarter q and token t, in spare where it is parked.
func (k *kernel) sum(q, t int, spare vec, add func(sum vec)) {
	if k.sums != nil {
		add(k.sums[q][t])
		return
	}
	at := mem{k.sq, parked + 64*t + 16*q}
	k.load(spare, at)
	add(spare)
	k.store(spare, at)
}

// loadD loads four d of quarter q, or what stands some bytes behind them, as floats.
func (k *kernel) loadD(v vec, q, behind int) {
	k.load8(v, mem{k.dq, behind + 8*q})
	k.fcvtl(v, v)
}
