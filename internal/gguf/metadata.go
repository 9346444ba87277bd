package gguf

import "iter"

// The keys that the container itself gives a meaning to.
const (
	keyAlignment    = "general.alignment"
	keySplitNo      = "split.no"
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count"
)

// value makes a Value of the i-th metadata pair.
func (f *File) value(i int) Value {
	e := f.meta[i]
	return Value{kind: e.kind, elem: e.elem, n: int(e.n), raw: f.header[e.start:e.end:e.end]}
}

// lookup finds the value of a key.
func (f *File) lookup(key string) (Value, bool) {
	i, ok := f.keys[key]
	if !ok {
		return Value{}, false
	}
	return f.value(i), true
}

// scalar finds and decodes a value that is no array; nil if there is none.
func (f *File) scalar(key string) any {
	v, ok := f.lookup(key)
	if !ok || v.kind == KindArray {
		return nil
	}
	return v.Any()
}

// array finds an array.
func (f *File) array(key string) (Value, bool) {
	v, ok := f.lookup(key)
	return v, ok && v.kind == KindArray
}

// Metadata iterates over keys and values in file order.
func (f *File) Metadata() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i, e := range f.meta {
			if !yield(e.key, f.value(i)) {
				return
			}
		}
	}
}

// The getters below answer ok = false if the key is absent or its value is of another kind.

// String is the string at key, as in the file, which need not be UTF-8.
func (f *File) String(key string) (string, bool) {
	s, ok := f.scalar(key).(string)
	return s, ok
}

// Uint is the integer at key, of any integer type, if it is not negative.
func (f *File) Uint(key string) (uint64, bool) {
	var n int64
	switch x := f.scalar(key).(type) {
	case uint8:
		return uint64(x), true
	case uint16:
		return uint64(x), true
	case uint32:
		return uint64(x), true
	case uint64:
		return x, true
	case int8:
		n = int64(x)
	case int16:
		n = int64(x)
	case int32:
		n = int64(x)
	case int64:
		n = x
	default:
		return 0, false
	}
	return uint64(n), n >= 0
}

// Float is the f32 or f64 at key.
func (f *File) Float(key string) (float64, bool) {
	switch x := f.scalar(key).(type) {
	case float32:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

// Bool is the bool at key.
func (f *File) Bool(key string) (value, ok bool) {
	value, ok = f.scalar(key).(bool)
	return value, ok
}

// Strings decodes the array of strings at key.
func (f *File) Strings(key string) ([]string, bool) {
	v, ok := f.array(key)
	if !ok || v.elem != KindString {
		return nil, false
	}
	return v.strings(), true
}

// Floats decodes the array of f32 at key.
func (f *File) Floats(key string) ([]float32, bool) {
	v, ok := f.array(key)
	if !ok || v.elem != KindFloat32 {
		return nil, false
	}
	return numbers[float32](v), true
}

// Ints decodes the array of integers at key, of any integer type, if each of them fits an int32.
func (f *File) Ints(key string) ([]int32, bool) {
	v, ok := f.array(key)
	if !ok {
		return nil, false
	}
	switch v.elem {
	case KindInt32:
		return numbers[int32](v), true
	case KindUint8:
		return narrow(numbers[uint8](v))
	case KindInt8:
		return narrow(numbers[int8](v))
	case KindUint16:
		return narrow(numbers[uint16](v))
	case KindInt16:
		return narrow(numbers[int16](v))
	case KindUint32:
		return narrow(numbers[uint32](v))
	case KindUint64:
		return narrow(numbers[uint64](v))
	case KindInt64:
		return narrow(numbers[int64](v))
	}
	return nil, false
}

// narrow converts integers to int32, if all fit.
func narrow[T uint8 | int8 | uint16 | int16 | uint32 | uint64 | int64](from []T) ([]int32, bool) {
	out := make([]int32, len(from))
	for i, x := range from {
		if out[i] = int32(x); T(out[i]) != x || (out[i] < 0) != (x < 0) {
			return nil, false
		}
	}
	return out, true
}
