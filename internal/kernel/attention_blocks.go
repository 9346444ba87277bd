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

// runKernels is runPlain by kernels.
func (a *attender) runKernels(ks *attendKernels, s AttentionShape, task *AttentionTask, kv, t0, t1 int) {
	group := s.Heads / s.KVHeads
	n := (t1 - t0) * group
	a.out, a.largest, a.sums = grow(a.out, n*s.ValueDim), grow(a.largest, n), grow(a.sums, n)
	last := task.Position + t1 - 1
	for b := 0; b*PagePositions <= last; b++ {
		page := &task.Pages[b]
		kn, vn := s.HeadDim*PagePositions, s.ValueDim*PagePositions
		decoded := page.K32 != nil || n >= decodeFrom
		var k, v []float32
		if decoded {
			k, v = a.load(s, page, kv, PagePositions)
		}
		for i := 0; i < n; {
			t := t0 + i/group
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
				head := kv*group + (i+j)%group
				a.at[j] = 4 * ((t0+(i+j)/group)*s.Heads + head) * s.HeadDim
			}
			if decoded {
				attendQueriesTo(a, ks.floats[m-1], s, task, i, b, seen, k, v)
			} else {
				attendQueriesTo(a, ks.halves[m-1], s, task, i, b, seen, page.K[kv*kn:][:kn], page.V[kv*vn:][:vn])
			}
			i += m
		}
	}
	for i := range n {
		t, head := t0+i/group, kv*group+i%group
		dst := task.Dst[(t*s.Heads+head)*s.ValueDim:][:s.ValueDim]
		divideVectors(dst, a.out[i*s.ValueDim:(i+1)*s.ValueDim], a.sums[i])
	}
}

// attendQueriesTo calls a kernel for queries from i on and block b, from a frame of Go's, as scratch.dot does.
//
//go:noinline
func attendQueriesTo[E uint16 | float32](
	a *attender, f attendBlock[E], s AttentionShape, task *AttentionTask, i, b, seen int, k, v []E,
) {
	first := 0
	if b == 0 {
		first = 1
	}
	f(&a.out[i*s.ValueDim], &a.largest[i], &a.sums[i], &task.Q[0], &a.at[0], &k[0], &v[0], &a.weights[0],
		^uint64(0)>>(PagePositions-seen), seen, s.HeadDim, s.ValueDim, first)
}
