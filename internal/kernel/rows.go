package kernel

import "unsafe"

// Kernels for float weights read rows as a GGUF file has them.

// dotRows multiplies rowsOfDot rows of float weights, rowBytes apart, with one or several tokens of n activations each,
// which follow one another in x: out[t][r]. stride is what lies between tokens in out, in bytes. A product is summed as
// dotFloats says.
type dotRows func(out *float32, stride int, w *byte, rowBytes int, x *float32, n int)

const (
	rowsOfDot   = 4
	tokensOfDot = 4
)

// rowKernels multiply a float dtype with one token, and with tokensOfDot. The number of columns is a multiple of
// columns.
type rowKernels struct {
	columns      int
	one, several dotRows
}

// rows returns the kernels for m, or nil where it is multiplied in plain Go.
func (m *Matrix) rows() *rowKernels {
	if m.format.block != 0 || m.Rows < rowsOfDot {
		return nil
	}
	k := rowKernelsOf(kernels, m.DType)
	if k != nil && m.Cols%k.columns != 0 {
		return nil
	}
	return k
}

// dotFloat calls a kernel from a frame of Go's: see scratch.dot.
//
//go:noinline
func dotFloat(f dotRows, out []float32, stride int, w []byte, rowBytes int, x []float32, n int) {
	f(&out[0], 4*stride, &w[0], rowBytes, unsafe.SliceData(x), n)
}

// floatRows computes rows r0 to r1-1 of a product with every token.
func (s *scratch) floatRows(dst []float32, m *Matrix, k *rowKernels, in *Input, r0, r1 int) {
	for t := 0; t < in.T; {
		f, n := k.one, 1
		if in.T-t >= tokensOfDot {
			f, n = k.several, tokensOfDot
		}
		x := in.x[t*in.N:]
		r := r0
		for ; r+rowsOfDot <= r1; r += rowsOfDot {
			dotFloat(f, dst[t*m.Rows+r:], m.Rows, m.data[r*m.rowBytes:], m.rowBytes, x, in.N)
		}
		if r < r1 {
			// The rows left over are the last of the matrix: with some before them they are enough.
			first := r1 - rowsOfDot
			dotFloat(f, s.out[:], rowsOfDot, m.data[first*m.rowBytes:], m.rowBytes, x, in.N)
			for j := range n {
				copy(dst[(t+j)*m.Rows+r:(t+j)*m.Rows+r1], s.out[j*rowsOfDot+r-first:])
			}
		}
		t += n
	}
}
