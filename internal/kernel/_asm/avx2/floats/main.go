// Command floats writes package kernel's assembly for the arithmetic on floats, for processors with AVX2, FMA and F16C:
// run go generate in that package.
//
// The kernels do what the plain Go functions of the same names do, operation for operation, with 8 elements in a vector.
// Where Go has an FMA there is one here, and where Go rounds a product before it adds there are two instructions. Only
// the order of elements that do not meet differs.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, queries := range []int{1, 2, 3, 4} {
		attend(halves, queries)
		attend(floats, queries)
	}
	divide()
	decodeHalves()
	encodeHalves()
	dotLanes()
	norm()
	swiGLU()
	add()
	multiply()
	merge()
	ropeHalves()
	ropeNeighbours()
	skip()
	Generate()
}

// text starts a function that keeps none of its pointers.
func text(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + " " + doc)
}

// Predicates of VCMPPS, and immediates of shuffles.
const (
	notLess    = 0x15 // and so true of NaN
	notAtLeast = 0x19 // likewise
	greater    = 0x1e // false of NaN
	swapHalves = 0x4e // VPERMILPS: 64 bits with the other 64 of 128
	swapNext   = 0xb1 // VPERMILPS: 32 bits with the next
)

// table is a constant of eight dwords.
func table(name string, dword func(i int) uint32) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(dword(i)))
	}
	return m
}

// constant is eight times a float.
func constant(name string, v float32) Mem {
	return table(name, func(int) uint32 { return math.Float32bits(v) })
}

func vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// zeros returns n vectors of zeros.
func zeros(n int) []VecVirtual {
	v := vectors(n)
	for i := range v {
		VXORPS(v[i], v[i], v[i])
	}
	return v
}

// fold leaves in every lane of v what the tree of sum16 makes of 16 numbers, of which v is the first eight, with op for
// the additions: lane i meets lane i^8, then i^4, i^2 and i^1.
func fold(v, upper VecVirtual, op func(...Op)) {
	other := YMM()
	op(upper, v, v)
	VPERM2F128(Imm(1), v, v, other)
	op(other, v, v)
	VPERMILPS(Imm(swapHalves), v, other)
	op(other, v, v)
	VPERMILPS(Imm(swapNext), v, other)
	op(other, v, v)
}

// elementwise loops over the n elements that the function's last argument counts, a multiple of 8. body handles 8 of
// them at pointers, which are the arguments called names; it must not change any.
func elementwise(names []string, body func(p []GPVirtual)) {
	p := make([]GPVirtual, len(names))
	for i, name := range names {
		p[i] = Load(Param(name), GP64()).(GPVirtual)
	}
	n := Load(Param("n"), GP64())
	Label("loop")
	body(p)
	for _, r := range p {
		ADDQ(Imm(32), r)
	}
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
