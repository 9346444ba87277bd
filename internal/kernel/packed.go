package kernel

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/realm-ai/realm/internal/quant"
)

// Packed weights are those of a GGUF file in another order: 16 rows, a strip, are interleaved, so that one vector load
// brings the same weights of 16 rows and each row has a lane for itself. No bit is changed, and a packed matrix has the
// size of the one it was made of but for padding: the last strip is filled up with rows of zero bytes, and a strip ends
// at a multiple of 64 bytes.
//
// The one exception in which bits move within a unit is described at spreadBits.
//
// Within a strip, block follows block. A block's units of 4 or 2 bytes, in the order that its layout gives, each stand
// 16 times in a row, once for each of the strip's rows. Where this would make a block's size an odd multiple of 32 bytes,
// the scales d are taken out and stand together at the start of the strip, up to a multiple of 64 bytes, so that every
// other vector is aligned.
//
// Blocks of 256 have their units in the order in which kernels for few tokens want them, so that they read memory from one
// end to the other: scales, then quants, with what else the same weights consist of beside them.
//
// Float dtypes are summed along the row (DESIGN section 5), so packing leaves them as they are.

const (
	// stripRows is the number of rows that are interleaved.
	stripRows = 16
	// PackedAlignment is the alignment in bytes at which packed weights are fast. They are right at any.
	PackedAlignment = 64
)

// field is a run of units of a block, each of which is interleaved. A unit of 0 stands for the 32 high bits of Q5_0 and
// Q5_1, whose order changes too: see spreadBits.
type field struct {
	offset, unit, count int
	beside              []int // the offsets of runs like it, of which each has a unit in turn
}

// runs is the number of runs, and run the offset of one.
func (f *field) runs() int { return len(f.beside) + 1 }

func (f *field) run(i int) int {
	if i == 0 {
		return f.offset
	}
	return f.beside[i-1]
}

const highBits = 0

// layout is the order of the units of a block in a strip. The first field is d where it stands at the start of the
// strip.
type layout struct {
	head   bool
	fields []field
}

// layouts has every quantized dtype that has a kernel. Each layout holds every byte of a block once.
var layouts = map[quant.DType]layout{
	quant.Q4_0:   {true, []field{{quant.Q4_0D, 2, 1, nil}, {quant.Q4_0Quants, 4, 4, nil}}},
	quant.Q4_1:   {false, []field{{quant.Q4_1Quants, 4, 4, nil}, {quant.Q4_1D, 2, 1, nil}, {quant.Q4_1M, 2, 1, nil}}},
	quant.Q5_0:   {true, []field{{quant.Q5_0D, 2, 1, nil}, {quant.Q5_0Quants, 4, 4, nil}, {quant.Q5_0High, highBits, 1, nil}}},
	quant.Q5_1:   {false, []field{{quant.Q5_1Quants, 4, 4, nil}, {quant.Q5_1High, highBits, 1, nil}, {quant.Q5_1D, 2, 1, nil}, {quant.Q5_1M, 2, 1, nil}}},
	quant.Q8_0:   {true, []field{{quant.Q8_0D, 2, 1, nil}, {quant.Q8_0Quants, 4, 8, nil}}},
	quant.IQ4_NL: {true, []field{{quant.IQ4_NLD, 2, 1, nil}, {quant.IQ4_NLQuants, 4, 4, nil}}},
	quant.Q2_K: {false, []field{
		{quant.Q2_KScales, 4, 4, nil},
		{quant.Q2_KD, 2, 1, nil},
		{quant.Q2_KDMin, 2, 1, nil},
		{quant.Q2_KQuants, 4, 16, nil},
	}},
	quant.Q3_K: {true, []field{
		{quant.Q3_KD, 2, 1, nil},
		{quant.Q3_KScales, 4, 3, nil},
		{quant.Q3_KHigh, 4, 8, []int{quant.Q3_KQuants, quant.Q3_KQuants + 32}},
	}},
	quant.Q4_K: {false, []field{
		{quant.Q4_KScales, 4, 3, nil},
		{quant.Q4_KD, 2, 1, nil},
		{quant.Q4_KDMin, 2, 1, nil},
		{quant.Q4_KQuants, 4, 32, nil},
	}},
	quant.Q5_K: {false, []field{
		{quant.Q5_KScales, 4, 3, nil},
		{quant.Q5_KD, 2, 1, nil},
		{quant.Q5_KDMin, 2, 1, nil},
		{quant.Q5_KHigh, 4, 8, []int{quant.Q5_KQuants, quant.Q5_KQuants + 32, quant.Q5_KQuants + 64, quant.Q5_KQuants + 96}},
	}},
	quant.Q6_K: {true, []field{
		{quant.Q6_KD, 2, 1, nil},
		{quant.Q6_KScales, 4, 4, nil},
		{quant.Q6_KHigh, 4, 8, []int{quant.Q6_KQuants, quant.Q6_KQuants + 32}},
		{quant.Q6_KHigh + 32, 4, 8, []int{quant.Q6_KQuants + 64, quant.Q6_KQuants + 96}},
	}},
	quant.IQ4_XS: {false, []field{
		{quant.IQ4_XSScalesLow, 4, 1, nil},
		{quant.IQ4_XSD, 2, 1, nil},
		{quant.IQ4_XSScalesHigh, 2, 1, nil},
		{quant.IQ4_XSQuants, 4, 32, nil},
	}},
}

// packedStrip returns the size in bytes of a strip of rows of n weights.
func packedStrip(t quant.DType, n int) int {
	return (stripRows*t.RowBytes(n) + PackedAlignment - 1) &^ (PackedAlignment - 1)
}

// PackedBytes returns the size in bytes of a packed matrix of rows x cols weights, or 0 if there is no such matrix: the
// dtype has no kernel, cols is not a multiple of its block, or the size does not fit an int64.
func PackedBytes(t quant.DType, rows, cols int) int64 {
	rowBytes := t.RowBytes(cols)
	if formatOf(t) == nil || rows <= 0 || rowBytes <= 0 || rowBytes > math.MaxInt/(2*stripRows) {
		return 0
	}
	n, size := int64(rows), int64(rowBytes)
	if _, quantized := layouts[t]; quantized {
		n, size = (n-1)/stripRows+1, int64(packedStrip(t, cols))
	}
	if n > math.MaxInt64/size {
		return 0
	}
	return n * size
}

// Pack packs rows x cols weights as a GGUF file has them. dst holds PackedBytes and src rows times the dtype's RowBytes.
// A matrix may be packed in parts, each of a multiple of 16 rows but for the last: the packed parts follow one another.
func Pack(dst []byte, t quant.DType, rows, cols int, src []byte) {
	l, quantized := layouts[t]
	if !quantized {
		copy(dst[:PackedBytes(t, rows, cols)], src)
		return
	}
	rowBytes, size := t.RowBytes(cols), packedStrip(t, cols)
	for r := 0; r < rows; r += stripRows {
		strip := dst[:size:size]
		dst = dst[size:]
		n := min(stripRows, rows-r)
		if n < stripRows || size > stripRows*rowBytes {
			clear(strip) // the padding
		}
		l.interleave(strip, src[r*rowBytes:(r+n)*rowBytes], rowBytes, t.BlockBytes())
	}
}

// headBytes returns the size of what stands in front of the n blocks of a strip.
func (l *layout) headBytes(n int) int {
	if !l.head {
		return 0
	}
	return (n*2*stripRows + PackedAlignment - 1) &^ (PackedAlignment - 1)
}

// interleave writes rows, at most 16, to a strip.
func (l *layout) interleave(strip, rows []byte, rowBytes, blockBytes int) {
	at := l.headBytes(rowBytes / blockBytes)
	for b := 0; b < rowBytes; b += blockBytes {
		fields := l.fields
		if l.head {
			copyUnits2(strip[b/blockBytes*2*stripRows:], rows, b+fields[0].offset, rowBytes)
			fields = fields[1:]
		}
		for _, f := range fields {
			if f.unit == 2 {
				copyUnits2(strip[at:], rows, b+f.offset, rowBytes)
				at += 2 * stripRows
				continue
			}
			if f.unit != highBits && len(rows) == stripRows*rowBytes {
				for i := range f.runs() {
					copyUnits4(strip[at+4*stripRows*i:], rows[b+f.run(i):], rowBytes, f.count, f.runs())
				}
				at += 4 * stripRows * f.count * f.runs()
				continue
			}
			for i := range f.count {
				for j := range f.runs() {
					dst := strip[at : at+4*stripRows]
					for from := b + f.run(j) + 4*i; from < len(rows); from += rowBytes {
						v := le32(rows[from:])
						if f.unit == highBits {
							v = spreadBits(v)
						}
						binary.LittleEndian.PutUint32(dst, v)
						dst = dst[4:]
					}
					at += 4 * stripRows
				}
			}
		}
	}
}

// copyUnits4 copies count units of 4 bytes of 16 rows, those of the first row at the start of rows, to lines of dst that are
// so many (every) apart. Two units of two rows at a time: it takes half the loads and stores.
func copyUnits4(dst, rows []byte, rowBytes, count, every int) {
	n, line := 4*count, 4*stripRows*every // bytes of a row, and from a unit of it to the next
	for r := 0; r < stripRows; r += 2 {
		a, b := rows[r*rowBytes:][:n], rows[(r+1)*rowBytes:][:n]
		to, at := dst[4*r:], 0
		i := 0
		for ; i+8 <= n; i += 8 {
			x, y := le64(a[i:i+8]), le64(b[i:i+8])
			binary.LittleEndian.PutUint64(to[at:at+8], x&0xffff_ffff|y<<32)
			binary.LittleEndian.PutUint64(to[at+line:at+line+8], x>>32|y&^0xffff_ffff)
			at += 2 * line
		}
		if i < n {
			binary.LittleEndian.PutUint64(to[at:at+8], uint64(le32(a[i:]))|uint64(le32(b[i:]))<<32)
		}
	}
}

// copyUnits2 copies 2 bytes of each row, those at from in the first one.
func copyUnits2(dst, rows []byte, from, rowBytes int) {
	for ; from+3*rowBytes < len(rows); from += 4 * rowBytes {
		lo := uint64(le16(rows[from:])) | uint64(le16(rows[from+rowBytes:]))<<16
		hi := uint64(le16(rows[from+2*rowBytes:])) | uint64(le16(rows[from+3*rowBytes:]))<<16
		binary.LittleEndian.PutUint64(dst, lo|hi<<32)
		dst = dst[8:]
	}
	for ; from < len(rows); from += rowBytes {
		binary.LittleEndian.PutUint16(dst, le16(rows[from:]))
		dst = dst[2:]
	}
}

// spreadBits moves bit 4*g + i to 8*i + g, for i of 0 to 3 and g of 0 to 7: a shift then brings the high bits of 4
// consecutive weights to 4 consecutive bytes.
func spreadBits(v uint32) uint32 {
	w := uint32(0)
	for i := range 4 {
		t := v >> i & 0x1111_1111
		t = (t | t>>3) & 0x0303_0303
		t = (t | t>>6) & 0x000f_000f
		w |= (t | t>>12) & 0xff << (8 * i)
	}
	return w
}

// joinBits is the inverse of spreadBits.
func joinBits(v uint32) uint32 {
	w := uint32(0)
	for i := range 4 {
		t := v >> (8 * i) & 0xff
		t = (t | t<<12) & 0x000f_000f
		t = (t | t<<6) & 0x0303_0303
		w |= (t | t<<3) & 0x1111_1111 << i
	}
	return w
}

// extract reads row r of a strip, the inverse of interleave.
func (l *layout) extract(row, strip []byte, blockBytes, r int) {
	n := len(row) / blockBytes
	at := l.headBytes(n)
	for b := range n {
		block := row[b*blockBytes : (b+1)*blockBytes]
		fields := l.fields
		if l.head {
			copy(block[fields[0].offset:][:2], strip[(b*stripRows+r)*2:])
			fields = fields[1:]
		}
		for _, f := range fields {
			if f.unit == 2 {
				copy(block[f.offset:][:2], strip[at+2*r:])
				at += 2 * stripRows
				continue
			}
			for i := range f.count {
				for j := range f.runs() {
					v := le32(strip[at+4*r:])
					if f.unit == highBits {
						v = joinBits(v)
					}
					binary.LittleEndian.PutUint32(block[f.run(j)+4*i:], v)
					at += 4 * stripRows
				}
			}
		}
	}
}

// NewPackedMatrix makes a matrix over what Pack wrote for rows x cols weights of the dtype. It fails where the dtype has
// no kernel or the sizes do not fit together.
func NewPackedMatrix(dtype quant.DType, rows, cols int, packed []byte) (*Matrix, error) {
	f := formatOf(dtype)
	if f == nil {
		return nil, fmt.Errorf("kernel: dtype %v: no kernel multiplies it", dtype)
	}
	l, quantized := layouts[dtype]
	if !quantized {
		return NewMatrix(dtype, rows, cols, packed)
	}
	want := PackedBytes(dtype, rows, cols)
	if want == 0 {
		return nil, fmt.Errorf("kernel: %d x %d: not whole blocks of %v", rows, cols, dtype)
	}
	if int64(len(packed)) != want {
		return nil, fmt.Errorf("kernel: %d x %d of %v, packed: have %d bytes, want %d", rows, cols, dtype, len(packed), want)
	}
	return &Matrix{
		DType: dtype, Rows: rows, Cols: cols,
		data: packed, rowBytes: dtype.RowBytes(cols), format: f, layout: &l, stripBytes: packedStrip(dtype, cols),
	}, nil
}

// PackedBytes returns the size in bytes of the matrix once packed, or 0 where this processor's kernels take it as it is.
func (m *Matrix) PackedBytes() int64 {
	if m.layout != nil || stripKernelsOf(kernels, m.DType) == nil {
		return 0
	}
	return PackedBytes(m.DType, m.Rows, m.Cols)
}

// PackedLayout names the order of packed weights: it changes whenever Pack writes other bytes, so that what was packed
// earlier can be told apart.
const PackedLayout = "strips of 16 rows, 2"

// Strips returns the number of strips that the matrix is packed in, and the size in bytes of each.
func (m *Matrix) Strips() (n, size int) { return ceil(m.Rows, stripRows), packedStrip(m.DType, m.Cols) }

// PackStrips packs n strips of a quantized matrix, from the first one on, into dst, which they fill.
func (m *Matrix) PackStrips(dst []byte, first, n int) {
	r0, r1 := first*stripRows, min((first+n)*stripRows, m.Rows)
	Pack(dst, m.DType, r1-r0, m.Cols, m.data[r0*m.rowBytes:r1*m.rowBytes])
}

// UsePacked makes the matrix a view of packed, which holds what PackStrips wrote for all strips. Nothing else may use the
// matrix meanwhile.
func (m *Matrix) UsePacked(packed []byte) error {
	p, err := NewPackedMatrix(m.DType, m.Rows, m.Cols, packed)
	if err == nil {
		*m = *p
	}
	return err
}

// Pack packs a matrix into dst, which holds m.PackedBytes() and belongs to the matrix afterwards. Nothing else may use
// the matrix meanwhile.
func (p *Pool) Pack(m *Matrix, dst []byte) {
	n, size := m.Strips()
	const strips = 8 // of an item
	p.Run(ceil(n, strips), func(item int) {
		first := item * strips
		m.PackStrips(dst[first*size:], first, min(strips, n-first))
	})
	if err := m.UsePacked(dst); err != nil {
		panic(err) // dst has another size
	}
}
