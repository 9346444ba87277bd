package gguf

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// enc encodes the pieces of a file exactly as told, wrong ones included, which Writer would refuse.
type enc []byte

// preamble begins a file of version 3 that claims so many tensors and metadata pairs.
func preamble(tensors, pairs uint64) enc {
	return enc("GGUF").u32(3).u64(tensors).u64(pairs)
}

func (e enc) u8(n uint8) enc    { return append(e, n) }
func (e enc) u32(n uint32) enc  { return binary.LittleEndian.AppendUint32(e, n) }
func (e enc) u64(n uint64) enc  { return binary.LittleEndian.AppendUint64(e, n) }
func (e enc) str(s string) enc  { return append(e.u64(uint64(len(s))), s...) }
func (e enc) zeros(n int) enc   { return append(e, make([]byte, n)...) }
func (e enc) kind(k Kind) enc   { return e.u32(uint32(k)) }
func (e enc) dtype(d DType) enc { return e.u32(uint32(d)) }

// array is the head of an array value: the kind of its elements and their number.
func (e enc) array(elem Kind, n uint64) enc { return e.kind(elem).u64(n) }

// pair is the head of a metadata pair: its key and kind.
func (e enc) pair(key string, k Kind) enc { return e.str(key).kind(k) }

// tensor is a tensor description.
func (e enc) tensor(name string, d DType, offset uint64, shape ...uint64) enc {
	e = e.str(name).u32(uint32(len(shape)))
	for _, n := range shape {
		e = e.u64(n)
	}
	return e.dtype(d).u64(offset)
}

// data pads to the alignment and adds n bytes of tensor data.
func (e enc) data(alignment, n int) enc {
	for len(e)%alignment != 0 {
		e = append(e, 0xee)
	}
	for i := range n {
		e = append(e, byte(i))
	}
	return e
}

// pair is one metadata pair for a Writer.
type pair struct {
	key   string
	value any
}

// tensor is one tensor for a Writer.
type tensor struct {
	name  string
	dtype DType
	shape []uint64
	data  []byte
}

// written is the file that a Writer makes of metadata and tensors.
func written(tb testing.TB, meta []pair, tensors []tensor) []byte {
	tb.Helper()
	w := NewWriter()
	for _, p := range meta {
		if err := w.Set(p.key, p.value); err != nil {
			tb.Fatal(err)
		}
	}
	for _, t := range tensors {
		if err := w.Add(t.name, t.dtype, t.shape, bytes.NewReader(t.data)); err != nil {
			tb.Fatal(err)
		}
	}
	var out bytes.Buffer
	n, err := w.WriteTo(&out)
	if err != nil {
		tb.Fatal(err)
	}
	if n != int64(out.Len()) {
		tb.Fatalf("WriteTo returned %d, wrote %d bytes", n, out.Len())
	}
	return out.Bytes()
}

// parsed parses what must parse.
func parsed(tb testing.TB, data []byte) *File {
	tb.Helper()
	f, err := Parse(data)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// ramp is n bytes of test data that differ from tensor to tensor.
func ramp(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i*7)
	}
	return b
}
