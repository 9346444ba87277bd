package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/quant"
)

// packable is an open model of two matrices that take several spans of an image, with strips across the ends of pieces.
type packable struct {
	*Entry
	pool     *kernel.Pool
	names    []string
	matrices []*kernel.Matrix
	want     [][]byte // each matrix packed
}

// writePackable writes a model for packable, changed some time ago.
func writePackable(t *testing.T, name string, seed uint64) {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	w := gguf.NewWriter()
	if err := w.Set("general.name", "packable"); err != nil {
		t.Fatal(err)
	}
	for name, shape := range map[string][]uint64{"a": {768, 7_000}, "b": {256, 17}} {
		data := make([]byte, int(shape[1])*quant.Q6_K.RowBytes(int(shape[0])))
		_, _ = rng.Read(data)
		if err := w.Add(name, gguf.DType(quant.Q6_K), shape, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
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
}

func openPackable(t *testing.T, path string) *packable {
	t.Helper()
	p := &packable{Entry: open(t, path), pool: kernel.NewPool(2)}
	p.smallest = 0
	t.Cleanup(p.pool.Close)
	for _, name := range []string{"a", "b"} {
		tensor, _ := p.File.Tensor(name)
		cols, rows := int(tensor.Shape[0]), int(tensor.Shape[1])
		m, err := kernel.NewMatrix(quant.DType(tensor.DType), rows, cols, tensor.Data())
		if err != nil {
			t.Fatal(err)
		}
		if m.PackedBytes() == 0 {
			t.Skip("this processor's kernels take weights as they stand in the file")
		}
		p.names, p.matrices = append(p.names, name), append(p.matrices, m)
		packed := make([]byte, m.PackedBytes())
		kernel.Pack(packed, m.DType, rows, cols, tensor.Data())
		p.want = append(p.want, packed)
	}
	return p
}

// pack calls Image, and reports whether there was one and whether it was made. What it holds must be right.
func (p *packable) pack(t *testing.T) (have, made bool) {
	t.Helper()
	next, last := 0, int64(0)
	got, err := p.Image(t.Context(), p.pool, p.names, p.matrices, func(i int) {
		if i != next {
			t.Errorf("matrix %d was packed, want %d", i, next)
		}
		next++
	}, func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress from %d to %d of %d", last, done, total)
		}
		last = done
	})
	if err != nil {
		t.Error(err)
		return false, false
	}
	p.Settle(t.Context())
	for i := range got {
		if !bytes.Equal(got[i], p.want[i]) {
			t.Errorf("matrix %d has other bytes", i)
		}
	}
	if made = next == len(p.names); !made && next != 0 {
		t.Errorf("%d of %d matrices were packed", next, len(p.names))
	}
	if have = got != nil; have && last != int64(len(p.want[0])+len(p.want[1])) {
		t.Errorf("progress ended at %d", last)
	}
	return have, made
}

// imageFiles lists the files in the folder of images.
func imageFiles(t *testing.T) (paths []string) {
	t.Helper()
	dir, err := imagesDir()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		paths = append(paths, filepath.Join(dir, f.Name()))
	}
	return paths
}

func TestImageIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	path := filepath.Join(dir, "m.gguf")
	writePackable(t, path, 1)
	for i := range 3 {
		p := openPackable(t, path)
		if have, made := p.pack(t); !have || made != (i == 0) {
			t.Errorf("time %d: have %v, made %v", i, have, made)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	images, err := Images()
	data, _ := os.ReadFile(path)
	if err != nil || len(images) != 1 || images[0].Name != "packable" || images[0].Digest != sha256.Sum256(data) {
		t.Fatalf("%+v, %v", images, err)
	}
	if files := imageFiles(t); len(files) != 1 {
		t.Errorf("files: %q", files)
	} else if info, _ := os.Stat(files[0]); info.Mode().Perm() != 0o444 || info.Size() != images[0].Bytes {
		t.Errorf("%v, %d bytes of %d", info.Mode(), info.Size(), images[0].Bytes)
	}
	// Another model has another image.
	other := filepath.Join(dir, "other.gguf")
	writePackable(t, other, 2)
	if have, made := openPackable(t, other).pack(t); !have || !made {
		t.Errorf("another model: have %v, made %v", have, made)
	}
	if images, _ := Images(); len(images) != 2 {
		t.Errorf("%d images", len(images))
	}
}

// TestBrokenImages opens a model whose image is not what it should be: it is never used, and replaced by a good one.
func TestBrokenImages(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	path, other := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "other.gguf")
	writePackable(t, path, 1)
	writePackable(t, other, 2)
	openPackable(t, other).pack(t)
	foreign, _ := os.ReadFile(imageFiles(t)[0])
	if _, err := ClearCache(); err != nil {
		t.Fatal(err)
	}
	openPackable(t, path).pack(t)
	name := imageFiles(t)[0]
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := slices.Clone(good)
		b[(at+len(b))%len(b)] ^= 0x10
		return b
	}
	for what, bad := range map[string][]byte{
		"empty": nil, "of another model": foreign, "longer": append(slices.Clone(good), 0),
		"without its last byte": good[:len(good)-1], "without its last page": good[:len(good)-4096],
		"half": good[:len(good)/2], "a head only": good[:4096], "zeros": make([]byte, len(good)),
		"with another magic": flip(0), "with another version": flip(8), "with another sum": flip(12),
		"with another digest": flip(20), "with another plan": flip(50), "with another size": flip(80),
		"with another name": flip(93), "with a long name": flip(91), "with other checksums": flip(348),
		"with other bytes between": flip(4000), "with another first byte": flip(4096), "with another byte": flip(piece + 77),
		"with another last byte": flip(-1),
	} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, bad, 0o444); err != nil {
			t.Fatal(err)
		}
		p := openPackable(t, path)
		if have, made := p.pack(t); !have || !made {
			t.Errorf("an image %s: have %v, made %v", what, have, made)
		}
		if now, err := os.ReadFile(name); err != nil || !bytes.Equal(now, good) {
			t.Errorf("an image %s was not replaced: %v", what, err)
		}
		_ = p.Close()
	}
	// One that others can write to may be right today and wrong tomorrow.
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	p := openPackable(t, path)
	if _, made := p.pack(t); !made {
		t.Error("an image that anybody can write to was used")
	}
}

// TestIntactOfShrunkFile checks bytes of a mapping behind the end of its file.
func TestIntactOfShrunkFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(3 * 4096); err != nil {
		t.Fatal(err)
	}
	data, err := mapShared(f, 3*4096)
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = unmap(data) }()
	if err := f.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	if !intact(data[:4], 0x48674bc7) || intact(data[4096:], 0) { // the CRC-32C of four zero bytes
		t.Error("bytes of the file are not intact, or bytes behind it are")
	}
}

// TestImageAtOnce opens one model many times at the same time.
func TestImageAtOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	path := filepath.Join(dir, "m.gguf")
	writePackable(t, path, 1)
	var wg sync.WaitGroup
	for range 6 {
		p := openPackable(t, path)
		wg.Go(func() {
			if have, _ := p.pack(t); !have {
				t.Error("no image")
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if files := imageFiles(t); len(files) != 1 {
		t.Errorf("files: %q", files)
	}
}

// TestNoImage finds reasons for which there is none, and which are no errors.
func TestNoImage(t *testing.T) {
	dir := t.TempDir()
	path, file := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "file")
	writePackable(t, path, 1)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(p *packable){
		"the cache is off":            func(*packable) { t.Setenv("REALM_CACHE", "off") },
		"the folder cannot be made":   func(*packable) { t.Setenv("REALM_CACHE", filepath.Join(file, "cache")) },
		"images are not wanted":       func(p *packable) { p.ImageLimit = -1 },
		"the limit is below its size": func(p *packable) { p.ImageLimit = 1 << 20 },
		"it is small":                 func(p *packable) { p.smallest = 1 << 30 },
	} {
		t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
		p := openPackable(t, path)
		change(p)
		if have, made := p.pack(t); have || made {
			t.Errorf("%s: have %v, made %v", what, have, made)
		}
	}
	// The file fails when most of it was written.
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	p := openPackable(t, path)
	imgs, err := imagesDir()
	if err != nil {
		t.Fatal(err)
	}
	w, err := createImage(imgs, newPlan(p.names, p.matrices))
	if err != nil {
		t.Fatal(err)
	}
	defer w.abandon()
	if err := w.fill(t.Context(), p.pool, func(int) {}, func(int64, int64) { _ = w.f.Close() }); err == nil {
		t.Error("writing to a closed file succeeded")
	}
}

// TestImageIsCanceled gives up while an image is written, which goes on, and while one is checked.
func TestImageIsCanceled(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	path := filepath.Join(dir, "m.gguf")
	writePackable(t, path, 1)
	p := openPackable(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	canceled := make(chan bool)
	packed := 0
	_, err := p.Image(ctx, p.pool, p.names, p.matrices, func(int) { packed++ }, func(int64, int64) {
		if ctx.Err() == nil {
			cancel()
			close(canceled)
		}
	})
	<-canceled
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	got, err := p.Image(t.Context(), p.pool, p.names, p.matrices, func(int) { t.Error("packed again") }, nil)
	if err != nil || len(got) != 2 || packed != 2 || !bytes.Equal(got[0], p.want[0]) || !bytes.Equal(got[1], p.want[1]) {
		t.Errorf("again: %d matrices of %d packed, %v", len(got), packed, err)
	}
	p.Settle(t.Context())
	if files := imageFiles(t); len(files) != 1 {
		t.Errorf("files: %q", files)
	}
	// And while one is checked, which leaves that as it is.
	p = openPackable(t, path)
	if got, err := p.Image(ctx, p.pool, p.names, p.matrices, nil, nil); got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("checked: image %v, error %v", got != nil, err)
	}
	if have, made := p.pack(t); !have || made {
		t.Errorf("after that: have %v, made %v", have, made)
	}
}

// silent is a context that ends without a sign.
type silent struct{ context.Context }

func (silent) Done() <-chan struct{} { return nil }

// TestCloseWhileImageIsMade closes a model whose image is being written, which leaves nothing behind.
func TestCloseWhileImageIsMade(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	path := filepath.Join(dir, "m.gguf")
	writePackable(t, path, 1)
	p := openPackable(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		got, err := p.Image(silent{ctx}, p.pool, p.names, p.matrices, func(int) {}, nil)
		if got != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("image %v, %v", got != nil, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "cache", "packed", tempPattern)); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	if got, err := p.Image(t.Context(), p.pool, p.names, p.matrices, nil, nil); got != nil || err != nil {
		t.Errorf("after Close: image %v, %v", got != nil, err)
	}
}

// TestImageOfChangedFile changes the file before its digest is known: an image of what is mapped must not get the name of
// what stands there now.
func TestImageOfChangedFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	path, other := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "other.gguf")
	writePackable(t, path, 1)
	writePackable(t, other, 2)
	p := openPackable(t, path)
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if have, made := p.pack(t); !have || !made {
		t.Errorf("have %v, made %v", have, made)
	}
	if files := imageFiles(t); len(files) != 0 {
		t.Errorf("files: %q", files)
	}
}

func TestEviction(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	var digests []Digest
	size := int64(0)
	for seed := range uint64(3) {
		path := filepath.Join(dir, "m.gguf")
		writePackable(t, path, seed)
		p := openPackable(t, path)
		p.ImageLimit = 2*size + size/2
		p.pack(t)
		images, err := Images()
		if err != nil || len(images) == 0 {
			t.Fatal(images, err)
		}
		size = images[0].Bytes
		digests = append(digests, images[0].Digest)
		time.Sleep(20 * time.Millisecond) // the next is younger on any file system
	}
	images, _ := Images()
	if len(images) != 2 || images[0].Digest != digests[2] || images[1].Digest != digests[1] {
		t.Errorf("left: %+v", images)
	}
}

func TestRemoveImages(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	path := filepath.Join(dir, "m.gguf")
	writePackable(t, path, 1)
	p := openPackable(t, path)
	p.pack(t)
	images, _ := Images()
	for _, none := range []string{"", "x", images[0].Digest.String() + "0"} {
		if _, err := RemoveImages(none); err == nil {
			t.Errorf("removed %q", none)
		}
	}
	if removed, err := RemoveImages(images[0].Digest.String()[:6]); err != nil || len(removed) != 1 || len(imageFiles(t)) != 0 {
		t.Errorf("%+v, %v; left %q", removed, err, imageFiles(t))
	}

	// What a process left that ended while it wrote; and what one has that is writing.
	imgs, _ := imagesDir()
	w, err := createImage(imgs, newPlan(p.names, p.matrices))
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(imgs, "packing-left")
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ClearCache(); err != nil {
		t.Fatal(err)
	}
	if files := imageFiles(t); !slices.Equal(files, []string{w.f.Name()}) {
		t.Errorf("left: %q", files)
	}
	w.abandon()
	if known := readDigests(); len(known) != 0 {
		t.Errorf("digests are remembered: %v", known)
	}
}
