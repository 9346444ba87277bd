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
	load  func(from Mem, v VecVirtual) // widens 8 weights to v
}

var floatDTypes = []float{
	{"F32", 4, func(from Mem, v VecVirtual) { VMOVUPS(from, v) }},
	{"F16", 2, func(from Mem, v VecVirtual) { VCVTPH2PS(from, v) }},
	{"BF16", 2, func(from Mem, v VecVirtual) {
		VPMOVZXWD(from, v)
		VPSLLD(Imm(16), v, v)
	}},
}

// dotFloat multiplies 4 rows of float weights with tokens. Each product has two vectors for its 16 sums, of the elements
// whose index has the same remainder modulo 16, which are then added pairwise. With one token the rows are multiplied
// side by side, with several one after the other. n is a multiple of 16.
func dotFloat(f float, tokens int) {
	name := fmt.Sprintf("dot%sF32AVX2T%d", f.name, tokens)
	TEXT(name, NOSPLIT, "func(out *float32, stride int, w *byte, rowBytes int, x *float32, n int)")
	Doc(fmt.Sprintf("%s multiplies 4 rows of weights with %d tokens: see dotRows. n is a multiple of 16.", name, tokens))
	out, stride := Load(Param("out"), GP64()).(GPVirtual), Load(Param("stride"), GP64()).(GPVirtual)
	w, rowBytes := Load(Param("w"), GP64()).(GPVirtual), Load(Param("rowBytes"), GP64()).(GPVirtual)
	rows := 4 / tokens
	var left GPVirtual
	if tokens > 1 {
		left = GP64()
		MOVQ(U32(4), left)
		Label("row")
	}
	x, n := Load(Param("x"), GP64()).(GPVirtual), Load(Param("n"), GP64()).(GPVirtual)
	between, between3 := GP64(), GP64() // rows, or tokens
	if tokens > 1 {
		MOVQ(n, between)
		SHLQ(Imm(2), between)
	} else {
		MOVQ(rowBytes, between)
	}
	LEAQ(Mem{Base: between, Index: between, Scale: 2}, between3)
	// nth is row or token i of those from base on, half h of 16 elements.
	nth := func(base GPVirtual, i, h, bytes int) Mem {
		m := Mem{Base: base, Disp: 8 * bytes * h}
		switch i {
		case 0:
		case 3:
			m.Index, m.Scale = between3, 1
		default:
			m.Index, m.Scale = between, uint8(i)
		}
		return m
	}
	p := GP64() // the rows' next weights
	MOVQ(w, p)
	ahead := GP64() // rows are in one piece: those of the next call follow
	LEAQ(Mem{Base: w, Index: rowBytes, Scale: 4}, ahead)
	sums := make([]VecVirtual, 8) // two for each row and token
	for i := range sums {
		sums[i] = YMM()
		VXORPS(sums[i], sums[i], sums[i])
	}
	Label("loop")
	for at := 0; at < rows*16*f.bytes; at += 64 {
		PREFETCHT1(Mem{Base: ahead, Disp: at})
	}
	for h := range 2 {
		v := YMM()
		if rows == 1 {
			f.load(nth(p, 0, h, f.bytes), v)
		} else {
			VMOVUPS(nth(x, 0, h, 4), v)
		}
		for i := range 4 {
			if sum := sums[2*i+h]; rows == 1 {
				VFMADD231PS(nth(x, i, h, 4), v, sum)
			} else {
				u := YMM()
				f.load(nth(p, i, h, f.bytes), u)
				VFMADD231PS(v, u, sum)
			}
		}
	}
	ADDQ(Imm(uint64(16*f.bytes)), p)
	ADDQ(U32(uint32(rows*16*f.bytes)), ahead)
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))

	Comment("Add the upper half of the sums to the lower, until one is left. Every NaN becomes the same one.")
	to := GP64()
	MOVQ(out, to)
	for i := range 4 {
		s, v := sums[2*i], YMM()
		VADDPS(sums[2*i+1], s, s)
		VEXTRACTF128(Imm(1), s, v.AsX())
		VADDPS(v.AsX(), s.AsX(), s.AsX())
		VPERMILPS(Imm(0b1110), s.AsX(), v.AsX())
		VADDPS(v.AsX(), s.AsX(), s.AsX())
		VPERMILPS(Imm(0b01), s.AsX(), v.AsX())
		VADDPS(v.AsX(), s.AsX(), s.AsX())
		VCMPPS(Imm(3), s.AsX(), s.AsX(), v.AsX())
		VBLENDVPS(v.AsX(), dwords(0x7fc00000), s.AsX(), s.AsX())
		if rows == 1 {
			VMOVSS(s.AsX(), Mem{Base: to})
			ADDQ(stride, to)
		} else {
			VMOVSS(s.AsX(), Mem{Base: to, Disp: 4 * i})
		}
	}
	if rows == 1 {
		ADDQ(Imm(4), out)
		ADDQ(rowBytes, w)
		DECQ(left)
		JNZ(LabelRef("row"))
	}
	VZEROUPPER()
	RET()
}
