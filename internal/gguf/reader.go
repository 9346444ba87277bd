package gguf

import (
	"encoding/binary"
	"fmt"

	"github.com/realm-ai/realm/internal/errs"
)

// reader walks over bytes, never past their end. Its errors say what was wrong; callers add where.
type reader struct {
	data []byte
	pos  int  // <= len(data)
	cut  bool // data stops at maxHeader, the file does not
}

// rest is the number of bytes not yet read.
func (r *reader) rest() uint64 { return uint64(len(r.data) - r.pos) }

// short is the error for wanting more bytes than there are.
func (r *reader) short() error {
	if r.cut {
		return errs.Errorf(errs.LimitExceeded, "header of more than %d bytes", maxHeader)
	}
	return errs.Errorf(errs.InvalidFormat, "past end of file")
}

// take reads n bytes, as a view.
func (r *reader) take(n uint64) ([]byte, error) {
	if n > r.rest() {
		return nil, r.short()
	}
	start := r.pos
	r.pos += int(n)
	return r.data[start:r.pos:r.pos], nil
}

func (r *reader) uint32() (uint32, error) {
	b, err := r.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) uint64() (uint64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a number of things of which each takes at least size bytes and of which at most limit are allowed.
func (r *reader) count(what string, limit, size uint64) (int, error) {
	n, err := r.uint64()
	switch {
	case err != nil:
		return 0, errs.Wrap(err, what)
	case n > limit:
		return 0, errs.Errorf(errs.LimitExceeded, "%s %d: more than %d", what, n, limit)
	case n > r.rest()/size:
		return 0, errs.Wrap(r.short(), fmt.Sprintf("%s %d", what, n))
	}
	return int(n), nil
}

// str reads a length and as many bytes, as a view.
func (r *reader) str(limit uint64) ([]byte, error) {
	n, err := r.count("string length", limit, 1)
	if err != nil {
		return nil, err
	}
	return r.take(uint64(n))
}

// pair reads the kind and the value that follow a key.
func (r *reader) pair() (Value, error) {
	kind, err := r.uint32()
	if err != nil {
		return Value{}, errs.Wrap(err, "value type")
	}
	return r.value(Kind(kind), 0)
}

// value reads a value of the given kind, checking all of it. depth counts the arrays around it.
func (r *reader) value(kind Kind, depth int) (Value, error) {
	if !kind.known() {
		return Value{}, errs.Errorf(errs.InvalidFormat, "value type %d: unknown", uint32(kind))
	}
	v := Value{kind: kind}
	var err error
	switch kind {
	case KindString:
		v.raw, err = r.str(maxString)
	case KindArray:
		return r.array(depth + 1)
	default:
		v.raw, err = r.take(uint64(kinds[kind].size))
		if err == nil && kind == KindBool {
			err = checkBools(v.raw)
		}
	}
	return v, err
}

// array reads the element kind, the length and the elements of an array that stands at the given depth.
func (r *reader) array(depth int) (Value, error) {
	if depth > maxNesting {
		return Value{}, errs.Errorf(errs.LimitExceeded, "arrays nested more than %d deep", maxNesting)
	}
	id, err := r.uint32()
	if err != nil {
		return Value{}, errs.Wrap(err, "array element type")
	}
	v := Value{kind: KindArray, elem: Kind(id)}
	if !v.elem.known() {
		return Value{}, errs.Errorf(errs.InvalidFormat, "array element type %d: unknown", id)
	}
	size := uint64(kinds[v.elem].size)
	switch v.elem {
	case KindString:
		size = minString
	case KindArray:
		size = minArray
	}
	if v.n, err = r.count("array length", maxArray, size); err != nil {
		return Value{}, err
	}
	start := r.pos
	switch v.elem {
	case KindString, KindArray:
		for i := range v.n {
			if _, err := r.value(v.elem, depth); err != nil {
				return Value{}, errs.Wrap(err, fmt.Sprintf("element %d", i))
			}
		}
	default:
		r.pos += v.n * int(size)
	}
	v.raw = r.data[start:r.pos:r.pos]
	if v.elem == KindBool {
		err = checkBools(v.raw)
	}
	return v, err
}

// checkBools refuses bytes other than 0 and 1, which the format's description calls invalid.
func checkBools(raw []byte) error {
	for _, b := range raw {
		if b > 1 {
			return errs.Errorf(errs.InvalidFormat, "bool %d: neither 0 nor 1", b)
		}
	}
	return nil
}
