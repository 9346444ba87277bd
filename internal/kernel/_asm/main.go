// Command _asm writes package kernel's assembly for amd64: run go generate in that package.
//
// The kernels multiply 16 interleaved rows of weights, a strip (see layout in packed.go), with a tile of T tokens (see
// stream in stream.go). Every lane of a vector is a row. A kernel's text follows its Go loops: strips, blocks, and inside
// a block the sub-blocks, of which each is a run of dword dot products.
//
// With the flag -amx it writes those that multiply with AMX (tiles.go).
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// steps are those of IQ4_NL and IQ4_XS, plus 128: see quant.IQ4_NLValues.
var steps Mem

func main() {
	amx := flag.Bool("amx", false, "write the kernels with AMX")
	flag.Parse()
	ConstraintExpr("amd64,!purego")
	steps = GLOBL("steps", RODATA|NOPTR)
	for i, v := range []int{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113} {
		DATA(i, U8(uint8(v+128)))
	}
	if *amx {
		writeTiles()
	} else {
		writeVectors()
	}
	Generate()
}

func writeTiles() {
	for _, tokens := range []int{8, 16} {
		for _, depth := range []int{32, 64} {
			makeTileShapes(tokens, depth)
		}
	}
	makeShuffles()
	for _, f := range foldedDTypes {
		tiles256(f)
		for _, tokens := range []int{8, 16} {
			fewTokens(f, tokens)
		}
	}
	tiles32(q4_0, 8)
	tiles32(q4_1, 0)
	tiles32(q5_0, 16)
	tiles32(q5_1, 0)
	tiles32(q8_0, 128)
	tiles32(iq4NL, 128)
}

func writeVectors() {
	for _, tokens := range []int{1, 2, 4, 8, 12} {
		for _, f := range []legacy{q4_0, q4_1, q5_0, q5_1, q8_0, iq4NL} {
			block32(f, tokens)
		}
		for _, f := range []kquant{q2K, q3K, q5K, q6K, iq4XS} {
			block256(f, tokens)
		}
		q4K(tokens)
	}
	for _, f := range floatDTypes {
		dotFloat(f, 1)
		dotFloat(f, 4)
	}
	transpose4 = GLOBL("transpose4", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i%4*4+i/4)))
	}
	quantize(32)
	quantize(256)
	prefetchLines()
}

func prefetchLines() {
	TEXT("prefetchLines", NOSPLIT, "func(p *byte, lines int)")
	Doc("prefetchLines brings cache lines, at least one, to the second-level cache.")
	p, lines := Load(Param("p"), GP64()), Load(Param("lines"), GP64())
	Label("line")
	PREFETCHT1(Mem{Base: p})
	ADDQ(Imm(64), p)
	DECQ(lines)
	JNZ(LabelRef("line"))
	RET()
}
