package kernel

import (
	"fmt"

	"github.com/realm-ai/realm/internal/quant"
)

// Matrix is a weight matrix of Rows x Cols in the blocks of its dtype, either row after row, as a GGUF file holds it, or
// packed. It views memory that it does not own.
type Matrix struct {
	DType      quant.DType
	Rows, Cols int
	data       []byte
	rowBytes   int
	format     *format
	layout     *layout // of a packed matrix, else nil
	stripBytes int     // of a packed matrix
}

// NewMatrix makes a matrix over data, which holds rows*cols weights of the dtype. It fails where the dtype has no
// kernel or the sizes do not fit together.
func NewMatrix(dtype quant.DType, rows, cols int, data []byte) (*Matrix, error) {
	f := formatOf(dtype)
	if f == nil {
		return nil, fmt.Errorf("kernel: dtype %v: no kernel multiplies it", dtype)
	}
	if rows <= 0 || cols <= 0 || cols%dtype.BlockSize() != 0 {
		return nil, fmt.Errorf("kernel: %d x %d: not whole blocks of %v", rows, cols, dtype)
	}
	rowBytes := cols / dtype.BlockSize() * dtype.BlockBytes()
	if len(data)/rowBytes != rows || len(data)%rowBytes != 0 {
		return nil, fmt.Errorf("kernel: %d x %d of %v: have %d bytes, want %d each row", rows, cols, dtype, len(data), rowBytes)
	}
	return &Matrix{DType: dtype, Rows: rows, Cols: cols, data: data, rowBytes: rowBytes, format: f}, nil
}

// Row dequantizes row r into dst, of Cols elements. The result is exact.
func (m *Matrix) Row(dst []float32, r int) {
	var buf []byte
	if m.layout != nil {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		s.w[0].packed = grow(s.w[0].packed, m.rowBytes)
		buf = s.w[0].packed
	}
	if err := quant.Dequantize(dst[:m.Cols], m.row(buf, r), m.DType); err != nil {
		panic(err) // NewMatrix took only dtypes and sizes that dequantize
	}
}

// row returns the blocks of row r as a GGUF file has them, those of a packed matrix in buf.
func (m *Matrix) row(buf []byte, r int) []byte {
	if m.layout == nil {
		return m.data[r*m.rowBytes : (r+1)*m.rowBytes]
	}
	buf = buf[:m.rowBytes]
	m.layout.extract(buf, m.strip(r/stripRows), m.DType.BlockBytes(), r%stripRows)
	return buf
}

// strip returns strip i of a packed matrix.
func (m *Matrix) strip(i int) []byte { return m.data[i*m.stripBytes : (i+1)*m.stripBytes] }

// format says how rows of one dtype are multiplied.
type format struct {
	// block is the number of weights that share a scale, 0 for a float dtype. Activations are quantized in the same
	// blocks.
	block int
	// sub is the number of weights that share an integer scale inside a block: block itself, 32 or 16.
	sub int
	// nibbles says that unpack gives four weights of 0 to 15 a word rather than two bytes.
	nibbles bool
	// offset is how much larger unpacked weights are than the ones that they stand for.
	offset int32
	// mins says that weights have a minimum, so that sums of activations enter the product.
	mins bool
	// unpack takes one row of a quantized dtype apart.
	unpack func(dst *weights, row []byte)
	// direct, where a dtype has it, multiplies a row with one token without unpacking it.
	direct func(l *lane, w *weights, row []byte, q *quantized)
}

func formatOf(t quant.DType) *format {
	switch t {
	case quant.F32, quant.F16, quant.BF16:
		return &format{}
	case quant.Q4_0:
		return &format{block: 32, sub: 32, nibbles: true, offset: 8, unpack: unpackQ4_0, direct: directQ4_0}
	case quant.Q4_1:
		return &format{block: 32, sub: 32, nibbles: true, mins: true, unpack: unpackQ4_1, direct: directQ4_1}
	case quant.Q5_0:
		return &format{block: 32, sub: 32, offset: 16, unpack: unpackQ5_0}
	case quant.Q5_1:
		return &format{block: 32, sub: 32, mins: true, unpack: unpackQ5_1}
	case quant.Q8_0:
		return &format{block: 32, sub: 32, offset: 128, unpack: unpackQ8_0, direct: directQ8_0}
	case quant.IQ4_NL:
		return &format{block: 32, sub: 32, offset: 128, unpack: unpackIQ4NL}
	case quant.Q2_K:
		return &format{block: 256, sub: 16, mins: true, unpack: unpackQ2K}
	case quant.Q3_K:
		return &format{block: 256, sub: 16, offset: 4, unpack: unpackQ3K}
	case quant.Q4_K:
		return &format{block: 256, sub: 32, nibbles: true, mins: true, unpack: unpackQ4K}
	case quant.Q5_K:
		return &format{block: 256, sub: 32, mins: true, unpack: unpackQ5K}
	case quant.Q6_K:
		return &format{block: 256, sub: 16, offset: 32, unpack: unpackQ6K}
	case quant.IQ4_XS:
		return &format{block: 256, sub: 32, offset: 128, unpack: unpackIQ4XS}
	}
	return nil
}

// weights is one row taken apart for the integer dot products.
type weights struct {
	// words holds the quants, in the order of the row and with the format's offset, several to a word so that one 64-bit
	// multiplication does several products: see dotNibbles and dotBytes. A group of 8 weights takes 2 words of nibbles
	// (weights 0 2 4 6 and 1 3 5 7, 16 bits apart) or 4 words of bytes (0 4, 1 5, 2 6 and 3 7, 32 bits apart).
	words  []uint64
	d      []float32 // scale of each block
	min    []float32 // factor of the activations' sums in each block: the minimum, or minus the K-quants' dmin
	scales []int32   // scale of each sub-block; empty where a block has one scale
	mins   []int32   // minimum of each sub-block, likewise
	row    []float32 // the row of a float dtype
	packed []byte    // the row of a packed matrix, in the order of a GGUF file
}

// size makes room for a row of m.
func (w *weights) size(m *Matrix) {
	f, cols := m.format, m.Cols
	if f.block == 0 {
		w.row = grow(w.row, cols)
		return
	}
	if f.nibbles {
		w.words = grow(w.words, cols/4)
	} else {
		w.words = grow(w.words, cols/2)
	}
	w.d = grow(w.d, cols/f.block)
	w.min = grow(w.min, cols/f.block)
	w.scales = grow(w.scales, cols/16)
	w.mins = grow(w.mins, cols/16)
	if m.layout != nil {
		w.packed = grow(w.packed, m.rowBytes)
	}
}

// unpackRow takes row r of m apart.
func (w *weights) unpackRow(m *Matrix, r int) {
	if m.format.block == 0 {
		m.Row(w.row, r)
	} else {
		m.format.unpack(w, m.row(w.packed, r))
	}
}

// grow returns s with length n, in new memory where it is too short. The elements are not kept.
func grow[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
