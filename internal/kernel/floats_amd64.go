//go:build amd64 && !purego

package kernel

import "github.com/realm-ai/realm/internal/cpu"

//go:generate go run -C _asm ./floats -out ../floats_avx512_amd64.s -stubs ../floats_stubs_amd64.go -pkg kernel
//go:generate go run -C _asm ./avx2/floats -out ../floats_avx2_amd64.s -stubs ../floats_avx2_stubs_amd64.go -pkg kernel
//go:generate go run -C _asm ./join ../floats_avx512_amd64.s ../floats_avx2_amd64.s

// The functions below do as much of their work as whole vectors can, and return how many elements that is. They are
// called with a frame of Go's, as scratch.dot is.

// attendKernelsOf returns the kernels for attention, or nil.
func attendKernelsOf(set cpu.Set) *attendKernels {
	switch {
	case set >= cpu.AVX512:
		return &attendAVX512
	case set == cpu.AVX2:
		return &attendAVX2
	}
	return nil
}

var attendAVX512 = attendKernels{
	halves: [attendQueries]attendBlock[uint16]{
		attendHalvesAVX512Q1, attendHalvesAVX512Q2, attendHalvesAVX512Q3, attendHalvesAVX512Q4,
	},
	floats: [attendQueries]attendBlock[float32]{
		attendFloatsAVX512Q1, attendFloatsAVX512Q2, attendFloatsAVX512Q3, attendFloatsAVX512Q4,
	},
}

var attendAVX2 = attendKernels{
	halves: [attendQueries]attendBlock[uint16]{
		attendHalvesAVX2Q1, attendHalvesAVX2Q2, attendHalvesAVX2Q3, attendHalvesAVX2Q4,
	},
	floats: [attendQueries]attendBlock[float32]{
		attendFloatsAVX2Q1, attendFloatsAVX2Q2, attendFloatsAVX2Q3, attendFloatsAVX2Q4,
	},
}

// whole returns how many of n elements stand in whole vectors.
func whole(n int) int {
	if kernels < cpu.AVX2 {
		return 0
	}
	return n &^ 15
}

//go:noinline
func divideVectors(dst, x []float32, by float32) int {
	n := whole(len(dst))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		divideAVX2(&dst[0], &x[:n][0], by, n)
	default:
		divideAVX512(&dst[0], &x[:n][0], by, n)
	}
	return n
}

//go:noinline
func decodeVectors(dst []float32, x []uint16) int {
	n := whole(len(dst))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		decodeHalvesAVX2(&dst[0], &x[:n][0], n)
	default:
		decodeHalvesAVX512(&dst[0], &x[:n][0], n)
	}
	return n
}

//go:noinline
func encodeVectors(dst []uint16, x []float32) int {
	n := whole(len(dst))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		encodeHalvesAVX2(&dst[0], &x[:n][0], n)
	default:
		encodeHalvesAVX512(&dst[0], &x[:n][0], n)
	}
	return n
}

// putKeyVectors returns the number of positions, which is all or none.
//
//go:noinline
func putKeyVectors(dst []uint16, at, n int, k []float32, dims, stride int) int {
	const (
		lanes  = 16
		fewest = 4 // positions that are worth a gathering instruction for each dimension
	)
	if kernels < cpu.AVX512 || n < fewest || dims == 0 {
		return 0
	}
	_, _ = dst[(dims-1)*PagePositions+at+n-1], k[(n-1)*stride+dims-1]
	for j := 0; j < n; j += lanes {
		putKeysAVX512(&dst[at+j], &k[j*stride], uint16(1)<<min(n-j, lanes)-1, dims, stride)
	}
	return n
}

//go:noinline
func dotVectors(acc *[16]float32, w, x []float32) int {
	n := whole(len(w))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		dotLanesAVX2(acc, &w[0], &x[:n][0], n)
	default:
		dotLanesAVX512(acc, &w[0], &x[:n][0], n)
	}
	return n
}

//go:noinline
func scaleVectors(dst, x, weight []float32, scale float32) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		scaleAVX2(&dst[:n][0], &x[0], &weight[:n][0], scale, n)
	default:
		scaleAVX512(&dst[:n][0], &x[0], &weight[:n][0], scale, n)
	}
	return n
}

//go:noinline
func swiGLUVectors(gate, up []float32) int {
	n := whole(len(gate))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		swiGLUAVX2(&gate[0], &up[:n][0], n)
	default:
		swiGLUAVX512(&gate[0], &up[:n][0], n)
	}
	return n
}

//go:noinline
func addVectors(acc, x []float32) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		addAVX2(&acc[:n][0], &x[0], n)
	default:
		addAVX512(&acc[:n][0], &x[0], n)
	}
	return n
}

//go:noinline
func mergeVectors(acc, b []float32, x, y float32) int {
	n := whole(len(acc))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		mergeAVX2(&acc[0], &b[:n][0], x, y, n)
	default:
		mergeAVX512(&acc[0], &b[:n][0], x, y, n)
	}
	return n
}

//go:noinline
func multiplyVectors(x []float32, by float32) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		multiplyAVX2(&x[0], by, n)
	default:
		multiplyAVX512(&x[0], by, n)
	}
	return n
}

// skipVectors returns how many elements stand before the vector that has the first one above limit, or a NaN.
//
//go:noinline
func skipVectors(x []float32, limit float32) int {
	n := whole(len(x))
	switch {
	case n == 0:
	case kernels == cpu.AVX2:
		n -= skipAVX2(&x[0], limit, n)
	default:
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
	switch {
	case halves && kernels == cpu.AVX2:
		ropeHalvesAVX2(&head[0], &head[pairs], &cos[0], &sin[0], n)
	case halves:
		ropeHalvesAVX512(&head[0], &head[pairs], &cos[0], &sin[0], n)
	case kernels == cpu.AVX2:
		ropeNeighboursAVX2(&head[0], &cos[0], &sin[0], n)
	default:
		ropeNeighboursAVX512(&head[0], &cos[0], &sin[0], n)
	}
	return n
}
