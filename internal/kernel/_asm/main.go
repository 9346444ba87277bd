// Command _asm writes package kernel's assembly for amd64: run go generate in that package.
//
// The kernels multiply 16 interleaved rows of weights, a strip (see layout in packed.go), with a tile of T tokens (see
// stream in stream.go). Every lane of a vector is a row. A kernel's text follows its Go loops: strips, blocks, and inside
// a block the sub-blocks, of which each is a run of dword dot products.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, tokens := range []int{1, 2, 4, 8, 12} {
		q4K(tokens)
		q6K(tokens)
		block32(q4_0, tokens)
		block32(q4_1, tokens)
		block32(q8_0, tokens)
		block32(tile32, tokens)
		tile256(tokens)
	}
	Generate()
}

// text starts the function for one dtype and number of tokens.
func text(dtypes string, tokens int, doc string) {
	name := fmt.Sprintf("dot%sAVX512T%d", dtypes, tokens)
	TEXT(name, NOSPLIT, "func(out *float32, stride int, w *byte, x *uint32, scratch *byte, blocks, strips int)")
	Doc(name + " " + doc)
}
