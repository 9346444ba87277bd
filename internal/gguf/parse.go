package gguf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/realm-ai/realm/internal/errs"
)

// container is what one file holds. The tensors' offsets count from the start of the file.
type container struct {
	version   uint32
	alignment uint32
	header    []byte // up to the end of the tensor descriptions
	meta      []entry
	keys      map[string]int // key -> index in meta
	tensors   []Tensor
}

// entry is one metadata pair. The value is kept as a place in the header, so that the header's memory can be changed.
type entry struct {
	key        string
	kind, elem Kind
	n          uint32 // elements of an array
	start, end uint32 // of Value.raw in the header
}

// parse reads a whole file, in the order it is laid out:
//
//	"GGUF", version, number of tensors, number of metadata pairs
//	metadata pairs: key, kind, value
//	tensor descriptions: name, dimensions, dtype, offset
//	padding to a multiple of the alignment
//	tensor data
func parse(data []byte) (*container, error) {
	p := parser{reader: reader{data: data}, fileSize: int64(len(data))}
	if len(data) > maxHeader {
		p.data, p.cut = data[:maxHeader], true
	}
	tensors, pairs, err := p.preamble()
	if err != nil {
		return nil, err
	}
	if err := p.metadata(pairs); err != nil {
		return nil, err
	}
	if err := p.findAlignment(); err != nil {
		return nil, err
	}
	if err := p.tensorInfos(tensors); err != nil {
		return nil, err
	}
	p.header = p.data[:p.pos:p.pos]
	return &p.container, p.place()
}

// parser reads the header of one file into a container.
type parser struct {
	reader
	container
	fileSize int64 // of which reader.data may be the beginning only
}

// preamble reads magic, version and the two counts.
func (p *parser) preamble() (tensors, pairs int, err error) {
	magic, err := p.take(4)
	if err != nil {
		return 0, 0, errs.Wrap(err, "magic")
	}
	if string(magic) != "GGUF" {
		return 0, 0, errs.Errorf(errs.InvalidFormat, "magic %q: not a GGUF file", magic)
	}
	if p.version, err = p.uint32(); err != nil {
		return 0, 0, errs.Wrap(err, "version")
	}
	switch v := p.version; {
	case v == 2 || v == 3: // They differ in nothing but that a file of version 3 may be big-endian.
	case v != 0 && v&0xffff == 0: // A small number with its bytes swapped.
		return 0, 0, errs.Errorf(errs.Unsupported, "version %d: big-endian file", bits.ReverseBytes32(v))
	default:
		return 0, 0, errs.Errorf(errs.Unsupported, "version %d: neither 2 nor 3", v)
	}
	if tensors, err = p.count("tensor count", maxTensors, minTensor); err != nil {
		return 0, 0, err
	}
	pairs, err = p.count("metadata count", maxMetadata, minMetadata)
	return tensors, pairs, err
}

// metadata reads n metadata pairs.
func (p *parser) metadata(n int) error {
	p.meta = make([]entry, 0, n)
	p.keys = make(map[string]int, n)
	for i := range n {
		key, err := p.name(maxKey)
		if err != nil {
			return errs.Wrap(err, fmt.Sprintf("metadata %d: key", i))
		}
		if _, taken := p.keys[key]; taken {
			return errs.Errorf(errs.InvalidFormat, "key %s: duplicate", quote(key))
		}
		v, err := p.pair()
		if err != nil {
			return errs.Wrap(err, "key "+quote(key))
		}
		p.keys[key] = len(p.meta)
		p.meta = append(p.meta, entry{
			key:  key,
			kind: v.kind, elem: v.elem, n: uint32(v.n),
			start: uint32(p.pos - len(v.raw)), end: uint32(p.pos),
		})
	}
	return nil
}

// name reads a key or the name of a tensor: UTF-8 and not empty.
func (p *parser) name(limit uint64) (string, error) {
	b, err := p.str(limit)
	if err != nil {
		return "", err
	}
	s := string(b)
	return s, checkName(s, limit)
}

// checkName checks a key or the name of a tensor.
func checkName(s string, limit uint64) error {
	switch {
	case s == "":
		return errs.Errorf(errs.InvalidFormat, "empty")
	case uint64(len(s)) > limit:
		return errs.Errorf(errs.LimitExceeded, "%d bytes long: more than %d", len(s), limit)
	case !utf8.ValidString(s):
		return errs.Errorf(errs.InvalidFormat, "%s: invalid UTF-8", quote(s))
	}
	return nil
}

// findAlignment takes the alignment from the metadata.
func (p *parser) findAlignment() error {
	p.alignment = defaultAlignment
	i, ok := p.keys[keyAlignment]
	if !ok {
		return nil
	}
	e := p.meta[i]
	if e.kind != KindUint32 {
		return errs.Errorf(errs.InvalidFormat, "key %q: %s instead of u32", keyAlignment, e.kind)
	}
	p.alignment = binary.LittleEndian.Uint32(p.data[e.start:e.end])
	if !validAlignment(p.alignment) {
		return errs.Errorf(errs.InvalidFormat, "key %q: %d: not a power of two", keyAlignment, p.alignment)
	}
	return nil
}

// validAlignment reports whether n is a power of two.
func validAlignment(n uint32) bool { return bits.OnesCount32(n) == 1 }

// alignUp rounds n up to a multiple of the alignment.
func alignUp(n int64, alignment uint32) int64 {
	mask := int64(alignment) - 1
	return (n + mask) &^ mask
}

// tensorInfos reads n tensor descriptions.
func (p *parser) tensorInfos(n int) error {
	if uint64(n) > p.rest()/minTensor { // again: metadata stood in between
		return errs.Wrap(p.short(), fmt.Sprintf("tensor count %d", n))
	}
	p.tensors = make([]Tensor, n)
	for i := range p.tensors {
		t := &p.tensors[i]
		var err error
		if t.Name, err = p.name(maxName); err != nil {
			return errs.Wrap(err, fmt.Sprintf("tensor %d: name", i))
		}
		if err := p.tensorInfo(t); err != nil {
			return errs.Wrap(err, "tensor "+quote(t.Name))
		}
	}
	return nil
}

// tensorInfo reads what follows a tensor's name. The offset that it leaves in t counts from the start of tensor data.
func (p *parser) tensorInfo(t *Tensor) error {
	dims, err := p.uint32()
	if err != nil {
		return errs.Wrap(err, "dimensions")
	}
	if err := checkDims(int64(dims)); err != nil {
		return err
	}
	t.Shape = t.dims[:dims:dims]
	for i := range t.Shape {
		if t.Shape[i], err = p.uint64(); err != nil {
			return errs.Wrap(err, "shape")
		}
	}
	dtype, err := p.uint32()
	if err != nil {
		return errs.Wrap(err, "dtype")
	}
	t.DType = DType(dtype)
	if t.Size, err = tensorSize(t.DType, t.Shape); err != nil {
		return err
	}
	offset, err := p.uint64()
	if err != nil {
		return errs.Wrap(err, "offset")
	}
	if offset > uint64(p.fileSize) {
		return errs.Errorf(errs.InvalidFormat, "offset %#x: past end of file", offset)
	}
	if offset%uint64(p.alignment) != 0 {
		return errs.Errorf(errs.InvalidFormat, "offset %#x: not a multiple of the alignment %d", offset, p.alignment)
	}
	t.Offset = int64(offset)
	return nil
}

// checkDims checks a number of dimensions.
func checkDims(n int64) error {
	if n < 1 || n > maxDims {
		return errs.Errorf(errs.InvalidFormat, "%d dimensions: not 1 to %d", n, maxDims)
	}
	return nil
}

// tensorSize is the number of bytes that a tensor takes: its rows are whole blocks, without gaps.
func tensorSize(dtype DType, shape []uint64) (int64, error) {
	if !dtype.known() {
		return 0, errs.Errorf(errs.Unsupported, "dtype %d: unknown", uint32(dtype))
	}
	block, nbytes := uint64(dtype.BlockSize()), uint64(dtype.BlockBytes())
	if block == 0 {
		return 0, errs.Errorf(errs.Unsupported, "dtype %s: withdrawn from ggml", dtype)
	}
	if shape[0]%block != 0 {
		return 0, errs.Errorf(errs.InvalidFormat, "shape %d: rows are not a multiple of the %d weights in a block of %s",
			shape, block, dtype)
	}
	size := nbytes
	for i, d := range shape {
		if d == 0 {
			return 0, errs.Errorf(errs.InvalidFormat, "shape %d: a dimension is zero", shape)
		}
		if i == 0 {
			d /= block
		}
		var over uint64
		if over, size = bits.Mul64(size, d); over != 0 || size > math.MaxInt64 {
			return 0, errs.Errorf(errs.InvalidFormat, "shape %d: size overflows", shape)
		}
	}
	return int64(size), nil
}

// place makes the tensors' offsets count from the start of the file and checks that the data lies in the file, each
// tensor apart from the others. The order of offsets is free.
func (p *parser) place() error {
	start := alignUp(int64(p.pos), p.alignment)
	for i := range p.tensors {
		t := &p.tensors[i]
		offset := t.Offset
		t.Offset += start
		if t.Offset > p.fileSize || t.Size > p.fileSize-t.Offset {
			return errs.Errorf(errs.InvalidFormat, "tensor %s: offset %#x: past end of file", quote(t.Name), offset)
		}
	}
	return checkOverlaps(p.tensors)
}

// checkOverlaps refuses two tensors that share a byte.
func checkOverlaps(tensors []Tensor) error {
	order := make([]*Tensor, len(tensors))
	for i := range tensors {
		order[i] = &tensors[i]
	}
	slices.SortStableFunc(order, func(a, b *Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; b.Offset-a.Offset < a.Size {
			return errs.Errorf(errs.InvalidFormat, "tensor %s: overlaps tensor %s", quote(b.Name), quote(a.Name))
		}
	}
	return nil
}

// quote makes a name from a file fit for an error message.
func quote(name string) string {
	if len(name) > maxQuoted {
		return strconv.Quote(name[:maxQuoted]) + "..."
	}
	return strconv.Quote(name)
}
