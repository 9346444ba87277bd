package realm

import (
	"context"

	"github.com/realm-ai/realm/internal/store"
)

// Description is what a GGUF file says of itself, whether or not Realm can run it.
type Description struct {
	Version     int   // of the format
	FileBytes   int64 // of all parts
	TensorBytes int64
	Parts       int
	Metadata    []KeyValue // in the order of the file
	Tensors     []Tensor   // likewise
}

// KeyValue is a pair of a file's metadata.
type KeyValue struct {
	Key    string
	Type   string // "u32", "str", "arr[str]", ...
	Value  any    // a bool, string or number, or a []any of them
	Length int    // elements of an array, of which Value may have only the first
}

// Tensor describes a tensor of a file.
type Tensor struct {
	Name  string
	DType string
	Shape []uint64 // the row length first, as in the file
	Bytes int64
}

// Inspect reads the header of a GGUF file. Arrays in the metadata are cut after maxElements elements, if it is above 0.
func Inspect(path string, maxElements int) (*Description, error) {
	entry, err := store.Open(path)
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	d := entry.Describe(maxElements)
	out := &Description{Version: d.Version, FileBytes: d.FileBytes, TensorBytes: d.TensorBytes, Parts: d.Parts}
	for _, kv := range d.Metadata {
		out.Metadata = append(out.Metadata, KeyValue(kv))
	}
	for _, t := range d.Tensors {
		out.Tensors = append(out.Tensors, Tensor(t))
	}
	return out, nil
}

// FileDigest returns the SHA-256 of a GGUF file, or of the parts of a split one, in hexadecimal. It is computed once,
// which reads the file, and remembered in the cache folder by the file's identity. progress may be nil.
func FileDigest(ctx context.Context, path string, progress func(done, total int64)) (string, error) {
	entry, err := store.Open(path)
	if err != nil {
		return "", err
	}
	defer entry.Close()
	d, err := entry.Digest(ctx, progress)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}
