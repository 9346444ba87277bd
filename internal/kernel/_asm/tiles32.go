package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A block of 32 has a float scale of its own, so its product is a tile's with half of the depth, and float steps
// follow each. They are most of the work, hence the products of a tile of tokens with a whole chunk come first and the
// steps then have both ports to themselves, with the sums in registers.
//
// On a Sapphire Rapids a product whose store follows the next product takes 20 cycles, 27 with its loads, where one that is
// stored at once takes 33. The steps of 16 tokens take 40 at least, 5 instructions for each on two ports. A chunk is as
// large as fits the first-level cache with its sums, the tile's stream and that of the next tile.

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
	chunk     = 12 // blocks

	tileSums32 = 16384 // products of tiles, in scratch
	_          = uint(tileSums32 - tileBytes - chunk*unfolded)
	_          = uint(tileTotals - tileSums32 - chunk*tileSize)
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
	k.strip32(f.head)

	Comment("The weights of a chunk of blocks.")
	Label("chunk")
	n, v, u := GP64(), ZMM(), ZMM()
	size, mask := k.second, k.firstHead // in blocks; of the rows that there are
	MOVQ(I32(-1), n)
	rowsLeft := Load(Param("rows"), GP64())
	CMPQ(rowsLeft, Imm(tileTokens))
	JGE(LabelRef("all"))
	BZHIQ(rowsLeft, n, n)
	Label("all")
	MOVQ(n, mask)
	MOVQ(U32(chunk), n)
	CMPQ(n, k.blocks)
	CMOVQGT(k.blocks, n)
	MOVQ(n, size)
	LEAQ(inArea(0, tileBytes), block)
	Label("unfold")
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
	tile, totals, out := GP64(), vectors(tileTokens), k.secondHead
	MOVQ(stream, tile)
	MOVQ(Load(Param("out"), n), out)
	begin := func() {
		MOVQ(tile, stream)
		LEAQ(inArea(0, tileBytes), block)
		LEAQ(Mem{Base: area, Disp: tileSums32}, sums)
		MOVQ(size, n)
	}
	next := func() {
		ADDQ(U32(tileX32), stream)
		ADDQ(U32(unfolded), block)
		DECQ(n)
	}
	Label("tile")
	begin()
	coming := GP64() // the weights of the next chunk, or strip
	MOVQ(k.w, coming)
	product := func(i int) {
		// There is time for it here, while tiles are multiplied.
		for l := range (f.bytes + 63) / 64 {
			PREFETCHT0(Mem{Base: coming, Disp: 64 * l})
		}
		ADDQ(U32(uint32(f.bytes)), coming)
		tileZero(i)
		tileLoad(4+i, at{stream, line32, 0})
		tileLoad(6+i, at{block, line, 0})
		tileDot(i, 4+i, 6+i, false)
		next()
	}
	product(0)
	JZ(LabelRef("even"))
	Label("products")
	for i := range 2 {
		product(1 - i)
		tileStore(at{sums, line, 0}, i) // changes no flags
		LEAQ(Mem{Base: sums, Disp: tileSize}, sums)
		if i == 0 {
			JZ(LabelRef("odd"))
		} else {
			JNZ(LabelRef("products"))
		}
	}
	Label("even")
	tileStore(at{sums, line, 0}, 0)
	JMP(LabelRef("made"))
	Label("odd")
	tileStore(at{sums, line, 0}, 1)
	Label("made")

	Comment("Their float steps.")
	begin()
	Load(Param("blocks"), n)
	CMPQ(n, k.blocks)
	JNE(LabelRef("later"))
	for _, sum := range totals {
		VMOVAPS(k.zero, sum)
	}
	JMP(LabelRef("begun"))
	Label("later")
	for t, sum := range totals {
		VMOVAPS(Mem{Base: k.totals, Disp: 64 * t}, sum)
	}
	Label("begun")
	MOVQ(size, n)
	d, m := ZMM(), ZMM()
	ahead := Load(Param("step"), GP64())
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
		if t < tileX32/64 { // the block of the next tile
			PREFETCHT0(Mem{Base: stream, Index: ahead, Scale: 1, Disp: 64 * t})
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
	ADDQ(U32(tileSize), sums)
	next()
	JNZ(LabelRef("block"))

	MOVQ(k.blocks, n)
	CMPQ(n, size)
	JE(LabelRef("last"))
	for t, sum := range totals {
		VMOVAPS(sum, Mem{Base: k.totals, Disp: 64 * t})
	}
	JMP(LabelRef("stored"))
	Comment("Store the sums of the strip's rows, every NaN as the same one.")
	Label("last")
	nan, rows, p, stride := constant(0x7fc00000), K(), GP64(), Load(Param("stride"), GP64())
	KMOVW(mask, rows)
	MOVQ(out, p)
	MOVQ(stride, n)
	SHLQ(Imm(4), n)
	ADDQ(n, out)
	for t, sum := range totals {
		unordered := K()
		VCMPPS(Imm(3), sum, sum, unordered)
		VMOVAPS(nan, unordered, sum)
		VMOVUPS(sum, rows, Mem{Base: p})
		if t < len(totals)-1 {
			CMPQ(k.left, Imm(uint64(t+1)))
			JLE(LabelRef("stored"))
		}
		ADDQ(stride, p)
	}
	Label("stored")
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

	MOVQ(NewParamAddr("size", 24), n)
	ADDQ(n, NewParamAddr("w", 16))
	ADDQ(U32(64), NewParamAddr("out", 0))
	SUBQ(U32(tileTokens), NewParamAddr("rows", 72))
	JG(LabelRef("strips"))
	tileRelease()
	VZEROUPPER()
	RET()
}

// strip32 starts the loop over strips. headed says that the d of all blocks come first.
func (k *tiles) strip32(headed bool) {
	Label("strips")
	Load(Param("blocks"), k.left)
	MOVQ(k.left, k.blocks)
	Load(Param("x"), k.xs)
	Load(Param("w"), k.w)
	if headed {
		k.head = GP64()
		MOVQ(k.w, k.head)
		SHLQ(Imm(5), k.left)
		ADDQ(Imm(63), k.left)
		ANDQ(I8(-64), k.left)
		ADDQ(k.left, k.w)
	}
}
