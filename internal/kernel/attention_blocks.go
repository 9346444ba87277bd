package kernel

// attendQueries is the most queries that a kernel takes at a time. They share what is read of keys and values, and keep
// the processor busy while each of their sums waits for its own last addition.
const attendQueries = 4

// decodeFrom is the number of queries from which on a block in F16 is made float32 once, rather than by the kernels for
// each few of them.
const decodeFrom = 9

// attendBlock merges the attention of some queries over one block of positions into their attention over the blocks
// before, as attend and merge do. Query i stands at[i] bytes behind q; its values are the i-th valueDim elements of
// out, its largest score and its sum of weights those of largest and sums. k and v are as in a Page, from one key and
// value head's first element on. The queries see the first n positions, whose bits are set in seen. If first is not 0,
// there were no blocks before, and out, largest and sums say nothing. weights has room for attendWeights floats.
// headDim is not 0, and valueDim is a multiple of 16.
type attendBlock[E uint16 | float32] func(
	out, largest, sums, q *float32, at *int, k, v *E, weights *float32, seen uint64, n, headDim, valueDim, first int,
)

// attendWeights is the weights of a block and the two factors of a merge, for each query that a kernel takes.
const attendWeights = attendQueries * (PagePositions + 2)

// attendKernels has the kernels for 1, 2 and so on queries.
type attendKernels struct {
	halves [attendQueries]attendBlock[uint16]
	floats [attendQueries]attendBlock[float32]
}

// runKernels computes the attention of an item, as runPlain does.
func (a *attender) runKernels(ks *attendKernels, s AttentionShape, task *AttentionTask, it *attentionItem) {
	group := s.Heads / s.KVHeads
	n := (it.t1 - it.t0) * group
	sums := it.shared
	if sums == nil {
		sums = &a.whole
		sums.size(n, s.ValueDim, it.b1, it.b1)
	}
	for b := it.b0; b < it.b1; b++ {
		page := &task.Pages[b]
		var k, v []float32
		var hk, hv []uint16
		decoded := page.F32 != nil || n >= decodeFrom
		if decoded {
			k, v = a.load(s, page, it.kv, PagePositions)
		} else {
			hk, hv = headOf(page.F16, s, it.kv)
		}
		for i := 0; i < n; {
			t := it.t0 + i/group
			seen := min(PagePositions, task.Position+t+1-b*PagePositions)
			if seen <= 0 {
				i += group
				continue
			}
			// Queries that see as much as this one: of all tokens, or of this token.
			like := n - i
			if seen < PagePositions {
				like = group - i%group
			}
			m := ceil(like, ceil(like, attendQueries))
			for j := range m {
				head := it.kv*group + (i+j)%group
				a.at[j] = 4 * ((it.t0+(i+j)/group)*s.Heads + head) * s.HeadDim
			}
			if decoded {
				attendQueriesTo(a, ks.floats[m-1], s, task, sums, i, b, seen, k, v)
			} else {
				attendQueriesTo(a, ks.halves[m-1], s, task, sums, i, b, seen, hk, hv)
			}
			i += m
		}
	}
	if it.shared != nil && it.shared.left.Add(-1) > 0 {
		return
	}
	for i := range n {
		t, head := it.t0+i/group, it.kv*group+i%group
		whole := sums.merge(i, ceil(task.Position+t+1, PagePositions))
		dst := task.Dst[(t*s.Heads+head)*s.ValueDim:][:s.ValueDim]
		divideVectors(dst, whole.out, whole.sum)
	}
}

// attendQueriesTo calls a kernel for queries from i on and block b, from a frame of Go's, as scratch.dot does.
//
//go:noinline
func attendQueriesTo[E uint16 | float32](
	a *attender, f attendBlock[E], s AttentionShape, task *AttentionTask, sums *attended, i, b, seen int, k, v []E,
) {
	place := sums.place(b)
	first := 0
	if b == 0 || place > 0 {
		first = 1
	}
	i += place * sums.queries
	f(&sums.out[i*s.ValueDim], &sums.largest[i], &sums.sums[i], &task.Q[0], &a.at[0], &k[0], &v[0], &a.weights[0],
		^uint64(0)>>(PagePositions-seen), seen, s.HeadDim, s.ValueDim, first)
}
