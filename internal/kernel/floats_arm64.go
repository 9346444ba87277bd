//go:build !purego

package kernel

import "github.com/realm-ai/realm/internal/cpu"

// The functions below do as much of their work as whole vectors can, and return how many elements that is. They are
// called with a frame of Go's, as scratch.dot is.

// attendKernelsOf returns the kernels for attention, or nil.
func attendKernelsOf(set cpu.Set) *attendKernels {
	if set != cpu.NEON {
		return nil
	}
	return &attendNEON
}

var attendNEON = attendKernels{
	halves: [attendQueries]attendBlock[uint16]{
		attendHalvesNEONQ1, attendHalvesNEONQ2, attendHalvesNEONQ3, attendHalvesNEONQ4,
	},
	floats: [attendQueries]attendBlock[float32]{
		attendFloatsNEONQ1, attendFloatsNEONQ2, attendFloatsNEONQ3, attendFloatsNEONQ4,
	},
}

// whole returns how many of n elements stand in whole vectors.
func whole(n int) int {
	if kernels != cpu.NEON {
		return 0
	}
	return n &^ 15
}

//go:noinline
func divideVectors(dst, x []float32, by float32) int {
	n := whole(len(dst))
	if n > 0 {
		divideNEON(&dst[0], &x[:n][0], by, n)
	}
	return n
}

//go:noinline
func decodeVectors(dst []float32, x []uint16) int {
	n := whole(len(dst))
	if n > 0 {
		decodeHalvesNEON(&dst[0], &x[:n][0], n)
	}
	return n
}

//go:noinline
func encodeVectors(dst []uint16, x []float32) int {
	n := whole(len(dst))
	if n > 0 {
		encodeHalvesNEON(&dst[0], &x[:n][0], n)
	}
	return n
}

// putKeyVectors returns the number of positions.
//
//go:noinline
func putKeyVectors(dst []uint16, at, n int, k []float32, dims, stride int) int {
	const lanes = 4
	n &^= lanes - 1
	if kernels != cpu.NEON || n == 0 || dims == 0 || dims%4 != 0 {
		return 0
	}
	_, _ = dst[(dims-1)*PagePositions+at+n-1], k[(n-1)*stride+dims-1]
	for j := 0; j < n; j += lanes {
		putKeysNEON(&dst[at+j], &k[j*stride], dims, stride)
	}
	return n
}

//go:noinline
func dotVectors(acc *[16]float32, w, x []float32) int {
	n := whole(len(w))
	if n > 0 {
		dotLanesNEON(acc, &w[0], &x[:n][0], n)
	}
	return n
}

//go:noinline
func scaleVectors(dst, x, weight []float32, scale float32) int {
	n := whole(len(x))
	if n > 0 {
		scaleNEON(&dst[:n][0], &x[0], &weight[:n][0], scale, n)
	}
	return n
}

//go:noinline
func swiGLUVectors(gate, up []float32) int {
	n := whole(len(gate))
	if n > 0 {
		swiGLUNEON(&gate[0], &up[:n][0], n)
	}
	return n
}

//go:noinline
func addVectors(acc, x []float32) int {
	n := whole(len(x))
	if n > 0 {
		addNEON(&acc[:n][0], &x[0], n)
	}
	return n
}

//go:noinline
func multiplyVectors(x []float32, by float32) int {
	n := whole(len(x))
	if n > 0 {
		multiplyNEON(&x[0], by, n)
	}
	return n
}

// skipVectors returns how many elements stand before the vector that has the first one above limit, or a NaN.
//
//go:noinline
func skipVectors(x []float32, limit float32) int {
	n := whole(len(x))
	if n > 0 {
		n -= skipNEON(&x[0], limit, n)
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
		ropeHalvesNEON(&head[0], &head[pairs], &cos[0], &sin[0], n)
	} else {
		ropeNeighboursNEON(&head[0], &cos[0], &sin[0], n)
	}
	return n
}

// mergeVectors leaves it to plain Go.
func mergeVectors(_, _ []float32, _, _ float32) int { return 0 }
