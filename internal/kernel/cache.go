package kernel

import "github.com/realm-ai/realm/internal/f16"

// PageSpan is the number of positions whose keys share cache lines: threads had better write different spans.
const PageSpan = 32

// Put writes the keys k, (n, KVHeads, HeadDim), and the values v, (n, KVHeads, ValueDim), of n positions of the page from
// at on. Different positions may be written concurrently.
func (p *Page) Put(s AttentionShape, at, n int, k, v []float32) {
	kd, vd := s.HeadDim, s.ValueDim
	for h := range s.KVHeads {
		keys, values := k[h*kd:], v[h*vd:] // of the first position
		if p.F32 != nil {
			toK, toV := headOf(p.F32, s, h)
			for j := range n {
				for d, x := range keys[j*s.KVHeads*kd:][:kd] {
					toK[d*PagePositions+at+j] = x
				}
				copy(toV[(at+j)*vd:], values[j*s.KVHeads*vd:][:vd])
			}
			continue
		}
		toK, toV := headOf(p.F16, s, h)
		putKeys(toK, at, n, keys, kd, s.KVHeads*kd)
		for j := range n {
			encode(toV[(at+j)*vd:][:vd], values[j*s.KVHeads*vd:])
		}
	}
}

// putKeys writes the keys of n positions, of so many dimensions each, to a head of a page from position at on. They stand
// stride floats apart.
func putKeys(dst []uint16, at, n int, k []float32, dims, stride int) {
	var halves [64]uint16
	for j := putKeyVectors(dst, at, n, k, dims, stride); j < n; j++ {
		for i := 0; i < dims; i += len(halves) {
			some := halves[:min(dims-i, len(halves))]
			encode(some, k[j*stride+i:])
			for d, h := range some {
				dst[(i+d)*PagePositions+at+j] = h
			}
		}
	}
}

// encode converts float32 to F16.
func encode(dst []uint16, x []float32) {
	n := encodeVectors(dst, x)
	f16.EncodeSlice(dst[n:], x[n:len(dst)])
}
