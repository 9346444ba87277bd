package kernel

// Top writes the indices of the len(ids) largest of x to ids, the largest first and of equals the one with the lower
// index, and the elements themselves to values, which is as long. It returns how many there are: fewer where x is short.
//
// A NaN stands before all numbers, so that nobody has to look through x to know that there is none.
//
// One pass over x keeps the best so far in a heap with the last of them on top. After the first few thousand elements
// hardly any comes before that one, so the cost is a comparison for each element.
func Top(ids []int32, values, x []float32) int {
	n := min(len(ids), len(x))
	if n == 0 {
		return 0
	}
	h := topHeap{ids[:n], values[:n]}
	for i := range n {
		h.ids[i], h.values[i] = int32(i), x[i]
	}
	for i := n/2 - 1; i >= 0; i-- {
		h.down(i, n)
	}
	for i := n; i < len(x); {
		i += skipVectors(x[i:], h.values[0])
		for end := min(i+16, len(x)); i < end; i++ {
			if h.before(x[i], int32(i), 0) {
				h.ids[0], h.values[0] = int32(i), x[i]
				h.down(0, n)
			}
		}
	}
	for n--; n > 0; n-- {
		h.swap(0, n)
		h.down(0, n)
	}
	return len(h.ids)
}

// topHeap is elements and their indices, with none above one that comes after it.
type topHeap struct {
	ids    []int32
	values []float32
}

// before reports whether v, with index id, comes before element i.
func (h topHeap) before(v float32, id int32, i int) bool {
	w := h.values[i]
	switch {
	case v > w:
		return true
	case v < w:
		return false
	case v == w || v != v && w != w:
		return id < h.ids[i]
	}
	return v != v
}

func (h topHeap) swap(i, j int) {
	h.ids[i], h.ids[j] = h.ids[j], h.ids[i]
	h.values[i], h.values[j] = h.values[j], h.values[i]
}

// down moves element i down to its place among the first n.
func (h topHeap) down(i, n int) {
	for {
		child := 2*i + 1
		if child >= n {
			return
		}
		if child+1 < n && h.before(h.values[child], h.ids[child], child+1) {
			child++
		}
		if !h.before(h.values[i], h.ids[i], child) {
			return
		}
		h.swap(i, child)
		i = child
	}
}
