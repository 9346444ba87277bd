package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// float is a dtype whose weights are floats.
type float struct {
	name  string
	bytes int
	// load widens 16 weights to v; masked, only those of mask, the others becoming 0.
	load func(from Mem, v VecVirtual, mask Register)
}

var floatDTypes = []float{
	{"F32", 4, func(from Mem, v VecVirtual, mask Register) {
		if mask == nil {
			VMOVUPS(from, v)
		} else {
			VMOVUPS_Z(from, mask, v)
		}
	}},
	{"F16", 2, func(from Mem, v VecVirtual, mask Register) {
		if mask == nil {
			VCVTPH2PS(from, v)
		} else {
			VCVTPH2PS_Z(from, mask, v)
		}
	}},
	{"BF16", 2, func(from Mem, v VecVirtual, mask Register) {
		if mask == nil {
			VPMOVZXWD(from, v)
		} else {
			VPMOVZXWD_Z(from, mask, v)
		}
		VPSLLD(Imm(16), v, v)
	}},
}

// floatRows is the number of rows that a kernel of float weights multiplies at a time.
const floatRows = 4

// dotFloat multiplies floatRows rows of float weights with tokens. Each product has a vector of 16 sums, of the elements
// whose index has the same remainder modulo 16, which are then added pairwise.
func dotFloat(f float, tokens int) {
	name := fmt.Sprintf("dot%sF32AVX512T%d", f.name, tokens)
	TEXT(name, NOSPLIT, "func(out *float32, stride int, w *byte, rowBytes int, x *float32, n int)")
	Doc(fmt.Sprintf("%s multiplies %d rows of weights with %d tokens: see dotRows.", name, floatRows, tokens))
	w, rowBytes := Load(Param("w"), GP64()), Load(Param("rowBytes"), GP64())
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	w3, x3, tokenBytes := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: rowBytes, Index: rowBytes, Scale: 2}, w3)
	MOVQ(n, tokenBytes)
	SHLQ(Imm(2), tokenBytes)
	LEAQ(Mem{Base: tokenBytes, Index: tokenBytes, Scale: 2}, x3)
	// nth is the row or token i of those from base on.
	nth := func(base, step, step3 Register, i int) Mem {
		switch i {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: step3, Scale: 1}
		}
		return Mem{Base: base, Index: step, Scale: uint8(i)}
	}
	sums := vectors(floatRows * tokens)
	for _, s := range sums {
		VPXORD(s, s, s)
	}
	ws, v := vectors(floatRows), ZMM()

	ahead := GP64() // rows are in one piece: those of the next call follow
	LEAQ(Mem{Base: w, Index: rowBytes, Scale: floatRows}, ahead)

	SUBQ(Imm(16), n)
	JLT(LabelRef("tail"))
	Label("loop")
	for l := range floatRows * f.bytes / 4 {
		PREFETCHT1(Mem{Base: ahead, Disp: 64 * l})
	}
	for r := range ws {
		f.load(nth(w, rowBytes, w3, r), ws[r], nil)
	}
	for t := range tokens {
		VMOVUPS(nth(x, tokenBytes, x3, t), v)
		for r := range ws {
			VFMADD231PS(v, ws[r], sums[t*floatRows+r])
		}
	}
	ADDQ(I32(int32(16*f.bytes)), w)
	ADDQ(I32(int32(16*floatRows*f.bytes)), ahead)
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JGE(LabelRef("loop"))

	Label("tail")
	Comment("The last 1 to 15 elements, without a trace in the other sums.")
	ADDQ(Imm(16), n)
	JEQ(LabelRef("add"))
	bits, mask := GP32(), K()
	MOVL(I32(-1), bits)
	SHLXL(n.(GPVirtual).As32(), bits, bits)
	NOTL(bits)
	KMOVW(bits, mask)
	for r := range ws {
		f.load(nth(w, rowBytes, w3, r), ws[r], mask)
	}
	for t := range tokens {
		VMOVUPS_Z(nth(x, tokenBytes, x3, t), mask, v)
		for r := range ws {
			VFMADD231PS(v, ws[r], mask, sums[t*floatRows+r])
		}
	}

	Label("add")
	Comment("Add the upper half of the sums to the lower, until one is left. Every NaN becomes the same one.")
	out, stride := Load(Param("out"), GP64()), Load(Param("stride"), GP64())
	nan := constant(0x7fc00000)
	for t := range tokens {
		for r := range ws {
			s := sums[t*floatRows+r]
			VEXTRACTF64X4(Imm(1), s, v.AsY())
			VADDPS(v.AsY(), s.AsY(), s.AsY())
			VEXTRACTF32X4(Imm(1), s.AsY(), v.AsX())
			VADDPS(v.AsX(), s.AsX(), s.AsX())
			VPSHUFD(Imm(0b1110), s.AsX(), v.AsX())
			VADDPS(v.AsX(), s.AsX(), s.AsX())
			VPSHUFD(Imm(0b01), s.AsX(), v.AsX())
			VADDPS(v.AsX(), s.AsX(), s.AsX())
			unordered := K()
			VCMPPS(Imm(3), s.AsX(), s.AsX(), unordered)
			VMOVAPS(nan.AsX(), unordered, s.AsX())
			VMOVSS(s.AsX(), Mem{Base: out, Disp: 4 * r})
		}
		ADDQ(stride, out)
	}
	VZEROUPPER()
	RET()
}
