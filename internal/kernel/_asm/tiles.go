package main

import (
	"encoding/binary"
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Kernels with AMX multiply a strip with many tokens. Four consecutive weights of 16 rows in a vector are what a row of
// a tile of weights holds, and four consecutive activations of 16 tokens a column of a tile of activations, so a tile
// is 16 vectors of weights, or the quants of 16 tokens as they are.
//
// The weights of some blocks, a chunk, are made bytes in scratch and meet all tokens before the next chunk. A product
// of tiles is stored to scratch too, where a vector has the integer sums of 16 rows for one token: from there on it is
// the same float steps as in the other kernels.
//
// On a Sapphire Rapids a product of tiles takes 16 cycles, and so does storing one; neither runs beside the other. While
// tiles are in use, and for some 150 cycles after, multiplications of vectors (of floats and of integers, conversions
// too) have one port instead of two.

// Offsets in scratch, in bytes. Two strips of blocks of 256 are multiplied together, and each has an area for itself.
// What decode of a kquant writes stands first in it. Blocks of 32 have one area, as large as the two.
const (
	tileFactor = minimums + 8*64        // d of a block, floats
	tileMin    = tileFactor + 64        // dmin
	tileBytes  = 4096                   // weights of a chunk, of blocks of 256 with 8 KB
	tileArea   = tileBytes + 8192       // the size of an area
	tileSums   = 2 * tileArea           // products of tiles
	tileTotals = tileSums + 16*tileSize // float sums, 16 rows of each strip for each tile of tokens
	_          = uint(tileBytes - tileMin - 64)
)

const (
	tileTokens = 16
	tileSize   = 1024 // bytes
)

// Registers of operands in memory, which avo cannot choose.
var (
	stream = R8  // the stream of a block and a tile of tokens
	area   = R9  // scratch
	line   = R10 // 64
)

// tiles is the state that kernels with tiles share while their text is written.
type tiles struct {
	kernel
	strips int       // that are multiplied together, 1 or 2
	left   GPVirtual // tokens
	xs     GPVirtual // the stream of the block and the first tile
	totals GPVirtual // the float sums of the tile
	blocks Mem       // that are left

	first, second, firstHead, secondHead Mem // where the strips' blocks, and their d, are
}

// beginTiles starts a function and loads what stays in registers. depth is the number of activations in a row of a tile.
func beginTiles(name string, strips, depth int) *tiles {
	TEXT(name, NOSPLIT,
		"func(out *float32, stride int, w *byte, size int, x, scratch *byte, step, blocks, tokens, rows int)")
	Doc(name + " multiplies strips of weights with tokens: see dotTiles.")
	k := &tiles{strips: strips, blocks: AllocLocal(8)}
	k.first, k.second, k.firstHead, k.secondHead = AllocLocal(8), AllocLocal(8), AllocLocal(8), AllocLocal(8)
	Load(Param("scratch"), area)
	MOVQ(U32(64), line)
	k.scratch = GP64()
	few, many := tileShapes(8, depth), tileShapes(16, depth)
	tokens := Load(Param("tokens"), GP64())
	LEAQ(many, stream)
	CMPQ(tokens, Imm(8))
	JG(LabelRef("many"))
	LEAQ(few, stream)
	Label("many")
	tileConfigure(at{stream, nil, 0})
	k.w, k.left, k.xs, k.totals = GP64(), GP64(), GP64(), GP64()
	k.zero = ZMM()
	VPXORD(k.zero, k.zero, k.zero)
	return k
}

// shapesMade are the configurations that exist.
var shapesMade = map[[2]int]Mem{}

// tileShapes is the configuration for so many tokens in a tile, and so many weights in a tile's row: tiles 0 to 3 are
// products, 4 and 5 activations, 6 and 7 weights.
func tileShapes(tokens, depth int) Mem {
	id := [2]int{tokens, depth}
	if m, made := shapesMade[id]; made {
		return m
	}
	panic("no such shape")
}

func makeTileShapes(tokens, depth int) {
	m := GLOBL(fmt.Sprintf("shapes%dx%d", tokens, depth), RODATA|NOPTR)
	var shapes [64]byte
	shapes[0] = 1 // the palette
	for i := range 8 {
		bytes, rows := 64, tokens
		switch {
		case i >= 6:
			rows = depth / 4
		case i >= 4:
			bytes = depth
		}
		shapes[16+2*i], shapes[48+i] = byte(bytes), byte(rows)
	}
	for i := 0; i < len(shapes); i += 8 {
		DATA(i, U64(binary.LittleEndian.Uint64(shapes[i:])))
	}
	shapesMade[[2]int{tokens, depth}] = m
}

// loop starts the loop over strips, one or two at a time. Where one of two is left it stands for both. headed says that
// the d of all blocks come first.
func (k *tiles) loop(headed bool) {
	Label("strips")
	Load(Param("blocks"), k.left)
	MOVQ(k.left, k.blocks)
	Load(Param("x"), k.xs)
	Load(Param("w"), k.w)
	if k.strips == 2 {
		MOVQ(k.w, k.first)
		CMPQ(NewParamAddr("rows", 72), Imm(tileTokens))
		JLE(LabelRef("one"))
		ADDQ(NewParamAddr("size", 24), k.w)
		Label("one")
		MOVQ(k.w, k.second)
	}
	if headed {
		k.head = GP64()
		MOVQ(k.w, k.head)
		SHLQ(Imm(5), k.left)
		ADDQ(Imm(63), k.left)
		ANDQ(I8(-64), k.left)
		if k.strips == 2 {
			MOVQ(k.head, k.secondHead)
			MOVQ(k.first, k.head)
			MOVQ(k.head, k.firstHead)
			ADDQ(k.left, k.first)
			ADDQ(k.left, k.second)
		} else {
			ADDQ(k.left, k.w)
		}
	}
	k.each()
	Label("clear")
	for t := range k.strips * tileTokens {
		VMOVDQA64(k.zero, Mem{Base: k.totals, Disp: 64 * t})
	}
	ADDQ(U32(uint32(k.strips*tileSize)), k.totals)
	SUBQ(Imm(tileTokens), k.left)
	JG(LabelRef("clear"))
}

// twice writes a loop that does body for one strip and for the other, with k.w, k.head and k.scratch set. body moves k.w
// and k.head on.
func (k *tiles) twice(body func()) {
	MOVQ(area, k.scratch)
	MOVQ(k.first, k.w)
	if k.head != nil {
		MOVQ(k.firstHead, k.head)
	}
	Label("fold")
	body()
	CMPQ(k.scratch, area)
	JNE(LabelRef("folded"))
	MOVQ(k.w, k.first)
	MOVQ(k.second, k.w)
	if k.head != nil {
		MOVQ(k.head, k.firstHead)
		MOVQ(k.secondHead, k.head)
	}
	ADDQ(U32(tileArea), k.scratch)
	JMP(LabelRef("fold"))
	Label("folded")
	MOVQ(k.w, k.second)
	if k.head != nil {
		MOVQ(k.head, k.secondHead)
	}
}

// each goes to the first tile of tokens.
func (k *tiles) each() {
	Load(Param("tokens"), k.left)
	LEAQ(Mem{Base: area, Disp: tileTotals}, k.totals)
	MOVQ(k.xs, stream)
}

// activation is the dword of token t in the vector at offset of the stream.
func (k *tiles) activation(offset, t int) Mem { return Mem{Base: stream, Disp: offset + 4*t} }

// inArea is a vector in the area of a strip.
func inArea(strip, offset int) Mem { return Mem{Base: area, Disp: tileArea*strip + offset} }

// end stores the sums of the strips and closes the loop over strips.
func (k *tiles) end() {
	Comment("Store the sums of the strips' rows, every NaN as the same one.")
	rows, out := NewParamAddr("rows", 72), NewParamAddr("out", 0)
	n, all := GP64(), GP64()
	MOVQ(rows, n)
	CMPQ(n, U32(uint32(16*k.strips)))
	JLE(LabelRef("fewer"))
	MOVQ(U32(uint32(16*k.strips)), n)
	Label("fewer")
	MOVQ(I32(-1), all)
	BZHIQ(n, all, all)
	mask := []Register{K(), K()}
	for strip := range k.strips {
		KMOVW(all.As32(), mask[strip])
		SHRQ(Imm(16), all)
	}
	nan, sum, p, stride := constant(0x7fc00000), ZMM(), GP64(), Load(Param("stride"), GP64())
	MOVQ(out, p)
	k.each()
	Label("rows")
	MOVQ(U32(tileTokens), n)
	CMPQ(n, k.left)
	CMOVQGT(k.left, n)
	SUBQ(n, k.left)
	Label("store")
	for strip := range k.strips {
		unordered := K()
		VMOVAPS(Mem{Base: k.totals, Disp: tileSize * strip}, sum)
		VCMPPS(Imm(3), sum, sum, unordered)
		VMOVAPS(nan, unordered, sum)
		VMOVUPS(sum, mask[strip], Mem{Base: p, Disp: 64 * strip})
	}
	ADDQ(stride, p)
	ADDQ(Imm(64), k.totals)
	DECQ(n)
	JNZ(LabelRef("store"))
	if k.strips == 2 {
		ADDQ(U32(tileSize), k.totals)
	}
	CMPQ(k.left, Imm(0))
	JG(LabelRef("rows"))

	MOVQ(NewParamAddr("size", 24), n)
	if k.strips == 2 {
		ADDQ(n, n)
	}
	ADDQ(n, NewParamAddr("w", 16))
	ADDQ(U32(uint32(64*k.strips)), out)
	SUBQ(U32(uint32(16*k.strips)), rows)
	JG(LabelRef("strips"))
	tileRelease()
	VZEROUPPER()
	RET()
}
