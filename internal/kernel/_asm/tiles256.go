package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// A weight of a block of 256 times its sub-block's scale is an integer, so the product of a whole block needs no scale
// inside it once that is folded into the weights. Where such a product does not fit a byte it is split into two,
// low + high<<shift, each with tiles of its own. Every sum stays below 2^31.

// Offsets in a tile's stream of a block of 256, in bytes: see tiles.go of package kernel.
const (
	tileScale   = 4 * tileSize // after the quants
	tilePairs32 = tileScale + 64
	tilePairs16 = tilePairs32 + 4*64
	tileX256    = tilePairs16 + 8*64
)

// folded says how weights of a kquant are folded with their scales.
type folded struct {
	kquant
	parts    int
	shift    int  // of the high part
	unsigned bool // both parts, else the low part only where there are two
	offset   int  // what weights are above their values, as a shift: 1<<offset; 0 for nothing
	negate   bool // the products, and the d
}

var (
	q4KTiles = of256(layout.Q4_K, func(k *kernel) {
		sc, mn := k.scalesMinK4(2048)
		u := ZMM()
		for h := range 2 {
			k.minimum4(mn[h], u, h)
			k.scale4(sc[h], u, 4*h)
		}
	})
	foldedDTypes = []folded{
		{kquant: q2K, parts: 1},
		{kquant: q3K, parts: 1, offset: 2, negate: true},
		{kquant: q4KTiles, parts: 2, shift: 3, unsigned: true},
		{kquant: q5K, parts: 2, shift: 3, unsigned: true},
		{kquant: q6K, parts: 2, shift: 8, offset: 5},
		{kquant: iq4XS, parts: 2, shift: 8, offset: 7},
	}
)

// part is the place in scratch of vector g of a part of the folded weights.
func (k *tiles) part(p, g int) Mem { return k.stored(tileBytes + 4*tileSize*p + 64*g) }

// fold writes a block's weights, times their scales, to scratch.
func (k *tiles) fold(f folded, consts []VecVirtual) {
	v, u, s := ZMM(), ZMM(), ZMM()
	lines := (f.bytes + 63) / 64
	prefetch := func(g int) {
		for l := lines * g / 64; l < lines*(g+1)/64; l++ {
			PREFETCHT0(Mem{Base: k.w, Disp: distance + 64*l})
		}
	}
	f.decode(&k.kernel)
	switch {
	case f.parts == 1 && !f.negate || f.unsigned:
		// The products are small and positive: bytes multiply as words do, without a carry.
		seven := constant(0x00070007)
		low, high := ZMM(), ZMM()
		for j := range 256 / f.sub {
			Commentf("Sub-block %d.", j)
			VMOVDQA64(k.stored(scales+64*j), s)
			VPSLLD(Imm(16), s, u)
			VPORD(u, s, low)
			if f.parts == 2 {
				VPSRLW(U8(uint8(f.shift)), low, high)
				VPANDD(seven, low, low)
			}
			for g := j * f.sub / 4; g < (j+1)*f.sub/4; g++ {
				prefetch(g)
				f.weights(&k.kernel, consts, g, v, u)
				VPMULLW(low, v, u)
				VMOVDQA64(u, k.part(0, g))
				if f.parts == 2 {
					VPMULLW(high, v, v)
					VMOVDQA64(v, k.part(1, g))
				}
			}
		}
	default:
		bytes, word := constant(0x00ff00ff), constant(0x0000ffff)
		even, odd, bias, x := ZMM(), ZMM(), ZMM(), ZMM()
		for j := range 256 / f.sub {
			Commentf("Sub-block %d.", j)
			VMOVDQA64(k.stored(scales+64*j), s)
			VPSLLD(Imm(16), s, u)
			VPANDD(word, s, s)
			VPORD(u, s, s)
			VPSLLW(U8(uint8(f.offset)), s, bias)
			VPANDD(bytes, s, even)
			VPSLLW(Imm(8), even, odd)
			if f.negate {
				// Bytes of the offset times the scale.
				VPSLLW(Imm(8), bias, u)
				VPTERNLOGD(Imm(keepMasked), u, bytes, bias)
			}
			for g := j * f.sub / 4; g < (j+1)*f.sub/4; g++ {
				prefetch(g)
				f.weights(&k.kernel, consts, g, v, u)
				VPMADDUBSW(even, v, x)
				VPMADDUBSW(odd, v, v)
				if f.parts == 1 {
					VPSLLW(Imm(8), v, v)
					VPTERNLOGD(Imm(keepMasked), v, bytes, x)
					VPSUBB(x, bias, x)
					VMOVDQA64(x, k.part(0, g))
					continue
				}
				VPSUBW(bias, x, x)
				VPSUBW(bias, v, v)
				VPSLLW(Imm(8), v, u)
				VPTERNLOGD(Imm(takeMasked), x, bytes, u)
				VMOVDQA64(u, k.part(0, g))
				VPSRLW(Imm(8), x, x)
				VPTERNLOGD(Imm(takeMasked), x, bytes, v)
				VMOVDQA64(v, k.part(1, g))
			}
		}
	}
	if f.head {
		VCVTPH2PS(Mem{Base: k.head}, v)
		ADDQ(Imm(32), k.head)
	} else {
		VCVTPH2PS(k.vector(f.d), v)
	}
	if f.negate {
		VPXORD(constant(0x80000000), v, v)
	}
	VMOVAPS(v, k.stored(tileFactor))
	if f.dmin != 0 {
		VCVTPH2PS(k.vector(f.dmin), v)
		VMOVAPS(v, k.stored(tileMin))
	}
}

// VPTERNLOGD's truth tables: with mask b, dst where it is set and else c; and c where it is set and else dst.
const (
	keepMasked = 0xf0&0xcc | 0xaa&0x33
	takeMasked = 0xcc&0xaa | 0xf0&0x33
)

// tiles256 multiplies a dtype with blocks of 256.
func tiles256(f folded) {
	k := beginTiles("dot"+f.name+"Q8KAMX", 2, 64)
	var consts []VecVirtual
	for _, dword := range f.constants {
		consts = append(consts, constant(dword))
	}
	if f.steps {
		k.loadSteps()
	}
	k.loop(f.head)
	Label("block")
	k.twice(func() {
		k.fold(f, consts)
		ADDQ(U32(uint32(f.bytes)), k.w)
	})

	pairs, sums := 8, tilePairs16
	if f.sub == 32 {
		pairs, sums = 4, tilePairs32
	}
	var factor, dmin [2]VecVirtual
	var mins [2][]VecVirtual
	for strip := range 2 {
		factor[strip] = ZMM()
		VMOVAPS(inArea(strip, tileFactor), factor[strip])
		if f.dmin != 0 {
			dmin[strip], mins[strip] = ZMM(), vectors(pairs)
			VMOVAPS(inArea(strip, tileMin), dmin[strip])
			for p, v := range mins[strip] {
				VMOVDQA64(inArea(strip, minimums+64*p), v)
			}
		}
	}
	k.each()

	// multiply returns the steps that make the products of a tile of tokens, at an offset of the stream. Products are
	// those of the first strip's parts and of the second's.
	multiply := func(offset int) (steps []func()) {
		for d := range 4 {
			for strip := range 2 {
				for p := range f.parts {
					steps = append(steps, func() {
						if d == 0 {
							tileZero(2*strip + p)
						}
						if strip == 0 && p == 0 {
							tileLoad(4+d%2, at{stream, line, offset + tileSize*d})
						}
						tileLoad(6+p, at{area, line, tileArea*strip + tileBytes + 4*tileSize*p + tileSize*d})
						tileDot(2*strip+p, 4+d%2, 6+p, f.unsigned || f.parts == 2 && p == 0)
					})
				}
			}
		}
		return steps
	}
	store := func() {
		for strip := range 2 {
			for p := range f.parts {
				tileStore(at{area, line, tileSums + tileSize*(2*strip+p)}, 2*strip+p)
			}
		}
	}
	// add does the float steps of token t.
	add := func(t int) {
		dx, x := ZMM(), ZMM()
		VBROADCASTSS(k.activation(tileScale, t), dx)
		var v, factors, total, msum [2]VecVirtual
		for strip := range 2 {
			v[strip], factors[strip], total[strip], msum[strip] = ZMM(), ZMM(), ZMM(), ZMM()
			low := Mem{Base: area, Disp: tileSums + 2*tileSize*strip + 64*t}
			high := low.Offset(tileSize)
			if f.parts == 2 {
				VPSLLD(U8(uint8(f.shift)), high, v[strip])
				VPADDD(low, v[strip], v[strip])
				VCVTDQ2PS(v[strip], v[strip])
			} else {
				VCVTDQ2PS(low, v[strip])
			}
			VMULPS(dx, factor[strip], factors[strip])
			VMOVAPS(Mem{Base: k.totals, Disp: tileSize*strip + 64*t}, total[strip])
			VFMADD231PS(v[strip], factors[strip], total[strip])
		}
		if f.dmin != 0 {
			for p := range pairs {
				VPBROADCASTD(k.activation(sums+64*p, t), x)
				for strip := range 2 {
					if p == 0 {
						VPMADDWD(x, mins[strip][p], msum[strip])
					} else {
						VPDPWSSD(x, mins[strip][p], msum[strip])
					}
				}
			}
			for strip := range 2 {
				VCVTDQ2PS(msum[strip], msum[strip])
				VMULPS(dx, dmin[strip], factors[strip])
				VFNMADD231PS(msum[strip], factors[strip], total[strip])
			}
		}
		for strip := range 2 {
			VMOVAPS(total[strip], Mem{Base: k.totals, Disp: tileSize*strip + 64*t})
		}
	}
	for _, step := range multiply(0) {
		step()
	}
	store()
	CMPQ(k.left, Imm(tileTokens))
	JLE(LabelRef("last"))

	Comment("The float steps of a tile of tokens, and the products of the next tile.")
	Label("tile")
	steps := multiply(tileX256)
	for t := range tileTokens {
		for _, step := range steps[len(steps)*t/tileTokens : len(steps)*(t+1)/tileTokens] {
			step()
		}
		add(t)
	}
	store()
	ADDQ(U32(tileX256), stream)
	ADDQ(U32(2*tileSize), k.totals)
	SUBQ(Imm(tileTokens), k.left)
	CMPQ(k.left, Imm(tileTokens))
	JG(LabelRef("tile"))

	Comment("The last tile.")
	Label("last")
	for t := range tileTokens {
		if t == tileTokens/2 {
			CMPQ(k.left, Imm(tileTokens/2))
			JLE(LabelRef("next"))
		}
		add(t)
	}
	Label("next")
	ADDQ(NewParamAddr("step", 48), k.xs)
	DECQ(k.blocks)
	JNZ(LabelRef("block"))
	k.end()
}
