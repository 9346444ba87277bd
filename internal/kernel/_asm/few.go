package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Products with up to 16 tokens read as many bytes of weights as those with one, so their kernels have to keep the memory
// busy: what they compute for a block of a strip must take less time than it takes to arrive. Their steps are pipelined.
// A turn of the loop does three blocks' at once, with the instructions mixed:
//
//	fold  the weights of the next block become bytes, in one of two areas of scratch
//	dot   the tiles of this block are multiplied; the products are stored at the end of the turn
//	add   the float steps of the block before
//
// All strips take a turn with a block before any takes one with the next block, and tiles of activations stay in registers
// meanwhile.

// Offsets in scratch, in bytes. The areas are what tiles256 has, moved against each other by half a page: a load waits for
// a store where the lowest 12 bits of their addresses are the same.
const (
	fewArea   = tileArea + 2048
	fewShapes = 2 * fewArea
	fewSums   = fewShapes + 64
	fewNone   = fewSums + 2*tileSize // float sums of no strip
	fewTotals = fewNone + tileSize   // 16 vectors for each strip
)

// base is scratch.
var base = R11

// few is the state of a kernel for few tokens while its text is written.
type few struct {
	tiles
	f      folded
	tokens int

	size   GPVirtual // of a strip
	strips Mem

	// Where the weights of a turn to come are, and d if the dtype has them first: next are those of the turn after the one
	// that w is for, and ahead those of the turn behind it, which prefetches go by. ahead's strip is one of toGo of a block
	// that is one of blocksToGo and begins, with the first strip, at row.
	next, nextHead   Mem
	aheadHead        Mem
	row, rowHead     Mem
	toGo, blocksToGo Mem
	labels           int
}

// fewTokens multiplies up to so many tokens with a dtype with blocks of 256.
func fewTokens(f folded, tokens int) {
	name := fmt.Sprintf("dot%sQ8KAMXT%d", f.name, tokens)
	TEXT(name, NOSPLIT,
		"func(out *float32, stride int, w *byte, size int, x, scratch *byte, step, blocks, tokens, rows int)")
	Doc(fmt.Sprintf("%s multiplies strips of weights with up to %d tokens: see dotTiles.", name, tokens))
	k := &few{f: f, tokens: tokens, strips: AllocLocal(8)}
	Load(Param("scratch"), base)
	Load(Param("x"), stream)
	MOVQ(U32(64), line)
	k.zero = ZMM()
	VPXORD(k.zero, k.zero, k.zero)
	k.shapes()

	Comment("The float sums, and the number of turns.")
	n, turns := GP64(), AllocLocal(8)
	Load(Param("rows"), n)
	ADDQ(Imm(15), n)
	SHRQ(Imm(4), n)
	MOVQ(n, k.strips)
	totals, last := GP64(), GP64()
	firstTotals := Mem{Base: base, Disp: fewTotals}
	LEAQ(firstTotals, totals)
	Label("clear")
	for t := range tokens {
		VMOVDQA64(k.zero, Mem{Base: totals, Disp: 64 * t})
	}
	ADDQ(U32(tileSize), totals)
	DECQ(n)
	JNZ(LabelRef("clear"))
	LEAQ(firstTotals, totals)
	LEAQ(Mem{Base: base, Disp: fewNone}, last)
	MOVQ(k.strips, n)
	left := AllocLocal(8) // strips that are to be multiplied with the tokens' block
	MOVQ(n, left)
	IMULQ(NewParamAddr("blocks", 56), n)
	MOVQ(n, turns)

	k.beginWeights()
	k.nextWeights()
	k.nextWeights()
	k.scratch = GP64()
	MOVQ(base, k.scratch)
	LEAQ(Mem{Base: base, Disp: fewArea}, area)
	x := GP64()
	MOVQ(stream, x)
	var consts []VecVirtual
	for _, dword := range f.constants {
		consts = append(consts, constant(dword))
	}
	if f.steps {
		k.loadSteps()
	}
	lines := (f.bytes + 63) / 64
	fold := k.fold(f, consts, func(g int) {
		for l := lines * g / 64; l < lines*(g+1)/64; l++ {
			PREFETCHT1(Mem{Base: k.ahead, Disp: 64 * l}) // from there they come in time without being asked for
		}
	})
	var dot, add []func()
	for p := range f.parts {
		dot = append(dot, func() { tileZero(p) })
	}
	for d := range 4 {
		for p := range f.parts {
			dot = append(dot, func() {
				tileLoad(6+p, at{area, line, tileBytes + 4*tileSize*p + tileSize*d})
				tileDot(p, 2+d, 6+p, f.unsigned || f.parts == 2 && p == 0)
			})
		}
	}
	var block floatBlock
	for t := range tokens {
		add = append(add, func() { f.add(x, []floatBlock{block}, t) })
	}
	loadTokens := func() {
		for d := range 4 {
			tileLoad(2+d, at{stream, line, tileSize * d})
		}
	}

	Comment("The first block.")
	mix(part{fold, 0, 1})
	loadTokens()
	k.swap()

	Label("turn")
	k.nextWeights()
	block = f.floatBlock(Mem{Base: k.scratch}, Mem{Base: base, Disp: fewSums}, Mem{Base: last})
	mix(part{fold, 0, 1}, part{dot, 0.02, 0.7}, part{add, 0.1, 1})
	for p := range f.parts {
		tileStore(at{base, line, fewSums + tileSize*p}, p)
	}
	MOVQ(stream, x)
	MOVQ(totals, last)
	DECQ(turns)
	JZ(LabelRef("turned"))
	ADDQ(U32(tileSize), totals)
	DECQ(left)
	JNZ(LabelRef("same"))
	MOVQ(k.strips, n)
	MOVQ(n, left)
	LEAQ(firstTotals, totals)
	ADDQ(NewParamAddr("step", 48), stream)
	loadTokens()
	Label("same")
	k.swap()
	JMP(LabelRef("turn"))

	Comment("The float steps of the last block.")
	Label("turned")
	block = f.floatBlock(Mem{Base: area}, Mem{Base: base, Disp: fewSums}, Mem{Base: last})
	mix(part{add, 0, 1})
	tileRelease()
	k.store(firstTotals)
	VZEROUPPER()
	RET()
}

// shapes configures the tiles: 0 and 1 are products, 2 to 5 activations, 6 and 7 weights.
func (k *few) shapes() {
	p, n, v := GP64(), GP64(), ZMM()
	shapes := tileShapes(16, 64)
	LEAQ(shapes, p)
	VMOVDQU64(Mem{Base: p}, v)
	VMOVDQU64(v, Mem{Base: base, Disp: fewShapes})
	Load(Param("tokens"), n)
	for t := range 6 {
		MOVB(n.As8(), Mem{Base: base, Disp: fewShapes + 48 + t})
	}
	tileConfigure(at{base, nil, fewShapes})
}

// beginWeights sets the place ahead to the first block's weights.
func (k *few) beginWeights() {
	k.w, k.ahead, k.size = GP64(), GP64(), GP64()
	k.next, k.row, k.toGo, k.blocksToGo = AllocLocal(8), AllocLocal(8), AllocLocal(8), AllocLocal(8)
	if k.f.head {
		k.head = GP64()
		k.nextHead, k.aheadHead, k.rowHead = AllocLocal(8), AllocLocal(8), AllocLocal(8)
	}
	Load(Param("size"), k.size)
	n := GP64()
	MOVQ(k.strips, n)
	MOVQ(n, k.toGo)
	k.firstRow()
}

// firstRow sets the place ahead to the first block of the first strip.
func (k *few) firstRow() {
	Load(Param("w"), k.ahead)
	n := Load(Param("blocks"), GP64())
	MOVQ(n, k.blocksToGo)
	if k.f.head {
		MOVQ(k.ahead, k.aheadHead)
		MOVQ(k.ahead, k.rowHead)
		SHLQ(Imm(5), n)
		ADDQ(Imm(63), n)
		ANDQ(I8(-64), n)
		ADDQ(n, k.ahead)
	}
	MOVQ(k.ahead, k.row)
}

// nextWeights moves on by a turn. Behind the last block comes the first one: something has to be folded.
func (k *few) nextWeights() {
	MOVQ(k.next, k.w)
	MOVQ(k.ahead, k.next)
	ADDQ(k.size, k.ahead)
	n := GP64()
	if k.f.head {
		MOVQ(k.nextHead, k.head)
		MOVQ(k.aheadHead, n)
		MOVQ(n, k.nextHead)
		ADDQ(k.size, n)
		MOVQ(n, k.aheadHead)
	}
	k.labels++
	moved := fmt.Sprintf("moved%d", k.labels)
	DECQ(k.toGo)
	JNZ(LabelRef(moved))
	MOVQ(k.strips, n)
	MOVQ(n, k.toGo)
	MOVQ(k.row, k.ahead)
	ADDQ(U32(uint32(k.f.bytes)), k.ahead)
	MOVQ(k.ahead, k.row)
	if k.f.head {
		MOVQ(k.rowHead, n)
		ADDQ(Imm(32), n)
		MOVQ(n, k.rowHead)
		MOVQ(n, k.aheadHead)
	}
	DECQ(k.blocksToGo)
	JNZ(LabelRef(moved))
	k.firstRow()
	Label(moved)
}

// swap exchanges the areas.
func (k *few) swap() {
	n := GP64()
	MOVQ(k.scratch, n)
	MOVQ(area, k.scratch)
	MOVQ(n, area)
}

// store writes the sums where they belong, every NaN as the same one.
func (k *few) store(totals Mem) {
	Comment("Store the sums, every NaN as the same one.")
	rows, out := Load(Param("rows"), GP64()), Load(Param("out"), GP64())
	stride := Load(Param("stride"), GP64())
	nan, sum, all, mask, unordered := constant(0x7fc00000), ZMM(), GP64(), K(), K()
	from, p, q, n := GP64(), GP64(), GP64(), GP64()
	LEAQ(totals, from)
	Label("strip")
	MOVQ(I32(-1), all)
	BZHIQ(rows, all, all)
	CMPQ(rows, Imm(16))
	JLE(LabelRef("masked"))
	MOVQ(I32(-1), all)
	Label("masked")
	KMOVW(all.As32(), mask)
	MOVQ(from, p)
	MOVQ(out, q)
	Load(Param("tokens"), n)
	Label("token")
	VMOVAPS(Mem{Base: p}, sum)
	VCMPPS(Imm(3), sum, sum, unordered)
	VMOVAPS(nan, unordered, sum)
	VMOVUPS(sum, mask, Mem{Base: q})
	ADDQ(stride, q)
	ADDQ(Imm(64), p)
	DECQ(n)
	JNZ(LabelRef("token"))
	ADDQ(U32(tileSize), from)
	ADDQ(Imm(64), out)
	SUBQ(Imm(16), rows)
	JG(LabelRef("strip"))
}

// part is a sequence of steps that is spread evenly over a part of a turn, from 0 to 1.
type part struct {
	steps    []func()
	from, to float64
}

// mix writes the steps of some sequences.
func mix(parts ...part) {
	done := make([]int, len(parts))
	for {
		first, at := -1, 0.0
		for i, p := range parts {
			if done[i] < len(p.steps) {
				x := p.from + (p.to-p.from)*float64(done[i])/float64(len(p.steps))
				if first < 0 || x < at {
					first, at = i, x
				}
			}
		}
		if first < 0 {
			return
		}
		parts[first].steps[done[first]]()
		done[first]++
	}
}
