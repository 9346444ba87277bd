//go:build amd64 && !purego

package kernel

import "github.com/realm-ai/realm/internal/cpu"

//go:generate go run -C _asm ./floats -out ../floats_avx512_amd64.s -stubs ../floats_stubs_amd64.go -pkg kernel

// The functions below do as much of their work as whole vectors can, and return how many elements that is. They are
// called with a frame of Go's, as scratch.dot is.

// attendKernelsOf returns the kernels for attention, or nil.
func attendKernelsOf(set cpu.Set) *attendKernels {
	if set < cpu.AVX512 {
		return nil
	}
	return &attendAVX512
}

var attendAVX512 = attendKernels{
	halves: [attendQueries]attendBlock[uint16]{
		attendHalvesAVX512Q1, attendHalvesAVX512Q2, attendHalvesAVX512Q3, attendHalvesAVX512Q4,
	},
	floats: [attendQueries]attendBlock[float32]{
		attendFloatsAVX512Q1, attendFloatsAVX512Q2, attendFloatsAVX512Q3, attendFloatsAVX512Q4,
	},
}

// whole returns how many of n elements stand in whole vectors.
func whole(n int) int {
	if kernels < cpu.AVX512 {
		return 0
	}
	return n &^ 15
}

//go:noinline
func divideVectors(dst, x []float32, by float32) int {
	n := whole(len(dst))
	if n > 0 {
		divideAVX512(&dst[0], &x[:n][0], by, n)
	}
	return n
}

//go:noinline
func decodeVectors(dst []float32, x []uint16) int {
	n := whole(len(dst))
	if n > 0 {
		decodeHalvesAVX512(&dst[0], &x[:n][0], n)
	}
	return n
}

//go:noinline
func dotVectors(acc *[16]float32, w, x []float32) int {
	n := whole(len(w))
	if n > 0 {
		dotLanesAVX512(acc, &w[0], &x[:n][0], n)
	}
	return n
}

//go:noinline
func scaleVectors(dst, x, weight []float32, scale float32) int {
	n := whole(len(x))
	if n > 0 {
		scaleAVX512(&dst[:n][0], &x[0], &weight[:n][0], scale, n)
	}
	return n
}

//go:noinline
func swiGLUVectors(gate, up []float32) int {
	n := whole(len(gate))
	if n > 0 {
		swiGLUAVX512(&gate[0], &up[:n][0], n)
	}
	return n
}

//go:noinline
func addVectors(acc, x []float32) int {
	n := whole(len(x))
	if n > 0 {
		addAVX512(&acc[:n][0], &x[0], n)
	}
	return n
}

// skipVectors returns how many elements stand before the vector that has the first one above limit, or a NaN.
//
//go:noinline
func skipVectors(x []float32, limit float32) int {
	n := whole(len(x))
	if n > 0 {
		n -= skipAVX512(&x[0], limit, n)
	}
	return n
}

// ropeVectors returns the number of pairs.
//
//go:noinline
func ropeVectors(head, cos, sin []float32, pairs int, halves bool) int {
	n := whole(pairs)
	if !halves {
		n = whole(2*pairs) / 2
	}
	if n == 0 {
		return 0
	}
	_, _, _ = head[2*pairs-1], cos[n-1], sin[n-1]
	if halves {
		ropeHalvesAVX512(&head[0], &head[pairs], &cos[0], &sin[0], n)
	} else {
		ropeNeighboursAVX512(&head[0], &cos[0], &sin[0], n)
	}
	return n
}
