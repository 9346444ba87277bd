package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in a stream of 32-blocks, in dwords of one token: see stream.go.
const (
	minus8   = 8
	minus16  = minus8 + 1
	minus128 = minus16 + 1
	sumFloat = minus128 + 1
	scale32  = sumFloat + 1
	dwords32 = scale32 + 1
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

// nibbles makes weights that are nibbles, the low ones first.
func nibbles(k *kernel, c []VecVirtual, g int, v, _ VecVirtual) {
	shiftAnd(k.vector(64*(g%4)), -4*(g/4), c[0], v)
}

// fives makes weights of five bits, of which the highest stand in a vector after the nibbles, bit g of each byte.
func fives(k *kernel, c []VecVirtual, g int, v, u VecVirtual) {
	shiftAnd(k.vector(256), 4-g, c[1], v)
	orShiftAnd(k.vector(64*(g%4)), -4*(g/4), c[0], v, u)
}

var (
	q4_0 = legacy{name: "Q40", bytes: 256, head: true, correction: minus8, constants: []uint32{0x0f0f0f0f}, weights: nibbles}
	q4_1 = legacy{name: "Q41", bytes: 320, d: 256, constants: []uint32{0x0f0f0f0f}, weights: nibbles}
	q5_0 = legacy{
		name: "Q50", bytes: 320, head: true, correction: minus16,
		constants: []uint32{0x0f0f0f0f, 0x10101010}, weights: fives,
	}
	q5_1 = legacy{name: "Q51", bytes: 384, d: 320, constants: []uint32{0x0f0f0f0f, 0x10101010}, weights: fives}
	q8_0 = legacy{
		name: "Q80", bytes: 512, head: true, correction: minus128, constants: []uint32{0x80808080},
		weights: func(k *kernel, c []VecVirtual, g int, v, _ VecVirtual) { VPXORD(k.vector(64*g), c[0], v) },
	}
	iq4NL = legacy{
		name: "IQ4NL", bytes: 256, head: true, correction: minus128, steps: true, constants: []uint32{0x0f0f0f0f},
		weights: func(k *kernel, c []VecVirtual, g int, v, u VecVirtual) {
			nibbles(k, c, g, v, u)
			k.lookUp(v)
		},
	}
)

// block32 multiplies a dtype with blocks of 32.
func block32(f legacy, tokens int) {
	k := begin(f.name+"Q80", tokens)
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
