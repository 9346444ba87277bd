package main

import (
	"fmt"
	"math"
)

// source is what a page consists of.
type source struct {
	name, element string
	float
}

var (
	f32, f16 = floatDTypes[0], floatDTypes[1]
	sources  = []source{{"Halves", "uint16", f16}, {"Floats", "float32", f32}}
)

// What weights has for each query: the scores, then weights, of 64 positions. After those of all queries come the
// factors of a merge, four for the values of former blocks and four for those of this one.
const weightBytes = 4 * 64

// attention is the state of a kernel for attention while its text is written: 16 vectors of sums, whatever the number
// of queries.
type attention struct {
	*asm
	from    source
	queries int
	sums    [][]vec // by query
}

// attend writes the attention of several queries over one block of positions.
func attend(a *asm, s source, queries int) {
	a.function(fmt.Sprintf("attend%sNEONQ%d", s.name, queries),
		fmt.Sprintf("adds a block of %s to the attention of %d queries: see attendBlock.", s.element, queries), 0, true,
		param{"out", "*float32"}, param{"largest", "*float32"}, param{"sums", "*float32"}, param{"q", "*float32"},
		param{"at", "*int"}, param{"k", "*" + s.element}, param{"v", "*" + s.element}, param{"weights", "*float32"},
		param{"seen", "uint64"}, param{"n", "int"}, param{"headDim", "int"}, param{"valueDim", "int"},
		param{"first", "int"})
	k := &attention{asm: a, from: s, queries: queries}
	k.scores()
	k.softmax()
	k.values()
	k.ret()
}

// take gives every query n vectors of sums.
func (k *attention) take(n int) {
	k.v, k.r = 0, 0
	k.sums = make([][]vec, k.queries)
	for i := range k.sums {
		k.sums[i] = k.vecs(n)
	}
}

// clear sets the sums to 0.
func (k *attention) clear() {
	for _, row := range k.sums {
		for _, v := range row {
			k.zero(v)
		}
	}
}

// addRow adds to the sums a row at p, times what stands at factors[i] for query i, with u, v and x to spare.
func (k *attention) addRow(p gp, factors []mem, v []vec, u vec, xs []vec) {
	for i, x := range xs {
		k.load4(x, factors[i])
	}
	for j := range k.sums[0] {
		k.from.load(k.asm, p, j, v[j%len(v)], u)
		for i, x := range xs {
			k.fmlaLane(k.sums[i][j], v[j%len(v)], x, 0)
		}
	}
}

// scores writes the products of queries and keys to weights, as many positions at a time as there are sums for.
func (k *attention) scores() {
	k.comment("Scores: 64 sums for each query.")
	n := []int{16, 8, 4, 4}[k.queries-1] // vectors
	k.take(n)
	v, u, xs := k.vecs(2), k.vec(), k.vecs(k.queries)
	base, at, t := k.arg("q"), k.arg("at"), k.gp()
	q, qs := make([]gp, k.queries), make([]gp, k.queries)
	factors := make([]mem, k.queries)
	for i := range q {
		q[i], qs[i] = k.gp(), k.gp()
		k.line("MOVD %d(%v), %v", 8*i, at, t)
		k.add(q[i], base, t)
		factors[i] = mem{qs[i], 0}
	}
	keys, p, weights := k.arg("k"), k.gp(), k.arg("weights")
	d, parts := k.gp(), k.gp()
	k.moveImm(parts, uint32(16/n))
	k.label("scores")
	k.move(p, keys)
	for i := range q {
		k.move(qs[i], q[i])
	}
	k.loadArg(d, "headDim")
	k.clear()
	k.label("score")
	k.addRow(p, factors, v, u, xs)
	for _, r := range qs {
		k.addImm(r, r, 4)
	}
	k.addImm(p, p, 64*k.from.bytes)
	k.count(d, 1, "score")
	for i, row := range k.sums {
		for j, s := range row {
			k.store(s, mem{weights, weightBytes*i + 16*j})
		}
	}
	k.addImm(weights, weights, 16*n)
	k.addImm(keys, keys, 4*n*k.from.bytes)
	k.count(parts, 1, "scores")
}

// softmax turns scores into weights, a query at a time, and brings the largest scores and sums of weights up to date.
// Behind the weights it leaves what the queries' values of former blocks are to be multiplied with, and what those of
// this block.
func (k *attention) softmax() {
	k.v, k.r = 0, 0
	weights, largestAt, sumAt, first := k.arg("weights"), k.arg("largest"), k.arg("sums"), k.arg("first")
	factors, queries, n, p, left := k.gp(), k.gp(), k.arg("n"), k.gp(), k.gp()
	c := k.loadExp()
	largest, sums := k.vecs(4), k.vecs(4)
	k.addImm(factors, weights, weightBytes*k.queries)
	k.moveImm(queries, uint32(k.queries))
	k.label("softmax")

	// As in Go, a NaN is the largest only if it comes first: a comparison with one is false. Positions that the query
	// does not see get the score -Inf, whose weight is 0, or NaN where those of all others are NaN too.
	k.comment("The largest score.")
	mark := k.v
	minusInf, limit, index, step, v, seen := k.vec(), k.vec(), k.vec(), k.vec(), k.vec(), k.vec()
	k.float(minusInf, float32(math.Inf(-1)))
	k.dupGP(limit, n)
	k.loadTable(index, "indices")
	k.constant(step, 4)
	k.load4(largest[0], mem{weights, 0})
	for i := range largest {
		k.dup(largest[len(largest)-1-i], largest[0], 0)
	}
	sixteens := func(label string, body func()) {
		k.move(p, weights)
		k.addImm(left, n, 15)
		k.line("LSR $4, %v, %v", left, left)
		k.label(label)
		body()
		k.addImm(p, p, 64)
		k.count(left, 1, label)
	}
	sixteens("largest", func() {
		for i, l := range largest {
			k.load(v, mem{p, 16 * i})
			k.cmgt(seen, limit, index)
			k.addS(index, index, step)
			k.insertNot(v, minusInf, seen)
			k.store(v, mem{p, 16 * i})
			k.fcmgt(seen, v, l)
			k.insert(l, v, seen)
		}
	})
	higher := func(d, n vec) {
		k.fcmgt(seen, n, d)
		k.insert(d, n, seen)
	}
	higher(largest[0], largest[1])
	higher(largest[2], largest[3])
	higher(largest[0], largest[2])
	k.swapHalves(v, largest[0])
	higher(largest[0], v)
	k.dup(v, largest[0], 1)
	higher(largest[0], v)
	k.dup(largest[0], largest[0], 0)
	k.releaseTo(mark)

	k.comment("Weights and their sum.")
	for _, s := range sums {
		k.zero(s)
	}
	e := largest[1:3]
	sixteens("weights", func() {
		for i := 0; i < len(sums); i += len(e) {
			for j := range e {
				k.load(e[j], mem{p, 16 * (i + j)})
				k.fsub(e[j], e[j], largest[0])
			}
			k.exp(c, e...)
			for j := range e {
				k.store(e[j], mem{p, 16 * (i + j)})
				k.fadd(sums[i+j], sums[i+j], e[j])
			}
		}
	})
	k.sum16(sums, largest[1])

	k.comment("Merge them with those of former blocks.")
	k.branch(fmt.Sprintf("CBNZ %v,", first), "merged")
	sum, before, now, higherNow := sums[0], largest[1], largest[2], largest[3]
	k.load4(before, mem{largestAt, 0})
	k.dup(now, largest[0], 0)
	k.fcmgt(higherNow, now, before)
	k.dup(largest[0], before, 0)
	k.insert(largest[0], now, higherNow)
	k.fsub(before, before, largest[0])
	k.fsub(now, now, largest[0])
	k.exp(c, before, now)
	k.store4(before, mem{factors, 0})
	k.store4(now, mem{factors, 16})
	k.load4(sums[1], mem{sumAt, 0})
	k.fmul(sums[1], sums[1], before)
	k.fmul(sum, sum, now)
	k.fadd(sum, sums[1], sum)
	k.label("merged")
	k.line("FMOVS.P F%d, 4(%v)", int(largest[0]), largestAt)
	k.line("FMOVS.P F%d, 4(%v)", int(sum), sumAt)
	k.addImm(factors, factors, 4)
	k.addImm(weights, weights, weightBytes)
	k.count(queries, 1, "softmax")
}

// values adds up weighted values, as many dimensions at a time as there are sums for and then 16 at a time.
func (k *attention) values() {
	k.r = 0
	out, v, left := k.arg("out"), k.arg("v"), k.arg("valueDim")
	weights, first := k.arg("weights"), k.arg("first")
	between, rowBytes := k.gp(), k.gp() // of queries in out, of positions in v
	k.shiftLeft(between, left, 2)
	k.shiftLeft(rowBytes, left, k.from.bytes/2)
	mark := k.r
	sizes := [][]int{{16, 4}, {8, 4}, {4}, {4}}[k.queries-1] // vectors
	for _, n := range sizes {
		k.take(n)
		k.r = mark
		k.comment("Values, %d dimensions at a time.", 4*n)
		label := func(what string) string { return fmt.Sprintf("%s%d", what, 4*n) }
		k.label(label("values"))
		k.line("CMP $%d, %v", 4*n, left)
		k.branch("BLT", label("done"))
		p, w, position, to := k.gp(), k.gp(), k.gp(), k.gp()
		row, u, xs := k.vecs(2), k.vec(), k.vecs(k.queries)
		factors := make([]mem, k.queries)
		for i := range factors {
			factors[i] = mem{w, weightBytes * i}
		}
		k.move(p, v)
		k.move(w, weights)
		k.loadArg(position, "n")
		k.clear()
		k.label(label("position"))
		k.addRow(p, factors, row, u, xs)
		k.addImm(w, w, 4)
		k.add(p, p, rowBytes)
		k.count(position, 1, label("position"))

		k.move(to, out)
		k.branch(fmt.Sprintf("CBNZ %v,", first), label("store"))
		for i := range k.sums {
			k.load4(xs[0], mem{weights, weightBytes*k.queries + 4*i})
			k.load4(u, mem{weights, weightBytes*k.queries + 4*i + 16})
			for j, sum := range k.sums[i] {
				old := row[j%len(row)]
				k.load(old, mem{to, 16 * j})
				k.fmulLane(old, old, xs[0], 0)
				k.fmulLane(sum, sum, u, 0)
				k.fadd(sum, old, sum)
			}
			k.storeAll(k.sums[i], to)
			k.add(to, to, between)
		}
		k.branch("JMP", label("next"))
		k.label(label("store"))
		for i := range k.sums {
			k.storeAll(k.sums[i], to)
			k.add(to, to, between)
		}
		k.label(label("next"))
		k.addImm(out, out, 16*n)
		k.addImm(v, v, 4*n*k.from.bytes)
		k.line("SUB $%d, %v, %v", 4*n, left, left)
		k.branch("JMP", label("values"))
		k.label(label("done"))
	}
}
