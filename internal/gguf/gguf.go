// Package gguf owns the GGUF container: it parses model files of versions 2 and 3, gives typed metadata and views of
// tensor bytes, and writes such files. It must not know what the metadata means (that is package model's and
// tokenizer's business), what the bytes of a dtype mean (package quant) or who shares a file (package store).
//
// A file is hostile until parsed. Every count, length and offset is checked before it is used, limits.go states the
// limits, and parsing allocates at most a small multiple of the header, never of the tensor data.
//
// Start at Open; parse.go follows the file from its first byte, writer.go writes one. The format is described at
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package gguf

import (
	"io/fs"
	"slices"
	"sync"

	"github.com/realm-ai/realm/internal/errs"
)

// File is a parsed model: the metadata of its first part and the tensors of all its parts. Metadata is held on the heap
// and stays readable after Close; the tensors' bytes do not. All methods but Close may be called concurrently.
type File struct {
	version   uint32
	alignment uint32
	header    []byte // the first part up to its tensor data; metadata values are decoded from it on demand
	meta      []entry
	keys      map[string]int // key -> index in meta
	tensors   []*Tensor      // in file order, part after part
	names     map[string]*Tensor
	parts     []*Part
	closing   sync.Once
}

// Part is one file of a model. Most models have one; a split model has several.
type Part struct {
	Path string      // as opened; empty if the model came from Parse
	Info fs.FileInfo // of the opened file, for telling files apart with os.SameFile; nil if the model came from Parse
	Size int64       // in bytes
	data []byte      // the whole part; nil once closed
	mmap bool        // data must be unmapped
	copy bool        // data is memory that Copy mapped, with no file behind it
}

// Bytes is a view of the whole part, nil after Close. Like the views of tensors it must not be written to.
func (p *Part) Bytes() []byte { return p.data }

// Tensor describes one tensor. It is shared by all users of its File and must not be changed.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []uint64 // 1 to 4 dimensions, none zero; Shape[0] is the row length, the fastest dimension
	Part   int      // index into File.Parts
	Offset int64    // bytes from the start of the part to the tensor's data
	Size   int64    // bytes of data

	dims [maxDims]uint64 // what Shape points to
	part *Part
	gone bool // the bytes were discarded
}

// Data is a view of the tensor's bytes, Size long, as they stand in the file. It is nil after Close and after Discard in
// a Copy, must not be written to (the mapping is read-only, a write ends the process), and must not be used once the File
// is closed.
func (t *Tensor) Data() []byte {
	if t.part.data == nil || t.gone {
		return nil
	}
	end := t.Offset + t.Size
	return t.part.data[t.Offset:end:end]
}

// Elements is the number of weights, the product of Shape.
func (t *Tensor) Elements() uint64 {
	n := uint64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// parseFile makes a File of one part.
func parseFile(part *Part) (*File, error) {
	c, err := parse(part.data)
	if err != nil {
		return nil, err
	}
	f := &File{
		version:   c.version,
		alignment: c.alignment,
		header:    c.header,
		meta:      c.meta,
		keys:      c.keys,
		tensors:   make([]*Tensor, len(c.tensors)),
		names:     make(map[string]*Tensor, len(c.tensors)),
		parts:     []*Part{part},
	}
	for i := range c.tensors {
		t := &c.tensors[i]
		t.part = part
		f.tensors[i] = t
		if err := f.index(t); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// index adds a tensor to the index by name, in which its name must be new.
func (f *File) index(t *Tensor) error {
	if _, taken := f.names[t.Name]; taken {
		return errs.Errorf(errs.InvalidFormat, "tensor %s: duplicate name", quote(t.Name))
	}
	f.names[t.Name] = t
	return nil
}

// addPart takes over the only part of another File and its tensors.
func (f *File) addPart(other *File) error {
	for _, t := range other.tensors {
		t.Part = len(f.parts)
		if err := f.index(t); err != nil {
			return err
		}
	}
	f.tensors = append(f.tensors, other.tensors...)
	f.parts = append(f.parts, other.parts...)
	return nil
}

// Version is the format version, 2 or 3.
func (f *File) Version() uint32 { return f.version }

// Alignment is what the offsets of tensors are multiples of, in bytes; a power of two.
func (f *File) Alignment() uint32 { return f.alignment }

// Parts lists the files of the model, the first part first.
func (f *File) Parts() []*Part { return slices.Clone(f.parts) }

// Size is the size of all parts in bytes.
func (f *File) Size() int64 {
	var n int64
	for _, p := range f.parts {
		n += p.Size
	}
	return n
}

// TensorBytes is the size of all tensors in bytes, without padding.
func (f *File) TensorBytes() int64 {
	var n int64
	for _, t := range f.tensors {
		n += t.Size
	}
	return n
}

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	t, ok := f.names[name]
	return t, ok
}

// Tensors lists all tensors in file order, part after part.
func (f *File) Tensors() []*Tensor { return slices.Clone(f.tensors) }
