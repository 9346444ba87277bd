package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// Offsets in a stream of 32-blocks.
const (
	minus8   = layout.Minus8
	minus16  = layout.Minus16
	minus128 = layout.Minus128
	sumFloat = layout.SumFloat
	scale32  = layout.Scale32
	dwords32 = layout.Dwords32
)

// legacy is a dtype with blocks of 32.
type legacy struct {
	name  string
	bytes int  // of a strip's block, without d where head is set
	head  bool // the d come first
	d     int  // offset of d, and of m behind it, where d does not come first
	// correction is where the stream has minus the sum of activations times what quants are above their weights, or 0.
	correction int

	steps     bool // weights wants the table for lookUp
	constants []uint32
	// weights makes vector g, 0 to 7, of unsigned weights in v, with u to spare.
	weights func(k *kernel, c []VecVirtual, g int, v, u VecVirtual)
}

var (
	q4_0  = of32(layout.Q4_0, minus8)
	q4_1  = of32(layout.Q4_1, 0)
	q5_0  = of32(layout.Q5_0, minus16)
	q5_1  = of32(layout.Q5_1, 0)
	iq4NL = of32(layout.IQ4_NL, minus128)
	q8_0  = legacy{
		name: layout.Q8_0.Name, bytes: layout.Q8_0.Bytes, head: true, correction: minus128, constants: []uint32{0x80808080},
		weights: func(k *kernel, c []VecVirtual, g int, v, _ VecVirtual) { VPXORD(k.vector(64*g), c[0], v) },
	}
)

// block32 multiplies a dtype with blocks of 32.
func block32(f legacy, tokens int) {
	k := begin(f.name+"Q80", tokens)
	k.inOrder = tokens == 1 && f.name == q4_1.name
	k.sums = vectors(tokens)
	var consts []VecVirtual
	for _, dword := range f.constants {
		consts = append(consts, constant(dword))
	}
	if f.steps {
		k.loadSteps()
	}
	v, u := ZMM(), ZMM()
	k.strip(f.head)

	bytes := f.bytes
	if f.head {
		bytes += 32
	}
	k.prefetch(0, (bytes+63)/64)
	if f.correction == 0 {
		k.clear(k.acc)
	} else {
		for t, acc := range k.acc {
			VPBROADCASTD(k.activation(f.correction, t), acc)
		}
	}
	for g := range 8 {
		f.weights(k, consts, g, v, u)
		k.dot(v, g)
	}
	floats(k.acc)
	if f.head {
		VCVTPH2PS(Mem{Base: k.head}, v)
		ADDQ(Imm(32), k.head)
		k.step(v, scale32, k.acc, false)
	} else {
		VCVTPH2PS(k.vector(f.d), v)
		k.step(v, scale32, k.acc, false)
		Comment("Minimums.")
		VCVTPH2PS(k.vector(f.d+32), v)
		for t := range tokens {
			VMULPS_BCST(k.activation(scale32, t), v, u)
			VFMADD231PS_BCST(k.activation(sumFloat, t), u, k.sums[t])
		}
	}
	ADDQ(I32(int32(f.bytes)), k.w)
	k.end(bytes, dwords32)
}
