package sample

// history counts the most recent accepted tokens. Its zero value counts none.
type history struct {
	count map[int32]int32 // occurrences among the recent tokens, never 0
	ring  []int32         // the last tokens, the oldest at next once it is full; nil where all tokens are counted
	next  int
	all   bool
}

// newHistory counts the last n tokens, or all of them where n is -1.
func newHistory(n int) history {
	h := history{count: map[int32]int32{}, all: n < 0}
	if n > 0 {
		h.ring = make([]int32, 0, min(n, 4096)) // n is the caller's and may be far more than a sequence ever has
		h.next = -n                             // counts up to 0 while the ring fills
	}
	return h
}

func (h *history) add(token int32) {
	if h.count == nil {
		return
	}
	h.count[token]++
	switch {
	case h.all:
	case h.next < 0:
		h.ring = append(h.ring, token)
		h.next++
	default:
		oldest := h.ring[h.next]
		if h.count[oldest]--; h.count[oldest] == 0 {
			delete(h.count, oldest)
		}
		h.ring[h.next] = token
		h.next = (h.next + 1) % len(h.ring)
	}
}
