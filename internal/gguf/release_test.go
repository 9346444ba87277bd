package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestRelease gives memory back, after which the bytes are the same as before, mapped or not.
func TestRelease(t *testing.T) {
	w := NewWriter()
	want := bytes.Repeat([]byte("sixteen bytes..."), 20_000)
	for _, name := range []string{"a", "b"} {
		if err := w.Add(name, 24, []uint64{uint64(len(want))}, bytes.NewReader(want)); err != nil { // I8
			t.Fatal(err)
		}
	}
	var buf bytes.Buffer
	if _, err := w.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {NoMmap: true}} {
		f, err := OpenWith(path, o)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := f.Tensor("a")
		b, _ := f.Tensor("b")
		a.Release()
		if !bytes.Equal(a.Data(), want) || !bytes.Equal(b.Data(), want) {
			t.Errorf("%+v: other bytes after Release", o)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		a.Release()
	}
}
