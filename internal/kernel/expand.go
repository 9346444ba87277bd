package kernel

import (
	"encoding/binary"
	"math"
)

// Dtypes without kernels of their own are multiplied as tiles: a strip whose weights are expanded to a byte each, in the
// plainest order that a kernel can have. A block of 32 is
//
//	8   vectors of quants with the format's offset: dword r has 4 weights of row r
//	1   vector of -offset, which corrects the sum by the sum of activations
//	1   vector of scales, floats
//	1   vector of minimums, floats
//
// and a block of 256, always taken as 16 sub-blocks of 16, is
//
//	64  vectors of quants
//	16  vectors of the sub-blocks' scales
//	8   vectors of pairs of -offset times the scale, in the order of the stream's pairs
//	8   vectors of pairs of minimums
//	1   vector of scales, floats
//	1   vector of the minimums' factors, floats
const (
	vector       = 4 * stripRows // bytes
	tile32Bytes  = (8 + 3) * vector
	tile256Bytes = (64 + 16 + 8 + 8 + 2) * vector
)

// tileBytes returns the size of a strip of m as a tile.
func tileBytes(m *Matrix) int {
	if m.format.block == 32 {
		return m.Cols / 32 * tile32Bytes
	}
	return m.Cols / 256 * tile256Bytes
}

// expand writes strip i of m as a tile. Rows beyond the last are left as they are.
func expand(dst []byte, w *weights, m *Matrix, i int) {
	w.size(m)
	for r := range min(stripRows, m.Rows-i*stripRows) {
		w.unpackRow(m, i*stripRows+r)
		if m.format.block == 32 {
			w.tile32(dst, m.format, r)
		} else {
			w.tile256(dst, m.format, r)
		}
	}
}

// tile32 writes a row, unpacked as bytes, to lane r.
func (w *weights) tile32(dst []byte, f *format, r int) {
	for b, d := range w.d {
		block := dst[b*tile32Bytes+4*r:][:tile32Bytes-4*r]
		tileQuants(block, w.words[b*16:b*16+16])
		put(block, 8, uint32(uint16(-f.offset)))
		put(block, 9, math.Float32bits(d))
		if f.mins {
			put(block, 10, math.Float32bits(w.min[b]))
		} else {
			put(block, 10, 0)
		}
	}
}

// tile256 writes a row, unpacked as bytes, to lane r.
func (w *weights) tile256(dst []byte, f *format, r int) {
	n := 256 / f.sub
	var scales, mins [16]int32
	for b, d := range w.d {
		block := dst[b*tile256Bytes+4*r:][:tile256Bytes-4*r]
		tileQuants(block, w.words[b*128:b*128+128])
		for j := range scales {
			scales[j] = w.scales[b*n+j*n/16]
			put(block, 64+j, uint32(scales[j]))
			if f.mins {
				mins[j] = w.mins[b*n+j*n/16]
			}
		}
		for p := range 8 {
			first := p/2*4 + p%2
			put(block, 80+p, pair(-f.offset*scales[first], -f.offset*scales[first+2]))
			put(block, 88+p, pair(mins[first], mins[first+2]))
		}
		put(block, 96, math.Float32bits(d))
		if f.mins {
			put(block, 97, math.Float32bits(w.min[b]))
		} else {
			put(block, 97, 0)
		}
	}
}

// tileQuants writes groups of 8 weights, 4 words of byte fields each, to a lane of two vectors.
func tileQuants(block []byte, words []uint64) {
	for g := 0; g+4 <= len(words); g += 4 {
		u := words[g] | words[g+1]<<8 | words[g+2]<<16 | words[g+3]<<24
		put(block, g/2, uint32(u))
		put(block, g/2+1, uint32(u>>32))
	}
}

// put writes the dword of a lane in vector i.
func put(lane []byte, i int, v uint32) { binary.LittleEndian.PutUint32(lane[i*vector:], v) }
