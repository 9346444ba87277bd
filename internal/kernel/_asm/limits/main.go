// Command limits writes package limits' assembly for amd64: run go generate in that package.
//
// A kernel does nothing but what is to be measured, with enough accumulators that no instruction waits for the one
// before it: a multiplication takes four or five cycles and two begin in each.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Constants that instructions broadcast from memory: bytes of 1, and 1.
var bytesOne, one Mem

func main() {
	ConstraintExpr("amd64,!purego")
	bytesOne, one = ConstData("bytesOne", U32(0x01010101)), ConstData("one", U32(math.Float32bits(1)))
	read("AVX512", 64, ZMM)
	read("AVX2", 32, YMM)
	multiplyAMX()
	multiplyVNNI()
	multiplyAVX2()
	multiplyFloats("AVX512", 16, ZMM)
	multiplyFloats("AVX2", 12, YMM)
	Generate()
}

// lineBytes is how many bytes a read function reads in a round.
const lineBytes = 512

// text starts a function that keeps none of its pointers.
func text(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + " " + doc)
}

// clear returns n vectors of zeros.
func clear(n int, vector func() VecVirtual) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = vector()
		if i == 0 {
			x := v[0].AsX()
			VPXOR(x, x, x) // clears the rest of the register too
		} else {
			VMOVDQU(v[0].AsY(), v[i].AsY())
		}
	}
	return v
}

// sum adds all to the first, as op does.
func sum(all []VecVirtual, op func(...Op)) VecVirtual {
	for _, v := range all[1:] {
		op(v, all[0], all[0])
	}
	return all[0]
}

// read writes a function that loads memory and adds up its 64-bit words, so that a test sees that all of it was read. It
// does not prefetch: on a Sapphire Rapids that gained nothing from 1.5 to 9 KB ahead.
func read(set string, width int, vector func() VecVirtual) {
	text("read"+set, "func(p *byte, n int) uint64", "returns the sum of the words in n bytes, a multiple of 512.")
	p, n := Load(Param("p"), GP64()), Load(Param("n"), GP64())
	acc := clear(8, vector)
	Label("loop")
	for i := range lineBytes / width {
		VPADDQ(Mem{Base: p, Disp: i * width}, acc[i%len(acc)], acc[i%len(acc)])
	}
	ADDQ(I32(lineBytes), p)
	SUBQ(I32(lineBytes), n)
	JNZ(LabelRef("loop"))
	v := sum(acc, VPADDQ)
	if width == 64 {
		high := YMM()
		VEXTRACTI64X4(Imm(1), v, high)
		VPADDQ(high, v.AsY(), v.AsY())
	}
	high := XMM()
	VEXTRACTI128(Imm(1), v.AsY(), high)
	VPADDQ(high, v.AsX(), v.AsX())
	VPSRLDQ(Imm(8), v.AsX(), high)
	VPADDQ(high, v.AsX(), v.AsX())
	total := GP64()
	VMOVQ(v.AsX(), total)
	Store(total, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// ones returns a vector of bytes 1.
func ones(vector func() VecVirtual) VecVirtual {
	v := vector()
	VPBROADCASTD(bytesOne, v)
	return v
}

// rounds starts a loop over the argument n.
func rounds() Register {
	n := Load(Param("n"), GP64())
	Label("loop")
	return n
}

// again ends the loop, adds the accumulators with op and returns the first 32-bit lane.
func again(n Register, acc []VecVirtual, op func(...Op)) {
	DECQ(n)
	JNZ(LabelRef("loop"))
	lane, err := ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	VMOVSS(sum(acc, op).AsX(), lane.Addr) // moves any 32 bits
	VZEROUPPER()
	RET()
}

func multiplyVNNI() {
	text("multiplyAVX512", "func(n int) int32", "does n rounds of 16 VPDPBUSD of ones, and returns a lane's sum.")
	acc, w := clear(16, ZMM), ones(ZMM)
	n := rounds()
	for _, v := range acc {
		VPDPBUSD(w, w, v)
	}
	again(n, acc, VPADDD)
}

// multiplyAVX2 is what stands for VPDPBUSD inside a block: products of bytes, added in pairs, and the sums added up.
func multiplyAVX2() {
	text("multiplyAVX2", "func(n int) int32",
		"does n rounds of 12 pairs of VPMADDUBSW and VPADDW of ones, and returns two lanes' sums of 16 bits.")
	acc, w := clear(12, YMM), ones(YMM)
	product := YMM()
	n := rounds()
	for _, v := range acc {
		VPMADDUBSW(w, w, product)
		VPADDW(product, v, v)
	}
	again(n, acc, VPADDW)
}

func multiplyFloats(set string, accumulators int, vector func() VecVirtual) {
	text("floats"+set, "func(n int) float32", "does n rounds of FMAs of ones, and returns a lane's sum.")
	acc, w := clear(accumulators, vector), vector()
	VBROADCASTSS(one, w)
	n := rounds()
	for _, v := range acc {
		VFMADD231PS(w, w, v)
	}
	again(n, acc, VADDPS)
}
