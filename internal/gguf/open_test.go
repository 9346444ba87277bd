package gguf

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

// save writes data to a new file of the test.
func save(tb testing.TB, name string, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// sameContent compares all that two files hold, whatever their versions and layouts.
func sameContent(tb testing.TB, a, b *File) {
	tb.Helper()
	if a.Alignment() != b.Alignment() || a.TensorBytes() != b.TensorBytes() {
		tb.Errorf("alignment %d, %d bytes of tensors; want %d, %d",
			a.Alignment(), a.TensorBytes(), b.Alignment(), b.TensorBytes())
	}
	sameMetadata(tb, a, b)
	ta, tb2 := a.Tensors(), b.Tensors()
	if len(ta) != len(tb2) {
		tb.Fatalf("%d tensors, want %d", len(ta), len(tb2))
	}
	for i, x := range ta {
		y := tb2[i]
		if x.Name != y.Name || x.DType != y.DType || !reflect.DeepEqual(x.Shape, y.Shape) || x.Size != y.Size ||
			!bytes.Equal(x.Data(), y.Data()) {
			tb.Errorf("tensor %q %v %d differs from %q %v %d", x.Name, x.DType, x.Shape, y.Name, y.DType, y.Shape)
		}
	}
}

// sameMetadata compares keys and values, NaNs by their bits.
func sameMetadata(tb testing.TB, a, b *File) {
	tb.Helper()
	if len(a.meta) != len(b.meta) {
		tb.Fatalf("%d keys, want %d", len(a.meta), len(b.meta))
	}
	for i := range a.meta {
		x, y := a.value(i), b.value(i)
		if a.meta[i].key != b.meta[i].key || x.kind != y.kind || x.elem != y.elem || x.n != y.n ||
			!bytes.Equal(x.raw, y.raw) {
			tb.Errorf("key %q: %v, want %q: %v", a.meta[i].key, x.Any(), b.meta[i].key, y.Any())
		}
	}
}

// TestMmapEqualsRead holds the two ways to open a file against Parse.
func TestMmapEqualsRead(t *testing.T) {
	data := written(t, allKinds, []tensor{
		{"a", F16, []uint64{5}, ramp(10, 1)},
		{"b", Q4_0, []uint64{32, 7}, ramp(7*18, 2)},
	})
	path := save(t, "model.gguf", data)
	inMemory := parsed(t, data)
	mapped, read := open(t, path, Options{}), open(t, path, Options{NoMmap: true})
	if read.parts[0].mmap {
		t.Error("NoMmap has mapped the file")
	}
	switch runtime.GOOS {
	case "linux", "darwin":
		if !mapped.parts[0].mmap {
			t.Error("Open has not mapped the file")
		}
	}
	for _, f := range []*File{mapped, read} {
		sameContent(t, f, inMemory)
		part := f.Parts()[0]
		if f.Version() != 3 || part.Path != path || !bytes.Equal(part.Bytes(), data) || f.Size() != int64(len(data)) {
			t.Errorf("version %d, part %q of %d bytes", f.Version(), part.Path, len(part.Bytes()))
		}
		if info, err := os.Stat(path); err != nil || !os.SameFile(info, part.Info) {
			t.Errorf("the part's Info is not the file's (%v)", err)
		}
	}
	if part := inMemory.Parts()[0]; part.Path != "" || part.Info != nil || &part.Bytes()[0] != &data[0] {
		t.Error("Parse has made a part of its own")
	}
}

func TestRealModelMmapEqualsRead(t *testing.T) {
	path := realModel(t)
	sameContent(t, open(t, path, Options{}), open(t, path, Options{NoMmap: true}))
}

func TestClose(t *testing.T) {
	path := save(t, "model.gguf", written(t, allKinds, []tensor{{"a", F16, []uint64{5}, ramp(10, 1)}}))
	for _, opts := range []Options{{}, {NoMmap: true}} {
		f, err := OpenWith(path, opts)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		tensor, ok := f.Tensor("a")
		if !ok || tensor.Data() != nil || f.Parts()[0].Bytes() != nil {
			t.Error("bytes are there after Close")
		}
		if s, ok := f.String("str"); s != "löwe\x00\xff" || !ok {
			t.Errorf("metadata is gone after Close: %q", s)
		}
		if a, ok := f.Strings("a.str"); len(a) != 3 || !ok {
			t.Errorf("metadata is gone after Close: %q", a)
		}
	}
}

// TestDataCannotGrow appends to a view, which must not reach the next tensor.
func TestDataCannotGrow(t *testing.T) {
	f := parsed(t, written(t, []pair{{keyAlignment, uint32(1)}}, []tensor{
		{"a", I8, []uint64{2}, []byte{1, 2}},
		{"b", I8, []uint64{1}, []byte{3}},
	}))
	_ = append(f.Tensors()[0].Data(), 99)
	if got := f.Tensors()[1].Data()[0]; got != 3 {
		t.Errorf("tensor b holds %d", got)
	}
}

// TestOrderIsFree parses tensors that do not stand in the order of their descriptions, with gaps between them, in a
// file of version 2.
func TestOrderIsFree(t *testing.T) {
	file := preamble(3, 0).tensor("a", I8, 96, 2).tensor("b", I8, 0, 1, 1, 1, 3).tensor("c", I8, 32, 4).data(32, 98)
	file[4] = 2
	f := parsed(t, file)
	if f.Version() != 2 {
		t.Errorf("version %d", f.Version())
	}
	want := [][]byte{{96, 97}, {0, 1, 2}, {32, 33, 34, 35}}
	for i, tensor := range f.Tensors() {
		if tensor.Name != string(rune('a'+i)) || !bytes.Equal(tensor.Data(), want[i]) {
			t.Errorf("tensor %d: %q holds %v, want %v", i, tensor.Name, tensor.Data(), want[i])
		}
	}
}

func TestOpenErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.gguf")
	if _, err := Open(missing); !errors.Is(err, errs.NotFound) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(missing + "/below\x00"); !errors.Is(err, errs.IO) {
		t.Errorf("an invalid path: %v", err)
	}
	for _, tc := range malformed[:8] {
		path := save(t, "model.gguf", tc.file)
		for _, opts := range []Options{{}, {NoMmap: true}} {
			if _, err := OpenWith(path, opts); err == nil || err.Error() != tc.want {
				t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
			}
		}
	}
}
