package sample

import "slices"

// topK appends the k candidates with the largest logits to kept, 0 < k <= len(logits). Fewer than the whole
// vocabulary come sorted; the whole vocabulary comes as a heap with the first candidate on top, because sorting it
// would cost more than all the rest of a draw. It reports false where a logit is NaN or +Inf or all are -Inf.
//
// One pass over the logits keeps the best k so far in a heap with the worst on top. After the first few thousand logits
// hardly any is better than that one, so the cost is one comparison per logit.
func topK(kept []candidate, logits []float32, k int) ([]candidate, bool) {
	kept = slices.Grow(kept, k) // growing bit by bit would leave several times that behind in a guest's memory
	for i, l := range logits[:k] {
		if !usable(l) {
			return kept, false
		}
		kept = append(kept, candidate{int32(i), l})
	}
	if k == len(logits) {
		heapify(kept, candidate.before)
		return kept, kept[0].logit >= -maxFloat32
	}
	heapify(kept, after)
	worst := kept[0].logit
	for i, l := range logits[k:] {
		if l <= worst {
			continue // an equal logit has the higher token ID
		}
		if !usable(l) {
			return kept, false
		}
		kept[0] = candidate{int32(k + i), l}
		siftDown(kept, 0, after)
		worst = kept[0].logit
	}
	sortHeap(kept)
	return kept, kept[0].logit >= -maxFloat32
}

const maxFloat32 = 0x1p127 * (1 + (1 - 0x1p-23))

// usable reports whether a logit is finite or -Inf.
func usable(l float32) bool { return l <= maxFloat32 }

// after is the reverse of candidate.before.
func after(c, d candidate) bool { return d.before(c) }

// heapify arranges h so that no candidate stands above one that is first by less.
func heapify(h []candidate, less func(a, b candidate) bool) {
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i, less)
	}
}

// sortHeap brings a heap with the last candidate on top into their order.
func sortHeap(h []candidate) {
	for n := len(h) - 1; n > 0; n-- {
		h[0], h[n] = h[n], h[0]
		siftDown(h[:n], 0, after)
	}
}

// siftDown moves h[i] down to its place below the candidates that are first by less.
func siftDown(h []candidate, i int, less func(a, b candidate) bool) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && less(h[child+1], h[child]) {
			child++
		}
		if !less(h[child], h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
