package gguf

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// Kind is the type of a metadata value, with the number it has in a file.
type Kind uint32

// The kinds (enum gguf_metadata_value_type of the format's description).
const (
	KindUint8 Kind = iota
	KindInt8
	KindUint16
	KindInt16
	KindUint32
	KindInt32
	KindFloat32
	KindBool
	KindString
	KindArray
	KindUint64
	KindInt64
	KindFloat64
)

// kinds gives each kind its name and the bytes a value takes, 0 where that varies.
var kinds = [...]struct {
	name string
	size int
}{
	KindUint8:   {"u8", 1},
	KindInt8:    {"i8", 1},
	KindUint16:  {"u16", 2},
	KindInt16:   {"i16", 2},
	KindUint32:  {"u32", 4},
	KindInt32:   {"i32", 4},
	KindFloat32: {"f32", 4},
	KindBool:    {"bool", 1},
	KindString:  {"str", 0},
	KindArray:   {"arr", 0},
	KindUint64:  {"u64", 8},
	KindInt64:   {"i64", 8},
	KindFloat64: {"f64", 8},
}

// known reports whether the format defines k.
func (k Kind) known() bool { return int64(k) < int64(len(kinds)) }

// String is the kind's short name as llama.cpp prints it: u8, i8, ..., f64, bool, str, arr.
func (k Kind) String() string {
	if k.known() {
		return kinds[k].name
	}
	return fmt.Sprintf("Kind(%d)", uint32(k))
}

// Value is one metadata value, decoded when asked for. It stays valid after the File is closed.
type Value struct {
	kind Kind
	elem Kind   // of an array's elements
	n    int    // elements of an array
	raw  []byte // a number's bytes, a string's bytes or an array's elements
}

// Kind is the type of the value.
func (v Value) Kind() Kind { return v.kind }

// Elem is the type of an array's elements; it means nothing for other kinds.
func (v Value) Elem() Kind { return v.elem }

// Len is the number of an array's elements, 0 for other kinds.
func (v Value) Len() int { return v.n }

// Any decodes the value to the Go type of its kind: uint8 to float64, bool, string, a slice of one of these, or, for an
// array of arrays, a []any of slices. Strings are as in the file, which need not be UTF-8. The result shares no memory
// with the file, and Writer.Set takes it back.
func (v Value) Any() any {
	switch v.kind {
	case KindUint8:
		return v.raw[0]
	case KindInt8:
		return int8(v.raw[0])
	case KindUint16:
		return binary.LittleEndian.Uint16(v.raw)
	case KindInt16:
		return int16(binary.LittleEndian.Uint16(v.raw))
	case KindUint32:
		return binary.LittleEndian.Uint32(v.raw)
	case KindInt32:
		return int32(binary.LittleEndian.Uint32(v.raw))
	case KindFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(v.raw))
	case KindBool:
		return v.raw[0] != 0
	case KindString:
		return string(v.raw)
	case KindUint64:
		return binary.LittleEndian.Uint64(v.raw)
	case KindInt64:
		return int64(binary.LittleEndian.Uint64(v.raw))
	case KindFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.raw))
	case KindArray:
		return v.slice()
	}
	return nil
}

// slice decodes an array.
func (v Value) slice() any {
	switch v.elem {
	case KindUint8:
		return numbers[uint8](v)
	case KindInt8:
		return numbers[int8](v)
	case KindUint16:
		return numbers[uint16](v)
	case KindInt16:
		return numbers[int16](v)
	case KindUint32:
		return numbers[uint32](v)
	case KindInt32:
		return numbers[int32](v)
	case KindFloat32:
		return numbers[float32](v)
	case KindBool:
		return numbers[bool](v)
	case KindString:
		return v.strings()
	case KindUint64:
		return numbers[uint64](v)
	case KindInt64:
		return numbers[int64](v)
	case KindFloat64:
		return numbers[float64](v)
	case KindArray:
		out := make([]any, 0, v.n)
		for e := range v.Elements() {
			out = append(out, e.slice())
		}
		return out
	}
	return nil
}

// numbers decodes an array whose elements have the fixed size of T.
func numbers[T any](v Value) []T {
	out := make([]T, v.n)
	if _, err := binary.Decode(v.raw, binary.LittleEndian, out); err != nil {
		return nil // cannot be: parsing has made raw as long as n elements are
	}
	return out
}

// strings decodes an array of strings.
func (v Value) strings() []string {
	out := make([]string, 0, v.n)
	for e := range v.Elements() {
		out = append(out, string(e.raw))
	}
	return out
}

// Elements iterates over an array's elements without decoding the rest; over nothing for other kinds.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		r := reader{data: v.raw}
		for range v.n {
			// An error cannot be: parsing has read these bytes the same way.
			e, err := r.value(v.elem, 1)
			if err != nil || !yield(e) {
				return
			}
		}
	}
}
