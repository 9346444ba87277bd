package kernel

import (
	"math"
	"unsafe"
)

// Kernels for strips read activations as a stream for each tile of tokens: what one step needs of all its tokens stands
// together, a dword for each token, in the order of use. A block of 32 is
//
//	8   dwords of 4 activations
//	3   the sum of the activations times -8, -16 and -128, which corrects for weights' offsets
//	1   the sum as a float
//	1   scale, a float
//
// and a block of 256 is
//
//	64  dwords of 4 activations
//	4   pairs of int16 sums of 32 activations: 0 and 2, 1 and 3, 4 and 6, 5 and 7
//	8   pairs of int16 sums of 16 activations: 0 and 2, 1 and 3, 4 and 6, and so on
//	1   scale, a float
//
// Pairs are of those sub-blocks whose scales a mask of every other byte takes out of a dword of four.

// tileTokens are the numbers of tokens that kernels exist for.
var tileTokens = [...]int{1, 2, 4, 8, 12}

// maxTile is the largest of them.
const maxTile = 12

// tileKind returns the index in tileTokens of the tile that starts with n tokens left to do. It has room for all of
// them or is the largest.
func tileKind(n int) int {
	for i, size := range tileTokens {
		if size >= n {
			return i
		}
	}
	return len(tileTokens) - 1
}

// streamDwords returns the length of a token's share of the stream for n activations.
func (q *quantized) streamDwords(n int) int {
	if q.block == 32 {
		return n / 32 * (8 + 3 + 1 + 1)
	}
	return n / 256 * (64 + 4 + 8 + 1)
}

// streams makes the streams of all tiles. Every tile but the last has maxTile tokens.
func (q *quantized) streams(p *Pool, in *Input) {
	tiles := (in.T + maxTile - 1) / maxTile
	share := q.streamDwords(in.N)
	last := tileTokens[tileKind(in.T-(tiles-1)*maxTile)]
	q.stream = grow(q.stream, ((tiles-1)*maxTile+last)*share)
	p.Run(tiles, q.items.stream)
}

// streamTile makes the stream of tile i.
func (q *quantized) streamTile(in *Input, i int) {
	share, t0 := q.streamDwords(in.N), i*maxTile
	n := min(maxTile, in.T-t0)
	size := tileTokens[tileKind(n)]
	dst := q.stream[t0*share : (t0+size)*share]
	if n < size {
		clear(dst)
	}
	for t := range n {
		if q.block == 32 {
			q.stream32(dst[t:], in, t0+t, size)
		} else {
			q.stream256(dst[t:], in, t0+t, size)
		}
	}
}

// stream32 writes every size-th element of dst for token t.
func (q *quantized) stream32(dst []uint32, in *Input, t, size int) {
	nb := in.N / 32
	x, sums, d := q.q[t*in.N:(t+1)*in.N], q.sums[t*nb:(t+1)*nb], q.d[t*nb:(t+1)*nb]
	at := 0
	for b := range nb {
		streamQuants(dst[at:], x[b*32:b*32+32], size)
		at += 8 * size
		dst[at], dst[at+size], dst[at+2*size] = uint32(-8*sums[b]), uint32(-16*sums[b]), uint32(-128*sums[b])
		dst[at+3*size] = math.Float32bits(float32(sums[b]))
		dst[at+4*size] = math.Float32bits(d[b])
		at += 5 * size
	}
}

// stream256 writes every size-th element of dst for token t.
func (q *quantized) stream256(dst []uint32, in *Input, t, size int) {
	nb := in.N / 256
	x, sums, d := q.q[t*in.N:(t+1)*in.N], q.sums[t*nb*16:(t+1)*nb*16], q.d[t*nb:(t+1)*nb]
	at := 0
	for b := range nb {
		streamQuants(dst[at:], x[b*256:b*256+256], size)
		at += 64 * size
		s := (*[16]int32)(sums[b*16:])
		var s32 [8]int32
		for i := range s32 {
			s32[i] = s[2*i] + s[2*i+1]
		}
		for i := 0; i < 8; i += 4 {
			dst[at], dst[at+size] = pair(s32[i], s32[i+2]), pair(s32[i+1], s32[i+3])
			at += 2 * size
		}
		for i := 0; i < 16; i += 4 {
			dst[at], dst[at+size] = pair(s[i], s[i+2]), pair(s[i+1], s[i+3])
			at += 2 * size
		}
		dst[at] = math.Float32bits(d[b])
		at += size
	}
}

// streamQuants writes activations, dwords of four, to every size-th element of dst.
func streamQuants(dst []uint32, x []int8, size int) {
	from := unsafe.Slice((*uint32)(unsafe.Pointer(&x[0])), len(x)/4) // kernels for strips are for little-endian processors
	if size == 1 {
		copy(dst, from)
		return
	}
	dst = dst[: (len(from)-1)*size+1 : len(dst)] // the only check
	to := unsafe.Pointer(&dst[0])
	for i, v := range from {
		*(*uint32)(unsafe.Add(to, 4*i*size)) = v
	}
}

// pair is two int16 in a dword.
func pair(a, b int32) uint32 { return uint32(uint16(a)) | uint32(uint16(b))<<16 }
