package gguf

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	"github.com/realm-ai/realm/internal/errs"
)

// Writer collects metadata and tensors and writes them as one file of version 3, in the order they were added. It holds
// metadata and descriptions in memory, and no tensor data. It refuses what Parse would refuse, with InvalidArgument. A
// Writer is for one goroutine.
type Writer struct {
	alignment uint32
	keys      map[string]bool
	meta      []byte // encoded pairs
	names     map[string]bool
	tensors   []source
	next      int64 // offset of the tensor after the last, from the start of tensor data
}

// source is a tensor to be written.
type source struct {
	name   string
	dtype  DType
	shape  []uint64
	offset int64 // from the start of tensor data
	size   int64
	data   io.Reader
}

// NewWriter makes a Writer without metadata and tensors.
func NewWriter() *Writer {
	return &Writer{alignment: defaultAlignment, keys: map[string]bool{}, names: map[string]bool{}}
}

// Set adds a metadata pair. The value has a type that Value.Any gives: uint8 to uint64, int8 to int64, float32,
// float64, bool, string, a slice of one of these, or a []any of slices for an array of arrays. A key can be set only
// once. The key general.alignment sets the file's alignment too, and has to come before the tensors.
func (w *Writer) Set(key string, value any) error {
	if err := w.set(key, value); err != nil {
		return errs.Errorf(errs.InvalidArgument, "gguf: write key %s: %w", quote(key), err)
	}
	return nil
}

func (w *Writer) set(key string, value any) error {
	if err := checkName(key, maxKey); err != nil {
		return err
	}
	if w.keys[key] {
		return errs.Errorf(errs.InvalidArgument, "duplicate")
	}
	if len(w.keys) == maxMetadata {
		return errs.Errorf(errs.InvalidArgument, "more than %d keys", maxMetadata)
	}
	if key == keyAlignment {
		alignment, ok := value.(uint32)
		if !ok || !validAlignment(alignment) {
			return errs.Errorf(errs.InvalidArgument, "%T %v: not a uint32 that is a power of two", value, value)
		}
		if len(w.tensors) > 0 {
			return errs.Errorf(errs.InvalidArgument, "set after tensors were added")
		}
		w.alignment = alignment
	}
	start := len(w.meta)
	meta, err := appendValue(appendString(w.meta, key), value)
	if err != nil {
		return err
	}
	// The reader judges what was written, so that the two cannot differ on lengths and nesting.
	r := reader{data: meta[start+8+len(key):]}
	if _, err := r.pair(); err != nil {
		return err
	}
	w.meta, w.keys[key] = meta, true
	return nil
}

// Add adds a tensor, whose data WriteTo will read: exactly as many bytes as dtype and shape demand. Shape[0] is the row
// length.
func (w *Writer) Add(name string, dtype DType, shape []uint64, data io.Reader) error {
	if err := w.add(name, dtype, shape, data); err != nil {
		return errs.Errorf(errs.InvalidArgument, "gguf: write tensor %s: %w", quote(name), err)
	}
	return nil
}

func (w *Writer) add(name string, dtype DType, shape []uint64, data io.Reader) error {
	if err := checkName(name, maxName); err != nil {
		return err
	}
	if w.names[name] {
		return errs.Errorf(errs.InvalidArgument, "duplicate name")
	}
	if len(w.tensors) == maxTensors {
		return errs.Errorf(errs.InvalidArgument, "more than %d tensors", maxTensors)
	}
	if err := checkDims(int64(len(shape))); err != nil {
		return err
	}
	size, err := tensorSize(dtype, shape)
	if err != nil {
		return err
	}
	// Half of the range for tensor data leaves room for header and padding.
	if size > math.MaxInt64/2-w.next {
		return errs.Errorf(errs.InvalidArgument, "shape %d: file size overflows", shape)
	}
	w.tensors = append(w.tensors, source{name, dtype, slices.Clone(shape), w.next, size, data})
	w.names[name] = true
	w.next = alignUp(w.next+size, w.alignment)
	return nil
}

// WriteTo writes the file and returns how many bytes it has written. It consumes the tensors' readers, so it can be
// called once. Errors: IO if out or a reader fails, InvalidArgument if a reader has too little or too much.
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	header := w.header()
	if len(header) > maxHeader {
		return 0, errs.Errorf(errs.InvalidArgument, "gguf: write: header of %d bytes: more than %d", len(header), maxHeader)
	}
	n, err := out.Write(header)
	written := int64(n)
	if err != nil {
		return written, errs.Errorf(errs.IO, "gguf: write header: %w", err)
	}
	start := alignUp(written, w.alignment)
	for _, t := range w.tensors {
		n, err := pad(out, start+t.offset-written)
		written += n
		if err == nil {
			n, err = t.copyTo(out)
			written += n
		}
		if err != nil {
			return written, errs.Wrap(err, "gguf: write tensor "+quote(t.name))
		}
	}
	if len(w.tensors) == 0 {
		return written, nil
	}
	// The last tensor is padded too: llama.cpp's reader of whole files counts on it.
	padding, err := pad(out, start+w.next-written)
	return written + padding, errs.Wrap(err, "gguf: write padding")
}

// header encodes everything up to the end of the tensor descriptions.
func (w *Writer) header() []byte {
	b := []byte("GGUF")
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(w.tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(w.keys)))
	b = append(b, w.meta...)
	for _, t := range w.tensors {
		b = appendString(b, t.name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.shape)))
		for _, d := range t.shape {
			b = binary.LittleEndian.AppendUint64(b, d)
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.dtype))
		b = binary.LittleEndian.AppendUint64(b, uint64(t.offset))
	}
	return b
}

// copyTo copies the tensor's data and checks that its length is right.
func (t *source) copyTo(out io.Writer) (int64, error) {
	n, err := io.CopyN(out, t.data, t.size)
	if err == io.EOF {
		return n, errs.Errorf(errs.InvalidArgument, "data ends after %d of %d bytes", n, t.size)
	}
	if err != nil {
		return n, errs.Errorf(errs.IO, "%w", err)
	}
	var more [1]byte
	switch _, err := io.ReadFull(t.data, more[:]); err {
	case io.EOF:
		return n, nil
	case nil:
		return n, errs.Errorf(errs.InvalidArgument, "data goes on after %d bytes", t.size)
	default:
		return n, errs.Errorf(errs.IO, "%w", err)
	}
}

// pad writes n zero bytes.
func pad(out io.Writer, n int64) (int64, error) {
	var zeros [4096]byte
	var written int64
	for written < n {
		k, err := out.Write(zeros[:min(n-written, int64(len(zeros)))])
		written += int64(k)
		if err != nil {
			return written, errs.Errorf(errs.IO, "%w", err)
		}
	}
	return written, nil
}

// appendString encodes a string: its length and its bytes.
func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue encodes a value after its kind.
func appendValue(b []byte, value any) ([]byte, error) {
	kind, n := kindOf(value)
	switch {
	case n >= 0:
		return appendArray(binary.LittleEndian.AppendUint32(b, uint32(KindArray)), value)
	case kind == KindString:
		return appendString(binary.LittleEndian.AppendUint32(b, uint32(kind)), value.(string)), nil
	case kind.known():
		return binary.Append(binary.LittleEndian.AppendUint32(b, uint32(kind)), binary.LittleEndian, value)
	}
	return b, errs.Errorf(errs.InvalidArgument, "%T: not a metadata type", value)
}

// appendArray encodes a slice: the kind of its elements, their number, the elements.
func appendArray(b []byte, slice any) ([]byte, error) {
	kind, n := kindOf(slice)
	if n < 0 {
		return b, errs.Errorf(errs.InvalidArgument, "%T in an array of arrays: not a slice of a metadata type", slice)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	var err error
	switch s := slice.(type) {
	case []string:
		for _, e := range s {
			b = appendString(b, e)
		}
	case []any:
		for _, e := range s {
			if b, err = appendArray(b, e); err != nil {
				return b, err
			}
		}
	default:
		return binary.Append(b, binary.LittleEndian, slice)
	}
	return b, nil
}

// noKind is the kind of what cannot be metadata.
const noKind = ^Kind(0)

// kindOf gives the kind of a value and n = -1, or the kind of a slice's elements and their number.
func kindOf(value any) (kind Kind, n int) {
	switch v := value.(type) {
	case uint8:
		return KindUint8, -1
	case int8:
		return KindInt8, -1
	case uint16:
		return KindUint16, -1
	case int16:
		return KindInt16, -1
	case uint32:
		return KindUint32, -1
	case int32:
		return KindInt32, -1
	case float32:
		return KindFloat32, -1
	case bool:
		return KindBool, -1
	case string:
		return KindString, -1
	case uint64:
		return KindUint64, -1
	case int64:
		return KindInt64, -1
	case float64:
		return KindFloat64, -1
	case []uint8:
		return KindUint8, len(v)
	case []int8:
		return KindInt8, len(v)
	case []uint16:
		return KindUint16, len(v)
	case []int16:
		return KindInt16, len(v)
	case []uint32:
		return KindUint32, len(v)
	case []int32:
		return KindInt32, len(v)
	case []float32:
		return KindFloat32, len(v)
	case []bool:
		return KindBool, len(v)
	case []string:
		return KindString, len(v)
	case []uint64:
		return KindUint64, len(v)
	case []int64:
		return KindInt64, len(v)
	case []float64:
		return KindFloat64, len(v)
	case []any:
		return KindArray, len(v)
	}
	return noKind, -1
}
