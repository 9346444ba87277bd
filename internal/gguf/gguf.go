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
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"

	"github.com/realm-ai/realm/internal/errs"
)

// Options change how Open reads a file. The zero value is what Open uses.
type Options struct {
	// NoMmap reads the whole file into memory instead of mapping it, as happens where there is no mmap. It protects
	// against a file that changes or shrinks while open, at the price of the memory.
	NoMmap bool
}

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
	data []byte      // the whole part; nil once closed
	mmap bool        // data must be unmapped
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
}

// Data is a view of the tensor's bytes, Size long, as they stand in the file. It is nil after Close, must not be
// written to (the mapping is read-only, a write ends the process), and must not be used once the File is closed.
func (t *Tensor) Data() []byte {
	if t.part.data == nil {
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

// Open opens the model at path, memory-mapped where the platform and the file system can. Of a split model, path must
// name the first part, PREFIX-00001-of-0000N.gguf; the others are found beside it.
//
// The file must not be written to or truncated while it is open: a mapping shows such changes, and reading past a new
// end of file ends the process with SIGBUS. Options.NoMmap is there for files that may change.
//
// Errors: NotFound for a missing file or part, IO if the system fails, InvalidFormat, Unsupported and LimitExceeded for
// what the file holds, InvalidArgument for a part that is not the first.
func Open(path string) (*File, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options.
func OpenWith(path string, opts Options) (*File, error) {
	f, err := openAll(path, opts)
	if err != nil {
		return nil, errs.Wrap(err, "gguf")
	}
	// The mapping goes away with Close, metadata should not: keep the few megabytes of header on the heap.
	f.header = bytes.Clone(f.header)
	return f, nil
}

// Parse parses a model held in memory. It copies neither metadata arrays nor tensor data, so data must not change while
// the File is in use. One part of a split model is not a model: that is an InvalidArgument. Other errors are as in Open.
func Parse(data []byte) (*File, error) {
	f, err := parseFile(&Part{data: data})
	if err == nil {
		if count, split := f.splitCount(); split {
			err = errs.Errorf(errs.InvalidArgument, "one of %d parts of a split model: open the first by its path", count)
		}
	}
	if err != nil {
		return nil, errs.Wrap(err, "gguf")
	}
	return f, nil
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

// openPart maps or reads one file.
func openPart(path string, opts Options) (*Part, error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errs.Errorf(errs.NotFound, "%w", err)
		}
		return nil, errs.Errorf(errs.IO, "%w", err)
	}
	defer file.Close() // a mapping outlives its descriptor
	info, err := file.Stat()
	if err != nil {
		return nil, errs.Errorf(errs.IO, "%w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, errs.Errorf(errs.InvalidArgument, "%s: not a regular file", path)
	}
	if info.Size() > math.MaxInt {
		return nil, errs.Errorf(errs.LimitExceeded, "%s: %d bytes: more than this platform can address", path, info.Size())
	}
	part := &Part{Path: path, Info: info}
	size := int(info.Size())
	if size > 0 && !opts.NoMmap {
		part.data, err = mapFile(file, size)
		switch {
		case err == nil:
			part.mmap = true
			return part, nil
		case !errors.Is(err, errors.ErrUnsupported):
			return nil, errs.Errorf(errs.IO, "%s: mmap: %w", path, err)
		}
	}
	part.data = make([]byte, size)
	if _, err := io.ReadFull(file, part.data); err != nil {
		return nil, errs.Errorf(errs.IO, "%s: read: %w", path, err)
	}
	return part, nil
}

// close lets go of the part's bytes.
func (p *Part) close() error {
	data := p.data
	p.data = nil
	if !p.mmap || data == nil {
		return nil
	}
	return unmap(data)
}

// Close unmaps the file. Closing twice is safe. Views of tensors and parts must no longer be in use, in any goroutine:
// touching one afterwards ends the process.
func (f *File) Close() error {
	var err error
	f.closing.Do(func() { err = f.closeParts() })
	if err != nil {
		return errs.Errorf(errs.IO, "gguf: close: %w", err)
	}
	return nil
}

func (f *File) closeParts() error {
	var all []error
	for _, p := range f.parts {
		all = append(all, p.close())
	}
	return errors.Join(all...)
}

// Version is the format version, 2 or 3.
func (f *File) Version() uint32 { return f.version }

// Alignment is what the offsets of tensors are multiples of, in bytes; a power of two.
func (f *File) Alignment() uint32 { return f.alignment }

// Parts lists the files of the model, the first part first.
func (f *File) Parts() []*Part { return slices.Clone(f.parts) }

// Size is the size of all parts in bytes, 0 after Close.
func (f *File) Size() int64 {
	var n int64
	for _, p := range f.parts {
		n += int64(len(p.data))
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
