// Package store owns model files: opening them, their identity by content, what can be said of one without running it,
// and the cache folder with digests and images of packed weights. It must not know of sessions, tokens or text. Start at
// Open; image.go draws the format of an image, pack.go says when there is one.
package store

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
)

// Entry is an open model file.
type Entry struct {
	File *gguf.File
	// ImageLimit is the most that images of packed weights take in the cache folder together, in bytes; 0 means
	// DefaultImageLimit, less neither reads nor writes any.
	ImageLimit int64

	digest   atomic.Pointer[Digest] // once it is known
	smallest int64                  // size of an image in bytes that is worth the trouble

	mu     sync.Mutex // guards what follows
	image  []byte     // mapping of packed weights that were found
	making *making    // of an image of them that were not
	closed bool
}

// Open maps a model file, or the parts of a split one of which path is the first, into memory. It reads the header only.
func Open(path string) (*Entry, error) {
	f, err := gguf.Open(path)
	if err != nil {
		if strings.Contains(err.Error(), path) {
			return nil, err
		}
		return nil, errs.Wrap(err, path)
	}
	return &Entry{File: f, smallest: smallestImage}, nil
}

// OpenBytes copies a model in memory to memory of its own, and parses it. d is the digest of data.
func OpenBytes(data []byte, d Digest) (*Entry, error) {
	f, err := gguf.Copy(data)
	if err != nil {
		return nil, err
	}
	e := &Entry{File: f, smallest: smallestImage}
	e.digest.Store(&d)
	return e, nil
}

// Close unmaps the file and the image. It may be called again.
func (e *Entry) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if m := e.making; m != nil {
		m.cancel()
		<-m.settled
		e.image, m.image = m.image, nil
	}
	if e.image != nil {
		_ = unmap(e.image)
		e.image = nil
	}
	return e.File.Close()
}

// Tensor describes a tensor of a file.
type Tensor struct {
	Name  string
	DType string
	Shape []uint64 // the row length first, as in the file
	Bytes int64
}

// KeyValue is a pair of a file's metadata.
type KeyValue struct {
	Key    string
	Type   string // "u32", "str", "arr[str]", ...
	Value  any    // a bool, string or number, or a []any of them
	Length int    // elements of an array, of which Value may have only the first
}

// Description is what a file says of itself.
type Description struct {
	Version     int   // of the GGUF format
	FileBytes   int64 // of all parts
	TensorBytes int64
	Parts       int
	Metadata    []KeyValue // in the order of the file
	Tensors     []Tensor   // likewise
}

// Describe lists a file's metadata and tensors. Arrays longer than maxElements are cut to that length, if it is above 0.
func (e *Entry) Describe(maxElements int) Description {
	f := e.File
	d := Description{
		Version: int(f.Version()), FileBytes: f.Size(), TensorBytes: f.TensorBytes(), Parts: len(f.Parts()),
	}
	for key, v := range f.Metadata() {
		kv := KeyValue{Key: key, Type: v.Kind().String()}
		if v.Kind() != gguf.KindArray {
			kv.Value = v.Any()
			d.Metadata = append(d.Metadata, kv)
			continue
		}
		kv.Type += "[" + v.Elem().String() + "]"
		kv.Length = v.Len()
		elements := []any{}
		for x := range v.Elements() {
			if maxElements > 0 && len(elements) == maxElements {
				break
			}
			elements = append(elements, x.Any())
		}
		kv.Value = elements
		d.Metadata = append(d.Metadata, kv)
	}
	for _, t := range f.Tensors() {
		d.Tensors = append(d.Tensors, Tensor{Name: t.Name, DType: t.DType.String(), Shape: t.Shape, Bytes: t.Size})
	}
	return d
}
