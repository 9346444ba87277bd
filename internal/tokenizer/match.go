package tokenizer

import (
	"cmp"
	"slices"
)

// Special and user-defined tokens are found in the text before anything else sees it: longer tokens first, wherever
// they stand; of equally long ones the lower id; of the occurrences of one token the leftmost. llama.cpp searches the
// text once per token. A matcher reads it once: an Aho-Corasick automaton finds all ends of matches, and a heap brings
// them into that order.

// matcher finds the tokens of a set.
type matcher struct {
	ids []int32 // by rank: the longest token first
	// shorter is, by rank, the rank of the longest token of the set that is a proper suffix of this one; none if there
	// is none. Following it lists all tokens that end where one does.
	shorter []int32
	root    [256]int32 // the state after one byte
	states  []state    // the first is the root
}

// state is a prefix of a token.
type state struct {
	child   int32 // the first of the prefixes that are one byte longer; 0 if there are none
	sibling int32 // the next prefix with the same parent; 0 if there is none
	fail    int32 // the longest proper suffix that is a prefix too
	rank    int32 // of the longest token that is a suffix; none if there is none
	last    byte  // the prefix's last byte
}

// newMatcher makes a matcher for the tokens that have one of the attributes with and none of without. It is nil if
// there are none.
func newMatcher(v *Vocab, with, without Attr) *matcher {
	m := &matcher{states: make([]state, 1)}
	for id, attr := range v.Attrs {
		if attr.Has(with) && !attr.Has(without) {
			m.ids = append(m.ids, int32(id))
		}
	}
	if len(m.ids) == 0 {
		return nil
	}
	slices.SortStableFunc(m.ids, func(a, b int32) int { return cmp.Compare(len(v.text(b)), len(v.text(a))) })
	m.states[0].rank = none
	ends := make([]int32, len(m.ids))
	for rank, id := range m.ids {
		ends[rank] = m.add(v.text(id), int32(rank))
	}
	m.link()
	m.shorter = make([]int32, len(m.ids))
	for rank, end := range ends {
		m.shorter[rank] = m.states[m.states[end].fail].rank
	}
	return m
}

// add adds the states of one token and returns the last.
func (m *matcher) add(text []byte, rank int32) int32 {
	at := int32(0)
	for _, b := range text {
		next := m.child(at, b)
		if next == 0 {
			next = int32(len(m.states))
			m.states = append(m.states, state{sibling: m.states[at].child, rank: none, last: b})
			m.states[at].child = next
			if at == 0 {
				m.root[b] = next
			}
		}
		at = next
	}
	m.states[at].rank = rank
	return at
}

// child returns the state that byte b leads to from a state without failing, 0 if there is none.
func (m *matcher) child(at int32, b byte) int32 {
	if at == 0 {
		return m.root[b]
	}
	for at = m.states[at].child; at != 0 && m.states[at].last != b; {
		at = m.states[at].sibling
	}
	return at
}

// step returns the state after reading b.
func (m *matcher) step(at int32, b byte) int32 {
	for {
		if next := m.child(at, b); next != 0 || at == 0 {
			return next
		}
		at = m.states[at].fail
	}
}

// link sets fail and inherits rank, the shorter prefixes before the longer.
func (m *matcher) link() {
	queue := make([]int32, 1, len(m.states))
	for head := 0; head < len(queue); head++ {
		at := queue[head]
		for next := m.states[at].child; next != 0; next = m.states[next].sibling {
			if at != 0 {
				m.states[next].fail = m.step(m.states[at].fail, m.states[next].last)
			}
			if m.states[next].rank == none {
				m.states[next].rank = m.states[m.states[next].fail].rank
			}
			queue = append(queue, next)
		}
	}
}

// span is a part of the text that is not ordinary text: a token, or, with id None, spaces that a token took along.
type span struct {
	from, to int
	id       int32
}

// findSpans sets e.spans to the tokens of m in text, in ascending order.
func (e *encoder) findSpans(m *matcher, text string) {
	e.spans = e.spans[:0]
	if m == nil {
		return
	}
	// The heap holds the rank and end of the longest token that ends at each place; ranks are below 1<<24.
	e.heap = e.heap[:0]
	at := int32(0)
	for i := range len(text) {
		if at == 0 {
			if at = m.root[text[i]]; at == 0 {
				continue
			}
		} else {
			at = m.step(at, text[i])
		}
		if rank := m.states[at].rank; rank != none {
			e.heap = append(e.heap, uint64(rank)<<32|uint64(i+1))
		}
	}
	if len(e.heap) == 0 {
		return
	}
	e.taken = append(e.taken[:0], make([]uint64, len(text)/64+1)...)
	e.heap.init()
	for len(e.heap) > 0 {
		top := e.heap.pop()
		rank, end := int32(top>>32), int(uint32(top))
		if e.isTaken(end - 1) {
			continue // by a longer token, or an earlier one: nothing else can end here
		}
		id := m.ids[rank]
		start := end - len(e.t.v.text(id))
		// What is taken has no gaps shorter than this token inside, so its two ends tell.
		if e.isTaken(start) {
			if next := m.shorter[rank]; next != none {
				e.heap.push(uint64(next)<<32 | uint64(end))
			}
			continue
		}
		e.take(text, start, end, id)
	}
	slices.SortFunc(e.spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
}

func (e *encoder) isTaken(i int) bool { return e.taken[i/64]>>(i%64)&1 != 0 }

// take adds a span for a token and for the spaces that it strips.
func (e *encoder) take(text string, start, end int, id int32) {
	from, to := start, end
	attr := e.t.v.Attrs[id]
	for attr.Has(StripBefore) && from > 0 && isCSpace(text[from-1]) && !e.isTaken(from-1) {
		from--
	}
	for attr.Has(StripAfter) && to < len(text) && isCSpace(text[to]) && !e.isTaken(to) {
		to++
	}
	for i := from; i < to; i++ {
		e.taken[i/64] |= 1 << (i % 64)
	}
	if from < start {
		e.spans = append(e.spans, span{from, start, None})
	}
	e.spans = append(e.spans, span{start, end, id})
	if end < to {
		e.spans = append(e.spans, span{end, to, None})
	}
}

// isCSpace is isspace of C.
func isCSpace(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
