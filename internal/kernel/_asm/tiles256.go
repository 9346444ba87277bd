package main

import (
	"fmt"

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
	parts      int
	shift      int  // of the high part
	unsigned   bool // both parts, else the low part only where there are two
	offset     int  // what weights are above their values, as a shift: 1<<offset; 0 for nothing
	negate     bool // the products, and the d
	scaleBytes bool // scales are bytes of their own; else decode is for them
}

var foldedDTypes = []folded{
	{kquant: q2K, parts: 1},
	{kquant: q3K, parts: 1, offset: 2, negate: true},
	{kquant: of256(layout.Q4_K, nil), parts: 2, shift: 3, unsigned: true},
	{kquant: q5K, parts: 2, shift: 3, unsigned: true},
	{kquant: q6K, parts: 2, shift: 8, offset: 5, scaleBytes: true},
	{kquant: iq4XS, parts: 2, shift: 8, offset: 7},
}

// part is the place in scratch of vector g of a part of the folded weights.
func (k *tiles) part(p, g int) Mem { return k.stored(tileBytes + 4*tileSize*p + 64*g) }

// wordsMade are the constants of toWords that exist.
var wordsMade = map[[2]int]Mem{}

// toWords is VPSHUFB's control that has byte j of each dword as the lower byte of both words, or as the upper one, and 0
// as the other.
func toWords(j int, upper bool) Mem {
	up := 0
	if upper {
		up = 1
	}
	m, made := wordsMade[[2]int{j, up}]
	if !made {
		panic("no such constant")
	}
	return m
}

// bytesUp is VPSHUFB's control that shifts each dword left by a byte.
var bytesUp Mem

func makeShuffles() {
	bytesUp = GLOBL("bytesUp", RODATA|NOPTR)
	for i := range 64 {
		b := uint8(0x80)
		if i%4 > 0 {
			b = uint8(i%16 - 1)
		}
		DATA(i, U8(b))
	}
	for j := range 4 {
		for up := range 2 {
			m := GLOBL(fmt.Sprintf("words%d%s", j, []string{"low", "high"}[up]), RODATA|NOPTR)
			for i := range 64 {
				b := uint8(0x80)
				if i%2 == up {
					b = uint8(i%16/4*4 + j)
				}
				DATA(i, U8(b))
			}
			wordsMade[[2]int{j, up}] = m
		}
	}
}

// fold returns the steps that write a block's weights, times their scales, to scratch, with prefetch before those of
// vector g. They leave k.w and k.head where they are.
func (k *tiles) fold(f folded, consts []VecVirtual, prefetch func(g int)) (steps []func()) {
	v, u, s := ZMM(), ZMM(), ZMM()
	do := func(step func()) { steps = append(steps, step) }
	switch {
	case f.unsigned:
		// Bytes of scales become words, and those of weights that are high nibbles, which stay where they are, the upper
		// bytes of words, a nibble higher, so that the upper half of a product is what the lower half is of others.
		low, high := vectors(2), vectors(2)
		seven, nibble, odd := constant(0x07070707), VecVirtual(nil), VecVirtual(nil)
		raised := f.name == layout.Q4_K.Name
		if raised {
			nibble, odd = constant(0xf0f0f0f0), constant(0xff00ff00)
		}
		do(func() {
			sc, mn := k.scalesMinK4()
			for h := range 2 {
				k.minimum4(mn[h], v, h)
				VPANDD(seven, sc[h], low[h])
				VPSRLW(U8(uint8(f.shift)), sc[h], high[h])
				VPANDD(seven, high[h], high[h])
				if raised {
					for _, half := range []VecVirtual{low[h], high[h]} {
						VPSLLW(Imm(4), half, v)
						VPTERNLOGD(Imm(takeMasked), v, odd, half)
					}
				}
			}
		})
		lowWord, highWord := ZMM(), ZMM()
		for j := range 8 {
			up := raised && j%2 == 1
			do(func() {
				VPSHUFB(toWords(j%4, up), low[j/4], lowWord)
				VPSHUFB(toWords(j%4, up), high[j/4], highWord)
			})
			for g := 8 * j; g < 8*(j+1); g++ {
				do(func() {
					prefetch(g)
					if up {
						VPANDD(k.vector(layout.Q4_K.Pieces(g)[0].Offset), nibble, v)
						VPMULHUW(lowWord, v, u)
						VPMULHUW(highWord, v, v)
					} else {
						f.weights(&k.kernel, consts, g, v, u)
						VPMULLW(lowWord, v, u)
						VPMULLW(highWord, v, v)
					}
					VMOVDQA64(u, k.part(0, g))
					VMOVDQA64(v, k.part(1, g))
				})
			}
		}
	case f.parts == 1 && !f.negate:
		// The products are small and positive: bytes multiply as words do, without a carry.
		do(func() { f.decode(&k.kernel) })
		for j := range 256 / f.sub {
			do(func() {
				VMOVDQA64(k.stored(scales+64*j), s)
				VPSLLD(Imm(16), s, u)
				VPORD(u, s, s)
			})
			for g := j * f.sub / 4; g < (j+1)*f.sub/4; g++ {
				do(func() {
					prefetch(g)
					f.weights(&k.kernel, consts, g, v, u)
					VPMULLW(s, v, u)
					VMOVDQA64(u, k.part(0, g))
				})
			}
		}
	default:
		bytes := constant(0x00ff00ff)
		var word VecVirtual
		if !f.scaleBytes {
			word = constant(0x0000ffff)
		}
		even, odd, bias, x := ZMM(), ZMM(), ZMM(), ZMM()
		if !f.scaleBytes {
			do(func() { f.decode(&k.kernel) })
		}
		for j := range 256 / f.sub {
			do(func() {
				if f.scaleBytes {
					if j%4 == 0 {
						VMOVDQU64(k.vector(16*j), s)
					}
					VPSHUFB(toWords(j%4, false), s, even)
					VPSHUFB(toWords(j%4, true), s, odd)
					VPSRAW(U8(uint8(8-f.offset)), odd, bias)
					return
				}
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
			})
			for g := j * f.sub / 4; g < (j+1)*f.sub/4; g++ {
				do(func() {
					prefetch(g)
					f.weights(&k.kernel, consts, g, v, u)
					VPMADDUBSW(even, v, x)
					VPMADDUBSW(odd, v, v)
					if f.parts == 1 {
						VPSLLW(Imm(8), v, v)
						VPTERNLOGD(Imm(keepMasked), v, bytes, x)
						VPSUBB(x, bias, x)
						VMOVDQA64(x, k.part(0, g))
						return
					}
					VPSUBW(bias, x, x)
					VPSUBW(bias, v, v)
					// Bytes are moved as such, which other ports do than shifts.
					VPSLLDQ(Imm(1), v, u)
					VPTERNLOGD(Imm(takeMasked), x, bytes, u)
					VMOVDQA64(u, k.part(0, g))
					VPSRLDQ(Imm(1), x, x)
					VPTERNLOGD(Imm(takeMasked), x, bytes, v)
					VMOVDQA64(v, k.part(1, g))
				})
			}
		}
	}
	do(func() {
		if f.head {
			VCVTPH2PS(Mem{Base: k.head}, v)
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
	})
	return steps
}

// floatBlock is what the float steps of a strip's block take: constants of the block, the products of its tiles, and the
// rows' sums.
type floatBlock struct {
	factor, dmin VecVirtual
	mins         []VecVirtual
	products     Mem // those of the low part, and a tile further on those of the high part
	totals       Mem
}

// pairsOf says how many vectors of pairs the minimums of a dtype are, and where the stream has theirs.
func (f *folded) pairsOf() (pairs, sums int) {
	if f.sub == 32 {
		return 4, tilePairs32
	}
	return 8, tilePairs16
}

// floatBlock loads the constants from the area at base.
func (f *folded) floatBlock(base Mem, products, totals Mem) floatBlock {
	b := floatBlock{factor: ZMM(), products: products, totals: totals}
	VMOVAPS(base.Offset(tileFactor), b.factor)
	if f.dmin != 0 {
		pairs, _ := f.pairsOf()
		b.dmin, b.mins = ZMM(), vectors(pairs)
		VMOVAPS(base.Offset(tileMin), b.dmin)
		for p, v := range b.mins {
			VMOVDQA64(base.Offset(minimums+64*p), v)
		}
	}
	return b
}

// add does the float steps of token t, whose stream is x, for blocks of one or two strips.
func (f *folded) add(x Register, blocks []floatBlock, t int) {
	activation := func(offset int) Mem { return Mem{Base: x, Disp: offset + 4*t} }
	dx, pair := ZMM(), ZMM()
	VBROADCASTSS(activation(tileScale), dx)
	factors, total, msum := vectors(len(blocks)), vectors(len(blocks)), vectors(len(blocks))
	for i, b := range blocks {
		low, v := b.products.Offset(64*t), ZMM()
		if f.parts == 2 {
			// A shift would want the port that multiplications have.
			VMOVDQA32(low.Offset(tileSize), v)
			if f.shift == 8 {
				VPSHUFB(bytesUp, v, v)
			} else {
				for range f.shift {
					VPADDD(v, v, v)
				}
			}
			VPADDD(low, v, v)
			VCVTDQ2PS(v, v)
		} else {
			VCVTDQ2PS(low, v)
		}
		VMULPS(dx, b.factor, factors[i])
		VMOVAPS(b.totals.Offset(64*t), total[i])
		VFMADD231PS(v, factors[i], total[i])
	}
	if f.dmin != 0 {
		pairs, sums := f.pairsOf()
		for p := range pairs {
			VPBROADCASTD(activation(sums+64*p), pair)
			for i, b := range blocks {
				if p == 0 {
					VPMADDWD(pair, b.mins[p], msum[i])
				} else {
					VPDPWSSD(pair, b.mins[p], msum[i])
				}
			}
		}
		for i, b := range blocks {
			VCVTDQ2PS(msum[i], msum[i])
			VMULPS(dx, b.dmin, factors[i])
			VFNMADD231PS(msum[i], factors[i], total[i])
		}
	}
	for i, b := range blocks {
		VMOVAPS(total[i], b.totals.Offset(64*t))
	}
}

// prefetchFolded returns what prefetches weights of blocks of so many bytes from memory, a part of them for each vector.
func (k *tiles) prefetchFolded(bytes int) func(g int) {
	lines := (bytes + 63) / 64
	return func(g int) {
		for l := lines * g / 64; l < lines*(g+1)/64; l++ {
			prefetchLine(k.w, distance+64*l)
		}
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
		for _, step := range k.fold(f, consts, k.prefetchFolded(f.bytes)) {
			step()
		}
		ADDQ(U32(uint32(f.bytes)), k.w)
		if f.head {
			ADDQ(Imm(32), k.head)
		}
	})
	blocks := make([]floatBlock, 2)
	for i := range blocks {
		blocks[i] = f.floatBlock(inArea(i, 0), Mem{Base: area, Disp: tileSums + 2*tileSize*i}, Mem{Base: k.totals, Disp: tileSize * i})
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
		f.add(stream, blocks, t)
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
		f.add(stream, blocks, t)
	}
	Label("next")
	ADDQ(NewParamAddr("step", 48), k.xs)
	DECQ(k.blocks)
	JNZ(LabelRef("block"))
	k.end()
}
