package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in a stream of 32-blocks, in dwords of one token: see stream in stream.go.
const (
	sumInt   = 8
	sumFloat = sumInt + 1
	scale32  = sumFloat + 1
	dwords32 = scale32 + 1
)

// format32 is a dtype with blocks of 32.
type format32 struct {
	name   string
	what   string
	bytes  int    // of a strip's block, without d where head is set
	offset uint32 // of the quants above the weights
	nibble bool   // 4 vectors of nibbles rather than 8 of bytes
	head   bool   // the d come first
	tile   bool   // made by expand: floats, a vector that corrects the sum, and a factor of the sum of activations
	min    bool   // m stands after d
}

var (
	q4_0   = format32{name: "Q40Q80", what: "strips of Q4_0", bytes: 256, offset: 8, nibble: true, head: true}
	q4_1   = format32{name: "Q41Q80", what: "strips of Q4_1", bytes: 320, nibble: true, min: true}
	q8_0   = format32{name: "Q80Q80", what: "strips of Q8_0", bytes: 512, offset: 128, head: true}
	tile32 = format32{name: "Tile32Q80", what: "tiles of 32-blocks", bytes: 704, tile: true, min: true}
)

func block32(f format32, tokens int) {
	text(f.name, tokens, "multiplies "+f.what+" with a tile of tokens.")
	k := begin(tokens)
	k.sums = vectors(tokens)
	var nibble, sign, offset VecVirtual
	switch {
	case f.nibble:
		nibble = constant(0x0f0f0f0f)
	case !f.tile:
		sign = constant(0x80808080)
	}
	if f.offset != 0 {
		offset = constant(-f.offset & 0xffff)
	}
	k.strip(f.head)

	w := ZMM()
	bytes := f.bytes
	if f.head {
		bytes += 32
	}
	k.prefetch(0, (bytes+63)/64)
	k.clear(k.acc)
	quants := 512
	switch {
	case f.nibble:
		quants = 256
		for g := range 4 {
			VPANDD(Mem{Base: k.w, Disp: 64 * g}, nibble, w)
			k.dot(w, g)
		}
		for g := range 4 {
			VPSRLW(Imm(4), Mem{Base: k.w, Disp: 64 * g}, w)
			VPANDD(nibble, w, w)
			k.dot(w, 4+g)
		}
	case f.tile:
		for g := range 8 {
			VMOVDQU64(Mem{Base: k.w, Disp: 64 * g}, w)
			k.dot(w, g)
		}
	default:
		for g := range 8 {
			VPXORD(Mem{Base: k.w, Disp: 64 * g}, sign, w)
			k.dot(w, g)
		}
	}
	if f.tile {
		VMOVDQU64(Mem{Base: k.w, Disp: 512}, w)
		k.pairs(w, sumInt, k.acc)
	} else if f.offset != 0 {
		k.pairs(offset, sumInt, k.acc)
	}
	floats(k.acc)
	switch {
	case f.head:
		VCVTPH2PS(Mem{Base: k.head}, w)
		ADDQ(Imm(32), k.head)
	case f.tile:
		VMOVUPS(Mem{Base: k.w, Disp: 576}, w)
	default:
		VCVTPH2PS(Mem{Base: k.w, Disp: quants}, w)
	}
	k.step(w, scale32, k.acc, false)
	if f.min {
		if f.tile {
			VMOVUPS(Mem{Base: k.w, Disp: 640}, w)
		} else {
			VCVTPH2PS(Mem{Base: k.w, Disp: quants + 32}, w)
		}
		m := ZMM()
		for t := range tokens {
			VMULPS_BCST(k.activation(scale32, t), w, m)
			VFMADD231PS_BCST(k.activation(sumFloat, t), m, k.sums[t])
		}
	}
	ADDQ(I32(int32(f.bytes)), k.w)
	k.end(bytes, dwords32)
}
