package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A block of 32 has a float scale of its own, so its product is a tile's with half of the depth, and float steps
// follow each. They are most of the work, hence the products of a tile of tokens with a whole chunk come first and the
// steps then have both ports to themselves, with the sums in registers.

// Offsets in a tile's stream of a block of 32, in bytes: see tiles.go of package kernel.
const (
	tileScale32 = 32 * tileTokens // after the quants
	tileSum32   = tileScale32 + 4*tileTokens
	tileX32     = tileSum32 + 4*tileTokens
)

// A block of a chunk in scratch, in bytes.
const (
	unfoldedD = 8 * 64 // after the weights; a vector of floats
	unfoldedM = unfoldedD + 64
	unfolded  = unfoldedM + 64
	chunk     = 16 // blocks
)

// Registers of operands in memory, beside those of all kernels with tiles.
var (
	sums   = R11 // products of tiles
	block  = R12 // a block of a chunk
	line32 = R13 // 32
)

// tiles32 multiplies a dtype with blocks of 32. offset is how much larger unsigned weights are than those that they
// stand for.
func tiles32(f legacy, offset uint8) {
	k := beginTiles("dot"+f.name+"Q80AMX", 1, 32)
	MOVQ(U32(32), line32)
	var consts []VecVirtual
	for _, dword := range f.constants {
		consts = append(consts, constant(dword))
	}
	var above VecVirtual
	if offset != 0 {
		above = constant(uint32(offset) * 0x01010101)
	}
	if f.steps {
		k.loadSteps()
	}
	k.loop(f.head)

	Comment("The weights of a chunk of blocks.")
	Label("chunk")
	n, v, u := GP64(), ZMM(), ZMM()
	size := k.second // in blocks
	MOVQ(U32(chunk), n)
	CMPQ(n, k.blocks)
	CMOVQGT(k.blocks, n)
	MOVQ(n, size)
	LEAQ(inArea(0, tileBytes), block)
	Label("unfold")
	bytes := f.bytes
	if f.head {
		bytes += 32
	}
	for l := range (bytes + 63) / 64 {
		PREFETCHT0(Mem{Base: k.w, Disp: distance + 64*l})
	}
	for g := range 8 {
		f.weights(&k.kernel, consts, g, v, u)
		if offset != 0 {
			VPSUBB(above, v, v)
		}
		VMOVDQA64(v, Mem{Base: block, Disp: 64 * g})
	}
	if f.head {
		VCVTPH2PS(Mem{Base: k.head}, v)
		ADDQ(Imm(32), k.head)
	} else {
		VCVTPH2PS(k.vector(f.d), v)
		VCVTPH2PS(k.vector(f.d+32), u)
		VMOVAPS(u, Mem{Base: block, Disp: unfoldedM})
	}
	VMOVAPS(v, Mem{Base: block, Disp: unfoldedD})
	ADDQ(U32(uint32(f.bytes)), k.w)
	ADDQ(U32(unfolded), block)
	DECQ(n)
	JNZ(LabelRef("unfold"))

	Comment("Products of a tile of tokens with the chunk.")
	k.each()
	tile, totals := GP64(), vectors(tileTokens)
	MOVQ(stream, tile)
	begin := func() {
		MOVQ(tile, stream)
		LEAQ(inArea(0, tileBytes), block)
		LEAQ(Mem{Base: area, Disp: tileSums}, sums)
		MOVQ(size, n)
	}
	next := func() {
		ADDQ(U32(tileX32), stream)
		ADDQ(U32(unfolded), block)
		ADDQ(U32(tileSize), sums)
		DECQ(n)
	}
	Label("tile")
	begin()
	Label("products")
	for i := range 2 { // by turns, so that one need not wait for the other's store
		tileZero(i)
		tileLoad(4+i, at{stream, line32, 0})
		tileLoad(6+i, at{block, line, 0})
		tileDot(i, 4+i, 6+i, false)
		tileStore(at{sums, line, 0}, i)
		next()
		if i == 0 {
			JZ(LabelRef("made"))
		} else {
			JNZ(LabelRef("products"))
		}
	}
	Label("made")

	Comment("Their float steps.")
	begin()
	for t, sum := range totals {
		VMOVAPS(Mem{Base: k.totals, Disp: 64 * t}, sum)
	}
	d, m := ZMM(), ZMM()
	Label("block")
	VMOVAPS(Mem{Base: block, Disp: unfoldedD}, d)
	if !f.head {
		VMOVAPS(Mem{Base: block, Disp: unfoldedM}, m)
	}
	for t, sum := range totals {
		if t == tileTokens/2 {
			CMPQ(k.left, Imm(tileTokens/2))
			JLE(LabelRef("next"))
		}
		v, factor := ZMM(), ZMM()
		VCVTDQ2PS(Mem{Base: sums, Disp: 64 * t}, v)
		VMULPS_BCST(k.activation(tileScale32, t), d, factor)
		VFMADD231PS(v, factor, sum)
		if !f.head {
			VMULPS_BCST(k.activation(tileScale32, t), m, factor)
			VFMADD231PS_BCST(k.activation(tileSum32, t), factor, sum)
		}
	}
	Label("next")
	next()
	JNZ(LabelRef("block"))
	for t, sum := range totals {
		VMOVAPS(sum, Mem{Base: k.totals, Disp: 64 * t})
	}
	ADDQ(U32(tileSize), k.totals)
	ADDQ(NewParamAddr("step", 48), tile)
	SUBQ(Imm(tileTokens), k.left)
	JG(LabelRef("tile"))

	MOVQ(size, n)
	SUBQ(n, k.blocks)
	IMUL3Q(U32(tileX32), n, n)
	ADDQ(n, k.xs)
	CMPQ(k.blocks, Imm(0))
	JG(LabelRef("chunk"))
	k.end()
}
