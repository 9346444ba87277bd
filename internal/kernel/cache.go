package kernel

import "github.com/realm-ai/realm/internal/f16"

// PageSpan is the number of positions whose keys share cache lines: threads had better write different spans.
const PageSpan = 32

// Put writes the keys k, (n, KVHeads, HeadDim), and the values v, (n, KVHeads, ValueDim), of n positions of the page from
// at on. Different positions may be written concurrently.
func (p *Page) Put(s AttentionShape, at, n int, k, v []float32) {
	// Dimensions of all heads follow one another in k as well as in the page.
	dims := s.KVHeads * s.HeadDim
	if p.K32 != nil {
		for i := range dims {
			for j := range n {
				p.K32[i*PagePositions+at+j] = k[j*dims+i]
			}
		}
	} else {
		var halves [64]uint16
		for j := putKeyVectors(p.K, at, n, k, dims); j < n; j++ {
			for i := 0; i < dims; i += len(halves) {
				some := halves[:min(dims-i, len(halves))]
				encode(some, k[j*dims+i:])
				for d, h := range some {
					p.K[(i+d)*PagePositions+at+j] = h
				}
			}
		}
	}
	vd := s.ValueDim
	for j := range n {
		for h := range s.KVHeads {
			x, to := v[(j*s.KVHeads+h)*vd:][:vd], (h*PagePositions+at+j)*vd
			if p.V32 != nil {
				copy(p.V32[to:], x)
			} else {
				encode(p.V[to:to+vd], x)
			}
		}
	}
}

// encode converts float32 to F16.
func encode(dst []uint16, x []float32) {
	n := encodeVectors(dst, x)
	f16.EncodeSlice(dst[n:], x[n:len(dst)])
}
