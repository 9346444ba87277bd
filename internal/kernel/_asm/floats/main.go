// Command floats writes package kernel's assembly for the arithmetic on floats: run go generate in that package.
//
// The kernels do what the plain Go functions of the same names do, operation for operation, with 16 elements in a
// vector. Where Go has an FMA there is one here, and where Go rounds a product before it adds there are two
// instructions. Only the order of elements that do not meet differs.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// numbers are 0 to 15.
var numbers Mem

func main() {
	ConstraintExpr("amd64,!purego")
	numbers = GLOBL("numbers", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i)))
	}
	for _, queries := range []int{1, 2, 3, 4} {
		attend(halves, queries)
		attend(floats, queries)
	}
	divide()
	decodeHalves()
	dotLanes()
	norm()
	swiGLU()
	add()
	multiply()
	merge()
	ropeHalves()
	ropeNeighbours()
	skip()
	encodeHalves()
	putKeys()
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
	swapHalves = 0x4e // VSHUFF64X2: 256 bits with the other 256; VPERMILPS: 64 with the other 64 of 128
	swapNext   = 0xb1 // VSHUFF64X2: 128 bits with the next; VPERMILPS: 32 with the next
)

// constant is a float that instructions broadcast from memory.
func constant(name string, v float32) Mem { return ConstData(name, U32(math.Float32bits(v))) }

func vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
}

// zero returns a vector of zeros. To avo, a register that is cleared by an instruction on itself is in use from the
// function's start on: further zeros are copied from one.
func zero() VecVirtual {
	v := ZMM()
	VPXORD(v, v, v)
	return v
}

// copies returns n copies of v.
func copies(v Op, n int) []VecVirtual {
	c := vectors(n)
	for i := range c {
		VMOVAPS(v, c[i])
	}
	return c
}

// fold leaves in every lane of v what the tree of sum16 makes of all 16, with op for the additions: lane i meets lane
// i^8, then i^4, i^2 and i^1.
func fold(v VecVirtual, op func(...Op)) {
	other := ZMM()
	VSHUFF64X2(Imm(swapHalves), v, v, other)
	op(other, v, v)
	VSHUFF64X2(Imm(swapNext), v, v, other)
	op(other, v, v)
	VPERMILPS(Imm(swapHalves), v, other)
	op(other, v, v)
	VPERMILPS(Imm(swapNext), v, other)
	op(other, v, v)
}

// elementwise loops over the n elements that the function's last argument counts, a multiple of 16. body handles 16 of
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
		ADDQ(Imm(64), r)
	}
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
