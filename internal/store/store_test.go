package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
)

// writeModel writes a file with a little metadata and one tensor, changed some time ago.
func writeModel(t *testing.T, name, text string) []byte {
	t.Helper()
	w := gguf.NewWriter()
	for key, value := range map[string]any{"general.name": text, "list": []int32{1, 2, 3}} {
		if err := w.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add("weight", 0, []uint64{2, 2}, bytes.NewReader(make([]byte, 16))); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := w.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func open(t *testing.T, name string) *Entry {
	t.Helper()
	e, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// digest returns the digest, and whether the file was read for it.
func digest(t *testing.T, e *Entry) (d Digest, read bool) {
	t.Helper()
	d, err := e.Digest(context.Background(), func(done, total int64) {
		if done > total || total != e.File.Size() {
			t.Errorf("progress %d of %d", done, total)
		}
		read = true
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, read
}

func TestDigestIsRemembered(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	name := filepath.Join(dir, "a.gguf")
	data := writeModel(t, name, "one")

	d, read := digest(t, open(t, name))
	if !read || d != sha256.Sum256(data) {
		t.Errorf("first time: %v, read %v, want %x", d, read, sha256.Sum256(data))
	}
	if again, read := digest(t, open(t, name)); read || again != d {
		t.Errorf("second time: %v, read %v", again, read)
	}
	data = writeModel(t, name, "other") // of another size
	if d, read := digest(t, open(t, name)); !read || d != sha256.Sum256(data) {
		t.Errorf("after a change: %v, read %v, want %x", d, read, sha256.Sum256(data))
	}
	// The same file with another content of the same size, whose time somebody has set back.
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if d, read := digest(t, open(t, name)); !read || d != sha256.Sum256(data) {
		t.Errorf("after a hidden change: %v, read %v, want %x", d, read, sha256.Sum256(data))
	}
	// A file that has just changed may change again within the clock's resolution.
	now := time.Now()
	if err := os.Chtimes(name, now, now); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, read := digest(t, open(t, name)); !read {
			t.Error("the digest of a fresh file was remembered")
		}
	}
}

func TestDigestWithoutCache(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.gguf")
	data := writeModel(t, name, "one")
	for _, cache := range []string{filepath.Join(name, "not", "a", "folder"), filepath.Join(dir, "broken")} {
		t.Setenv("REALM_CACHE", cache)
		if filepath.Base(cache) == "broken" {
			if err := os.MkdirAll(cache, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(cache, "digests.json"), []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if d, _ := digest(t, open(t, name)); d != sha256.Sum256(data) {
			t.Errorf("cache %s: %v", cache, d)
		}
	}
}

func TestDigestIsCanceled(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", dir)
	name := filepath.Join(dir, "a.gguf")
	writeModel(t, name, "one")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, name).Digest(ctx, nil); !errors.Is(err, errs.Canceled) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestDescribe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.gguf")
	data := writeModel(t, name, "one")
	d := open(t, name).Describe(2)
	if d.Version != 3 || d.FileBytes != int64(len(data)) || d.TensorBytes != 16 || d.Parts != 1 || len(d.Tensors) != 1 {
		t.Errorf("got %+v", d)
	}
	for _, kv := range d.Metadata {
		if list, ok := kv.Value.([]any); kv.Key == "list" && (!ok || len(list) != 2 || kv.Length != 3 || kv.Type != "arr[i32]") {
			t.Errorf("got %+v", kv)
		}
		if kv.Key == "general.name" && (kv.Value != "one" || !strings.HasPrefix(kv.Type, "str")) {
			t.Errorf("got %+v", kv)
		}
	}
}
