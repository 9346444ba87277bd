package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
)

// Digest is the SHA-256 of a model's bytes: of its file, or of its parts one after the other.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// DigestOf returns the digest of a model in memory.
func DigestOf(ctx context.Context, data []byte) (d Digest, err error) {
	h := sha256.New()
	for len(data) > 0 {
		if ctx.Err() != nil {
			return d, contextError(ctx)
		}
		n := min(len(data), 1<<20)
		h.Write(data[:n])
		data = data[n:]
	}
	h.Sum(d[:0])
	return d, nil
}

// Digest returns the digest of the entry's files. The first time it reads them, which takes about a second for a
// gigabyte; then it remembers the result in the cache folder, by the identity of the files: device, inode, size and times
// of change. Where that cannot be written, the digest is computed again next time. progress, if not nil, is told the
// bytes read so far.
func (e *Entry) Digest(ctx context.Context, progress func(done, total int64)) (Digest, error) {
	if d, known := e.recallDigest(); known {
		return d, nil
	}
	var d Digest
	h, total, done := sha256.New(), e.File.Size(), int64(0)
	for _, p := range e.File.Parts() {
		f, err := os.Open(p.Path)
		if err != nil {
			return d, errs.Errorf(errs.IO, "store: digest: %w", err)
		}
		// Reading is faster here than a fresh mapping, and leaves no trace in resident memory.
		err = readAhead(f, func(piece []byte) error {
			h.Write(piece)
			if done += int64(len(piece)); progress != nil {
				progress(done, total)
			}
			return ctx.Err()
		})
		// Another file may have taken the name since, or the same one may have changed.
		info, failed := f.Stat()
		unchanged := failed == nil && sameFile(p, info)
		_ = f.Close()
		switch {
		case ctx.Err() != nil:
			return d, contextError(ctx)
		case err != nil:
			return d, errs.Errorf(errs.IO, "store: digest: %s: %w", p.Path, err)
		case !unchanged:
			return d, errs.Errorf(errs.Conflict, "store: digest: %s: the file changed after it was opened", p.Path)
		}
	}
	h.Sum(d[:0])
	if key, ok := identity(e.File.Parts()); ok {
		rememberDigest(key, d)
	}
	e.digest.Store(&d)
	return d, nil
}

// readAhead reads to the end, and hands over piece by piece while it reads the next. It returns what use fails with, or
// reading.
func readAhead(r io.Reader, use func(piece []byte) error) error {
	type result struct {
		piece []byte
		err   error
	}
	const buffers = 2
	free, read := make(chan []byte, buffers), make(chan result, buffers)
	for range buffers {
		free <- make([]byte, 256<<10)
	}
	var reader sync.WaitGroup
	defer reader.Wait()
	defer close(free)
	reader.Go(func() {
		for buffer := range free {
			n, err := r.Read(buffer)
			read <- result{buffer[:n], err}
			if err != nil {
				return
			}
		}
	})
	for {
		got := <-read
		err := use(got.piece)
		switch {
		case err != nil:
			return err
		case errors.Is(got.err, io.EOF):
			return nil
		case got.err != nil:
			return got.err
		}
		free <- got.piece[:cap(got.piece)]
	}
}

// recallDigest returns the digest if it is known without reading the files.
func (e *Entry) recallDigest() (d Digest, known bool) {
	if d := e.digest.Load(); d != nil {
		return *d, true
	}
	key, ok := identity(e.File.Parts())
	if !ok {
		return d, false
	}
	b, err := hex.DecodeString(readDigests()[key])
	if err != nil || len(b) != len(d) {
		return d, false
	}
	d = Digest(b)
	e.digest.Store(&d)
	return d, true
}

// sameFile reports whether info is of the file that a part was opened from, unchanged.
func sameFile(p *gguf.Part, info fs.FileInfo) bool {
	was, known := fileIdentity(p.Path, p.Info)
	is, _ := fileIdentity(p.Path, info)
	return os.SameFile(info, p.Info) && (!known || is == was)
}

// identity names the present content of files, if the system can tell one content from another.
func identity(parts []*gguf.Part) (key string, ok bool) {
	var ids []string
	for _, p := range parts {
		id, ok := fileIdentity(p.Path, p.Info)
		// A file changed in the last moments may change again within the resolution of its clock.
		if !ok || time.Since(p.Info.ModTime()) < 2*time.Second {
			return "", false
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, " "), len(ids) > 0
}

// maxDigests bounds the file of digests. When it is full it is begun anew.
const maxDigests = 4096

var digestsMu sync.Mutex // one process writes the file at a time; others replace it as a whole

func digestsFile() (string, error) {
	dir, err := CacheDir()
	return filepath.Join(dir, "digests.json"), err
}

// readDigests returns what is remembered: digests in hexadecimal by file identity.
func readDigests() map[string]string {
	known := map[string]string{}
	name, err := digestsFile()
	if err != nil {
		return known
	}
	if info, err := os.Stat(name); err != nil || info.Size() > 4<<20 {
		return known
	}
	data, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(data, &known) != nil {
		return map[string]string{}
	}
	return known
}

// rememberDigest adds to what is remembered. Failure costs time later and nothing else.
func rememberDigest(key string, d Digest) {
	digestsMu.Lock()
	defer digestsMu.Unlock()
	name, err := digestsFile()
	if err != nil {
		return
	}
	known := readDigests()
	if len(known) >= maxDigests {
		clear(known)
	}
	known[key] = d.String()
	data, err := json.MarshalIndent(known, "", "\t")
	if err != nil || os.MkdirAll(filepath.Dir(name), 0o755) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "digests-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
}
