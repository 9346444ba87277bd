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

// Offsets in scratch, in bytes. Two strips are multiplied together, and each has an area for itself. What decode of a
// kquant writes stands first in it.
const (
	tileFactor = minimums + 8*64    // d of a chunk's blocks, floats
	tileMin    = tileFactor + 16*64 // dmin or m
	tileBytes  = 4096               // weights of a chunk, 8 KB
	tileArea   = tileBytes + 8192   // the size of an area
	tileSums   = 2 * tileArea       // products of tiles, 4 KB
	tileTotals = tileSums + 4096    // float sums, 16 rows of one strip and of the other for each tile of tokens
	_          = uint(tileBytes - tileMin - 16*64)
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
	left   GPVirtual // tokens
	xs     GPVirtual // the stream of the block and the first tile
	totals GPVirtual // the float sums of the tile
	blocks Mem       // that are left

	first, second, firstHead, secondHead Mem // where the strips' blocks, and their d, are
}

// beginTiles starts a function and loads what stays in registers. depth is the number of activations in a row of a tile.
func beginTiles(name string, depth int) *tiles {
	TEXT(name, NOSPLIT,
		"func(out *float32, stride int, w *byte, size int, x, scratch *byte, step, blocks, tokens, rows int)")
	Doc(name + " multiplies strips of weights with tokens: see dotTiles.")
	k := &tiles{blocks: AllocLocal(8)}
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

// strips starts the loop over pairs of strips. Where one is left it stands for both. headed says that the d of all blocks
// come first.
func (k *tiles) strips(headed bool) {
	Label("strips")
	Load(Param("blocks"), k.left)
	MOVQ(k.left, k.blocks)
	Load(Param("x"), k.xs)
	Load(Param("w"), k.w)
	MOVQ(k.w, k.first)
	CMPQ(NewParamAddr("rows", 72), Imm(tileTokens))
	JLE(LabelRef("one"))
	ADDQ(NewParamAddr("size", 24), k.w)
	Label("one")
	MOVQ(k.w, k.second)
	if headed {
		k.head = GP64()
		MOVQ(k.first, k.head)
		MOVQ(k.head, k.firstHead)
		MOVQ(k.w, k.secondHead)
		SHLQ(Imm(5), k.left)
		ADDQ(Imm(63), k.left)
		ANDQ(I8(-64), k.left)
		ADDQ(k.left, k.first)
		ADDQ(k.left, k.second)
	}
	LEAQ(Mem{Base: area, Disp: tileTotals}, k.totals)
	Load(Param("tokens"), k.left)
	Label("clear")
	for t := range 2 * tileTokens {
		VMOVDQA64(k.zero, Mem{Base: k.totals, Disp: 64 * t})
	}
	ADDQ(U32(2*tileSize), k.totals)
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

// each starts the loop over tiles of tokens.
func (k *tiles) each() {
	Load(Param("tokens"), k.left)
	LEAQ(Mem{Base: area, Disp: tileTotals}, k.totals)
	MOVQ(k.xs, stream)
}

// activation is the dword of token t in the vector at offset of the stream.
func (k *tiles) activation(offset, t int) Mem { return Mem{Base: stream, Disp: offset + 4*t} }

// inArea is a vector in the area of a strip.
func inArea(strip, offset int) Mem { return Mem{Base: area, Disp: tileArea*strip + offset} }

// end stores the sums of two strips and closes the loop over strips.
func (k *tiles) end() {
	rows := NewParamAddr("rows", 72)
	nan, sum, mask := constant(0x7fc00000), ZMM(), K()
	n, p, stride, all, out := GP64(), GP64(), Load(Param("stride"), GP64()), GP32(), NewParamAddr("out", 0)
	for strip := range 2 {
		label := func(name string) string { return fmt.Sprintf("%s%d", name, strip) }
		Commentf("Store the sums of strip %d, every NaN as the same one.", strip)
		MOVQ(rows, n)
		MOVL(U32(0xffff), all)
		CMPQ(n, Imm(16))
		JGE(LabelRef(label("whole")))
		BZHIL(n.As32(), all, all)
		Label(label("whole"))
		KMOVW(all, mask)
		MOVQ(U32(tileTokens), n)
		MOVQ(out, p)
		Load(Param("tokens"), k.left)
		LEAQ(Mem{Base: area, Disp: tileTotals + tileSize*strip}, k.totals)
		Label(label("store"))
		unordered := K()
		VMOVAPS(Mem{Base: k.totals}, sum)
		VCMPPS(Imm(3), sum, sum, unordered)
		VMOVAPS(nan, unordered, sum)
		VMOVUPS(sum, mask, Mem{Base: p})
		ADDQ(stride, p)
		ADDQ(Imm(64), k.totals)
		DECQ(n)
		JNZ(LabelRef(label("same")))
		ADDQ(U32(tileSize), k.totals)
		MOVQ(U32(tileTokens), n)
		Label(label("same"))
		DECQ(k.left)
		JNZ(LabelRef(label("store")))
		ADDQ(Imm(64), out)
		SUBQ(Imm(16), rows)
		JLE(LabelRef("done"))
	}
	MOVQ(NewParamAddr("size", 24), n)
	LEAQ(Mem{Base: n}.Idx(n, 1), n)
	ADDQ(n, NewParamAddr("w", 16))
	JMP(LabelRef("strips"))
	Label("done")
	tileRelease()
	VZEROUPPER()
	RET()
}
