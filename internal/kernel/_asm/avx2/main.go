// Command avx2 writes package kernel's assembly for processors with AVX2, FMA and F16C: run go generate in that package.
//
// The kernels multiply 16 interleaved rows of weights, a strip (see layout in packed.go), with a tile of T tokens (see
// stream in stream.go), as those for AVX-512 do, with a vector of 16 rows in two registers. With few tokens both halves
// are multiplied side by side, so that each activation is loaded once. With many the sums of both would not fit in 16
// registers: then the kernel goes over each block twice, for rows 0 to 7 and for rows 8 to 15.
//
// Products of unsigned bytes of weights and signed bytes of activations are added in int16 for as long as nothing can
// overflow (VPMADDUBSW would saturate), then widened and scaled in one instruction, VPMADDWD.
package main

import (
	. "github.com/mmcloughlin/avo/build"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, tokens := range []int{1, 2, 4, 8, 12} {
		for _, f := range []layout.DType{layout.Q4_0, layout.Q4_1, layout.Q5_0, layout.Q5_1, layout.Q8_0, layout.IQ4_NL} {
			block32(f, tokens)
		}
		for _, f := range kquants {
			block256(f, tokens)
		}
	}
	for _, f := range floatDTypes {
		dotFloat(f, 1)
		dotFloat(f, 4)
	}
	quantize(32)
	quantize(256)
	Generate()
}
