package tokenizer

import "math"

// Merging is the same for BPE and SPM: a word starts as a row of symbols, and as long as some neighbours can merge, the
// pair with the best priority does, the leftmost of several. The models differ in what may merge (encoder.pair). Short words
// of BPE, nearly all there are, have a way of their own, with fewer instructions: encoder.mergeShort.

// symbol is a piece of the word being merged. Symbols form a list; the first symbol of a word stays the first.
type symbol struct {
	prev, next int32  // the neighbours, none at the ends
	start      uint32 // SPM: where its text starts in encoder.text
	id         int32  // its token; None if it has none, or, in SPM, is still a single character

	priority uint32 // of merging with the next symbol, the smallest first; never if they do not merge
	merged   int32  // the token that gives
}

const (
	none  int32  = -1
	never uint32 = math.MaxUint32

	// scanLimit is the longest word that is merged by scanning for the best pair; longer ones need the heap to keep
	// the time near linear.
	scanLimit = 32
)

// merge merges e.symbols until no pair can.
func (e *encoder) merge() {
	last := int32(len(e.symbols) - 1)
	for i := range last {
		e.pair(i)
	}
	e.symbols[last].priority = never
	if len(e.symbols) <= scanLimit {
		e.mergeByScan()
	} else {
		e.mergeByHeap()
	}
}

func (e *encoder) mergeByScan() {
	for {
		best, at := never, none
		for i := int32(0); i != none; i = e.symbols[i].next {
			if p := e.symbols[i].priority; p < best {
				best, at = p, i
			}
		}
		if at == none {
			return
		}
		e.mergeAt(at)
	}
}

// mergeByHeap keeps a heap of priority<<32 | index. Entries are never removed when a merge makes them stale: an entry
// whose symbol has another priority by now is skipped. If the priority is the same, so is the outcome, since equal
// priorities at one place stand for equal turns.
func (e *encoder) mergeByHeap() {
	e.heap = e.heap[:0]
	for i := range e.symbols {
		e.heap = e.entry(e.heap, int32(i))
	}
	e.heap.init()
	for len(e.heap) > 0 {
		top := e.heap.pop()
		i := int32(uint32(top))
		if e.symbols[i].priority != uint32(top>>32) {
			continue
		}
		e.mergeAt(i)
		n := len(e.heap)
		if prev := e.symbols[i].prev; prev != none {
			e.heap = e.entry(e.heap, prev)
		}
		for e.heap = e.entry(e.heap, i); n < len(e.heap); n++ {
			e.heap.up(n)
		}
	}
}

// entry appends the heap entry of symbol i, if it can merge.
func (e *encoder) entry(h heap, i int32) heap {
	if p := e.symbols[i].priority; p != never {
		h = append(h, uint64(p)<<32|uint64(i))
	}
	return h
}

// mergeAt merges symbol i with the next.
func (e *encoder) mergeAt(i int32) {
	s := e.symbols
	left := &s[i]
	right := &s[left.next]
	left.id, left.next = left.merged, right.next
	right.priority = never
	if left.next != none {
		s[left.next].prev = i
		e.pair(i)
	} else {
		left.priority = never
	}
	if left.prev != none {
		e.pair(left.prev)
	}
}

// heap is a heap with the smallest number at its root. Four children to a node make it half as deep as two would, and
// lie in one cache line.
type heap []uint64

func (h heap) init() {
	for i := (len(h) - 2) / 4; i >= 0; i-- {
		h.down(i)
	}
}

func (h *heap) push(x uint64) {
	*h = append(*h, x)
	h.up(len(*h) - 1)
}

func (h *heap) pop() uint64 {
	old := *h
	top, n := old[0], len(old)-1
	old[0] = old[n]
	*h = old[:n]
	h.down(0)
	return top
}

// up moves h[i] towards the root until its parent is not larger.
func (h heap) up(i int) {
	x := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if h[parent] <= x {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = x
}

// down moves h[i] away from the root until no child is smaller.
func (h heap) down(i int) {
	if i >= len(h) {
		return
	}
	x := h[i]
	for 4*i+1 < len(h) {
		first := 4*i + 1
		child := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c] < h[child] {
				child = c
			}
		}
		if x <= h[child] {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = x
}
