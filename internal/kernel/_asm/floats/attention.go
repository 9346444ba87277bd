package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// source is what a page consists of.
type source struct {
	name, element string
	bytes         int // of an element
}

var (
	halves = source{"Halves", "uint16", 2}
	floats = source{"Floats", "float32", 4}
)

// load sets v to the i-th 16 elements at p.
func (s source) load(p GPVirtual, i int, v Op) {
	if s.bytes == 2 {
		VCVTPH2PS(Mem{Base: p, Disp: 32 * i}, v)
	} else {
		VMOVUPS(Mem{Base: p, Disp: 64 * i}, v)
	}
}

// prefetch asks for the lines that 64 elements take, far ahead of p.
func (s source) prefetch(p GPVirtual) {
	for line := range s.bytes {
		PREFETCHT1(Mem{Base: p, Disp: ahead + 64*line})
	}
}

// What weights has for each query: the weights of 64 positions. After those of all queries come the factors of a merge,
// four for the values of former blocks and four for those of this one.
const weightBytes = 4 * 64

// ahead is how far keys and values, which follow them, are prefetched, in bytes. On a Zen 4 it makes no difference whether
// they come to the first-level cache or the second, and from 2048 to 8192 bytes not much.
const ahead = 4096

// attend writes the attention of several queries over one block of positions.
func attend(s source, queries int) {
	text(fmt.Sprintf("attend%sAVX512Q%d", s.name, queries), fmt.Sprintf("func(out, largest, sums, q *float32, "+
		"at *int, k, v *%s, weights *float32, seen uint64, n, headDim, valueDim, first int)", s.element),
		fmt.Sprintf("adds a block of %s to the attention of %d queries: see attendBlock.", s.element, queries))

	none := zero()
	Comment("Scores: 64 sums for each query.")
	q := make([]GPVirtual, queries)
	base, at := Load(Param("q"), GP64()), Load(Param("at"), GP64()).(GPVirtual)
	for i := range q {
		q[i] = GP64()
		MOVQ(Mem{Base: at, Disp: 8 * i}, q[i])
		ADDQ(base, q[i])
	}
	k, d := Load(Param("k"), GP64()).(GPVirtual), Load(Param("headDim"), GP64())
	// Blocks in float32 for more queries were made just now.
	prefetch := queries <= 2 || s.bytes == 2
	scores := make([][]VecVirtual, queries)
	for i := range scores {
		scores[i] = copies(none, 4)
	}
	row, x := vectors(4), ZMM()
	Label("score")
	if prefetch {
		s.prefetch(k)
	}
	for j := range row {
		s.load(k, j, row[j])
	}
	for i := range q {
		VBROADCASTSS(Mem{Base: q[i]}, x)
		for j := range row {
			VFMADD231PS(row[j], x, scores[i][j])
		}
		ADDQ(Imm(4), q[i])
	}
	ADDQ(I32(int32(64*s.bytes)), k)
	DECQ(d)
	JNZ(LabelRef("score"))

	weights := Load(Param("weights"), GP64()).(GPVirtual)
	first := Load(Param("first"), GP64())
	seen := make([]Op, 4)
	for j := range seen {
		seen[j] = K()
		if j == 0 {
			KMOVQ(NewParamAddr("seen", 64), seen[j])
		} else {
			KSHIFTRQ(Imm(16), seen[j-1], seen[j])
		}
	}
	largest, sum := XMM(), XMM() // of the block, a lane for each query
	for i := range queries {
		l, s := softmax(scores[i], seen, Mem{Base: weights, Disp: weightBytes * i})
		if i == 0 {
			VMOVAPS(l, largest)
			VMOVAPS(s, sum)
		} else {
			VINSERTPS(U8(uint8(i<<4)), l, largest, largest)
			VINSERTPS(U8(uint8(i<<4)), s, sum, sum)
		}
	}
	mergeSums(largest, sum, weights, first, queries)

	out, v := Load(Param("out"), GP64()).(GPVirtual), Load(Param("v"), GP64()).(GPVirtual)
	left := Load(Param("valueDim"), GP64())
	between, rowBytes := GP64(), GP64() // of queries in out, of positions in v
	MOVQ(left, between)
	SHLQ(Imm(2), between)
	MOVQ(left, rowBytes)
	SHLQ(Imm(uint64(s.bytes/2)), rowBytes)
	for _, n := range []int{4, 1} {
		values(s, n, queries, prefetch && n == 4, none, out, v, weights, left.(GPVirtual), between, rowBytes, first)
	}
	VZEROUPPER()
	RET()
}

// softmax turns the scores of a query into weights, which it also writes, and returns the largest score and the sum of
// weights.
func softmax(scores []VecVirtual, seen []Op, weights Mem) (largestX, sumX Register) {
	// As in Go, a NaN is the largest only if it comes first: VMAXPS gives its second source, the old maximum, if either
	// is NaN.
	largest, sum := ZMM(), ZMM()
	VBROADCASTSS(scores[0].AsX(), largest)
	for j, s := range scores {
		VMAXPS(largest, s, seen[j], largest)
	}
	fold(largest, VMAXPS)
	for j, s := range scores {
		VSUBPS(largest, s, s)
		exp(s, seen[j])
		VMOVUPS(s, weights.Offset(64*j))
		if j == 0 {
			VMOVAPS(s, sum)
		} else {
			VADDPS(s, sum, sum)
		}
	}
	fold(sum, VADDPS)
	return largest.AsX(), sum.AsX()
}

// mergeSums brings the largest scores and sums of weights up to date. Behind the weights it leaves what the queries'
// values of former blocks are to be multiplied with, and what those of this block.
func mergeSums(largest, sum VecVirtual, weights GPVirtual, first Op, queries int) {
	Comment("The largest scores and sums of weights so far.")
	lanes, mask := GP32(), K()
	MOVL(U32(uint32(1)<<queries-1), lanes)
	KMOVW(lanes, mask)
	maxAt, sumAt := Load(Param("largest"), GP64()).(GPVirtual), Load(Param("sums"), GP64()).(GPVirtual)
	TESTQ(first, first)
	JNZ(LabelRef("merged"))
	before, after, old := ZMM(), ZMM(), ZMM()
	VMOVUPS_Z(Mem{Base: maxAt}, mask, before)
	VMOVUPS_Z(Mem{Base: sumAt}, mask, old)
	VMAXPS(before, largest.AsZ(), after)
	VSUBPS(after, before, before)
	VSUBPS(after, largest.AsZ(), largest.AsZ())
	exp(before, mask)
	exp(largest.AsZ(), mask)
	VMOVUPS(before.AsX(), Mem{Base: weights, Disp: weightBytes * queries})
	VMOVUPS(largest.AsX(), Mem{Base: weights, Disp: weightBytes*queries + 16})
	VMULPS(before, old, old)
	VMULPS(largest.AsZ(), sum.AsZ(), sum.AsZ())
	VADDPS(sum.AsZ(), old, sum.AsZ())
	VMOVAPS(after, largest.AsZ())
	Label("merged")
	VMOVUPS(largest.AsZ(), mask, Mem{Base: maxAt})
	VMOVUPS(sum.AsZ(), mask, Mem{Base: sumAt})
}

// values adds up weighted values, 16*n dimensions at a time for as long as there are so many.
func values(s source, n, queries int, prefetch bool, none VecVirtual, out, v, weights, left, between, rowBytes GPVirtual, first Op) {
	Commentf("Values, %d dimensions at a time.", 16*n)
	label := func(what string) string { return fmt.Sprintf("%s%d", what, 16*n) }
	Label(label("values"))
	CMPQ(left, Imm(uint64(16*n)))
	JLT(LabelRef(label("done")))
	sums := make([][]VecVirtual, queries)
	for i := range sums {
		sums[i] = copies(none, n)
	}
	p, w, j := GP64(), GP64(), Load(Param("n"), GP64())
	MOVQ(v, p)
	MOVQ(weights, w)
	row, x := vectors(n), ZMM()
	Label(label("position"))
	if prefetch {
		s.prefetch(p)
	}
	for j := range row {
		s.load(p, j, row[j])
	}
	for i := range sums {
		VBROADCASTSS(Mem{Base: w, Disp: weightBytes * i}, x)
		for j := range row {
			VFMADD231PS(row[j], x, sums[i][j])
		}
	}
	ADDQ(Imm(4), w)
	ADDQ(rowBytes, p)
	DECQ(j)
	JNZ(LabelRef(label("position")))

	to := GP64()
	MOVQ(out, to)
	TESTQ(first, first)
	JNZ(LabelRef(label("store")))
	for i := range sums {
		factors := weightBytes*queries + 4*i
		old := ZMM()
		for j, sum := range sums[i] {
			VMOVUPS(Mem{Base: to, Disp: 64 * j}, old)
			VMULPS_BCST(Mem{Base: weights, Disp: factors}, old, old)
			VMULPS_BCST(Mem{Base: weights, Disp: factors + 16}, sum, sum)
			VADDPS(sum, old, sum)
		}
		storeAll(sums[i], to)
		ADDQ(between, to)
	}
	JMP(LabelRef(label("next")))
	Label(label("store"))
	for i := range sums {
		storeAll(sums[i], to)
		ADDQ(between, to)
	}
	Label(label("next"))
	ADDQ(U32(uint32(64*n)), out)
	ADDQ(U32(uint32(16*n*s.bytes)), v)
	SUBQ(Imm(uint64(16*n)), left)
	JMP(LabelRef(label("values")))
	Label(label("done"))
}

func storeAll(v []VecVirtual, p GPVirtual) {
	for j := range v {
		VMOVUPS(v[j], Mem{Base: p, Disp: 64 * j})
	}
}

func divide() {
	text("divideAVX512", "func(dst, x *float32, by float32, n int)", "writes x/by to dst. n is a multiple of 16.")
	by := ZMM()
	VBROADCASTSS(NewParamAddr("by", 16), by)
	elementwise([]string{"dst", "x"}, func(p []GPVirtual) {
		v := ZMM()
		VMOVUPS(Mem{Base: p[1]}, v)
		VDIVPS(by, v, v)
		VMOVUPS(v, Mem{Base: p[0]})
	})
}

func decodeHalves() {
	text("decodeHalvesAVX512", "func(dst *float32, x *uint16, n int)",
		"converts F16 to float32. n is a multiple of 16.")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("n"), GP64())
	v := ZMM()
	Label("loop")
	VCVTPH2PS(Mem{Base: x}, v)
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(Imm(64), dst)
	ADDQ(Imm(32), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
