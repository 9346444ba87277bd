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

// load sets v to the i-th 8 elements at p.
func (s source) load(p GPVirtual, i int, v Op) {
	if s.bytes == 2 {
		VCVTPH2PS(Mem{Base: p, Disp: 16 * i}, v)
	} else {
		VMOVUPS(Mem{Base: p, Disp: 32 * i}, v)
	}
}

// addRow does sums[i][j] = fma(row[j], x[i], sums[i][j]) with a row of vectors, the from-th at p and those behind it,
// and floats x, each for all lanes. What is fewer stays in registers meanwhile.
func (s source) addRow(p GPVirtual, from int, x []Mem, sums [][]VecVirtual) {
	n := len(sums[0])
	if len(x) < n {
		xs := vectors(len(x))
		for i := range xs {
			VBROADCASTSS(x[i], xs[i])
		}
		for j := range n {
			v := YMM()
			s.load(p, from+j, v)
			for i := range xs {
				VFMADD231PS(v, xs[i], sums[i][j])
			}
		}
		return
	}
	row := vectors(n)
	for j := range row {
		s.load(p, from+j, row[j])
	}
	for i := range x {
		v := YMM()
		VBROADCASTSS(x[i], v)
		for j := range row {
			VFMADD231PS(row[j], v, sums[i][j])
		}
	}
}

// What weights has for each query: the scores, later the weights, of 64 positions. After those of all queries come the
// factors of a merge, four for the values of former blocks and four for those of this one.
const weightBytes = 4 * 64

// ahead is how far keys are prefetched, in bytes. While the scores are computed values are prefetched too, as many as
// there are keys.
const ahead = 2048

// sumsOf is the number of vectors of sums that each of the queries has at a time: of 64 positions' scores, or of values.
// A dozen sums keep the processor busy while each waits for its last addition, and leave registers for what is added.
func sumsOf(queries int) int { return []int{8, 4, 4, 3}[queries-1] }

// attend writes the attention of several queries over one block of positions.
func attend(s source, queries int) {
	expConstants()
	attentionConstants()
	text(fmt.Sprintf("attend%sAVX2Q%d", s.name, queries), fmt.Sprintf("func(out, largest, sums, q *float32, "+
		"at *int, k, v *%s, weights *float32, seen uint64, n, headDim, valueDim, first int)", s.element),
		fmt.Sprintf("adds a block of %s to the attention of %d queries: see attendBlock.", s.element, queries))
	weights := Load(Param("weights"), GP64()).(GPVirtual)
	for from := 0; from < 8; from += sumsOf(queries) {
		scores(s, queries, from, min(sumsOf(queries), 8-from), weights)
	}

	Comment("The lanes of positions that the queries see.")
	first, n := Load(Param("first"), GP64()), YMM()
	VPBROADCASTD(NewParamAddr("n", 72), n)
	largest, sum := XMM(), XMM() // of the block, a lane for each query
	for i := range queries {
		l, t := softmax(n, Mem{Base: weights, Disp: weightBytes * i})
		if i == 0 {
			VMOVAPS(l, largest)
			VMOVAPS(t, sum)
		} else {
			VINSERTPS(U8(uint8(i<<4)), l, largest, largest)
			VINSERTPS(U8(uint8(i<<4)), t, sum, sum)
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
	sizes := []int{sumsOf(queries), 2}
	if sumsOf(queries)%2 != 0 {
		sizes = append(sizes, 1)
	}
	for _, n := range sizes {
		values(s, n, queries, out, v, weights, left.(GPVirtual), between, rowBytes, first)
	}
	VZEROUPPER()
	RET()
}

var positions, lanes Mem

// attentionConstants makes positions, the numbers from 0 to 63, and lanes, four masks and then none.
func attentionConstants() {
	if positions.Symbol.Name != "" {
		return
	}
	positions = GLOBL("positions", RODATA|NOPTR)
	for i := range 64 {
		DATA(4*i, U32(uint32(i)))
	}
	lanes = table("lanes", func(i int) uint32 { return -uint32(1 - i/4) })
}

// scores writes n vectors of scores, those of the positions from 8*from on, to weights.
func scores(s source, queries, from, n int, weights GPVirtual) {
	Commentf("Scores of positions from %d on.", 8*from)
	q := make([]GPVirtual, queries)
	base, at := Load(Param("q"), GP64()), Load(Param("at"), GP64()).(GPVirtual)
	for i := range q {
		q[i] = GP64()
		MOVQ(Mem{Base: at, Disp: 8 * i}, q[i])
		ADDQ(base, q[i])
	}
	k, d := Load(Param("k"), GP64()).(GPVirtual), Load(Param("headDim"), GP64())
	// Blocks in float32 for more queries were made just now.
	prefetch := (queries <= 2 || s.bytes == 2) && from == 0
	var toV GPVirtual // from k
	if prefetch {
		toV = Load(Param("v"), GP64()).(GPVirtual)
		SUBQ(k, toV)
	}
	sums := make([][]VecVirtual, queries)
	for i := range sums {
		sums[i] = zeros(n)
	}
	label := fmt.Sprintf("score%d", from)
	Label(label)
	if prefetch {
		for line := range s.bytes { // of 64 elements
			PREFETCHT0(Mem{Base: k, Disp: ahead + 64*line})
			PREFETCHT0(Mem{Base: k, Index: toV, Scale: 1, Disp: 64 * line})
		}
	}
	x := make([]Mem, queries)
	for i := range x {
		x[i] = Mem{Base: q[i]}
	}
	s.addRow(k, from, x, sums)
	for i := range q {
		ADDQ(Imm(4), q[i])
	}
	ADDQ(I32(int32(64*s.bytes)), k)
	DECQ(d)
	JNZ(LabelRef(label))
	for i := range sums {
		for j, v := range sums[i] {
			VMOVUPS(v, Mem{Base: weights, Disp: weightBytes*i + 32*(from+j)})
		}
	}
}

// softmax turns the scores of a query into weights, those of the first n positions, and returns the largest score and
// the sum of weights.
func softmax(n VecVirtual, weights Mem) (largestX, sumX Register) {
	// As in Go, a NaN is the largest only if it comes first: VMAXPS gives its second source, the old maximum, if either
	// is NaN.
	largest, other := YMM(), YMM()
	VBROADCASTSS(weights, largest)
	VMOVAPS(largest, other)
	for j := range 8 {
		v, seen := YMM(), YMM()
		VPCMPGTD(positions.Offset(32*j), n, seen)
		VMOVUPS(weights.Offset(32*j), v)
		VMAXPS(largest, v, v)
		VBLENDVPS(seen, v, largest, largest)
		largest, other = other, largest
	}
	fold(largest, other, VMAXPS)
	sums := vectors(2) // by position modulo 16
	for j := range 8 {
		v, seen := YMM(), YMM()
		VMOVUPS(weights.Offset(32*j), v)
		VSUBPS(largest, v, v)
		exp(v, YMM)
		VPCMPGTD(positions.Offset(32*j), n, seen)
		VANDPS(seen, v, v)
		VMOVUPS(v, weights.Offset(32*j))
		if j < 2 {
			VMOVAPS(v, sums[j])
		} else {
			VADDPS(v, sums[j%2], sums[j%2])
		}
	}
	fold(sums[0], sums[1], VADDPS)
	return largest.AsX(), sums[0].AsX()
}

// mergeSums brings the largest scores and sums of weights up to date. Behind the weights it leaves what the queries'
// values of former blocks are to be multiplied with, and what those of this block.
func mergeSums(largest, sum VecVirtual, weights GPVirtual, first Op, queries int) {
	Comment("The largest scores and sums of weights so far.")
	mask := XMM()
	VMOVUPS(lanes.Offset(4*(4-queries)), mask)
	maxAt, sumAt := Load(Param("largest"), GP64()).(GPVirtual), Load(Param("sums"), GP64()).(GPVirtual)
	TESTQ(first, first)
	JNZ(LabelRef("merged"))
	before, after, old := XMM(), XMM(), XMM()
	VMASKMOVPS(Mem{Base: maxAt}, mask, before)
	VMASKMOVPS(Mem{Base: sumAt}, mask, old)
	VMAXPS(before, largest, after)
	VSUBPS(after, before, before)
	VSUBPS(after, largest, largest)
	exp(before, XMM)
	exp(largest, XMM)
	VMOVUPS(before, Mem{Base: weights, Disp: weightBytes * queries})
	VMOVUPS(largest, Mem{Base: weights, Disp: weightBytes*queries + 16})
	VMULPS(before, old, old)
	VMULPS(largest, sum, sum)
	VADDPS(sum, old, sum)
	VMOVAPS(after, largest)
	Label("merged")
	VMASKMOVPS(largest, mask, Mem{Base: maxAt})
	VMASKMOVPS(sum, mask, Mem{Base: sumAt})
}

// values adds up weighted values, 8*n dimensions at a time for as long as there are so many.
func values(s source, n, queries int, out, v, weights, left, between, rowBytes GPVirtual, first Op) {
	Commentf("Values, %d dimensions at a time.", 8*n)
	label := func(what string) string { return fmt.Sprintf("%s%d", what, 8*n) }
	Label(label("values"))
	CMPQ(left, Imm(uint64(8*n)))
	JLT(LabelRef(label("done")))
	sums := make([][]VecVirtual, queries)
	for i := range sums {
		sums[i] = zeros(n)
	}
	p, w, j := GP64(), GP64(), Load(Param("n"), GP64())
	MOVQ(v, p)
	MOVQ(weights, w)
	Label(label("position"))
	x := make([]Mem, queries)
	for i := range x {
		x[i] = Mem{Base: w, Disp: weightBytes * i}
	}
	s.addRow(p, 0, x, sums)
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
		old, x, y := YMM(), YMM(), YMM()
		VBROADCASTSS(Mem{Base: weights, Disp: factors}, x)
		VBROADCASTSS(Mem{Base: weights, Disp: factors + 16}, y)
		for j, sum := range sums[i] {
			VMULPS(Mem{Base: to, Disp: 32 * j}, x, old)
			VMULPS(y, sum, sum)
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
	ADDQ(U32(uint32(32*n)), out)
	ADDQ(U32(uint32(8*n*s.bytes)), v)
	SUBQ(Imm(uint64(8*n)), left)
	JMP(LabelRef(label("values")))
	Label(label("done"))
}

func storeAll(v []VecVirtual, p GPVirtual) {
	for j := range v {
		VMOVUPS(v[j], Mem{Base: p, Disp: 32 * j})
	}
}
