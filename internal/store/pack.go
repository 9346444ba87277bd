package store

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	"github.com/realm-ai/realm/internal/kernel"
)

const (
	// DefaultImageLimit is the most that images take in the cache folder together, where nothing else is said.
	DefaultImageLimit = 32 << 30
	// smallestImage is what an image is worth the trouble from: to pack less takes some milliseconds.
	smallestImage = 32 << 20
	// spareDisk is what an image leaves free of the disk.
	spareDisk = 2 << 30
)

// publication is an image that is mapped, but has no name until the digest of the model is known.
type publication struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Image returns matrices packed, as model.Images says, mapped from the image in the cache folder. Where there is none it
// makes one: it packs into a file and maps that, while another goroutine computes the digest, which gives the file its
// name. Nil means that weights have to be packed in memory: images are not wanted, the folder cannot be written, the disk is
// full, or the weights are few.
func (e *Entry) Image(ctx context.Context, pool *kernel.Pool, names []string, matrices []*kernel.Matrix,
	packed func(i int), progress func(done, total int64),
) ([][]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := newPlan(names, matrices)
	limit := e.ImageLimit
	if limit == 0 {
		limit = DefaultImageLimit
	}
	dir, err := imagesDir()
	if err != nil || e.image != nil || e.closed || p.size() > limit || p.size() < e.smallest || p.head > piece {
		return nil, nil
	}
	if d, known := e.recallDigest(); known {
		path := filepath.Join(dir, p.fileName(d))
		switch e.image, err = mapImage(ctx, path, d, p, pool, progress); err {
		case nil:
			now := time.Now()
			_ = os.Chtimes(path, now, now) // for whoever evicts the one that was used least recently
			return p.split(e.image), nil
		case errBadImage:
			_ = os.Remove(path)
		case errNoImage:
		default:
			return nil, err
		}
	}
	if free, ok := freeDisk(dir); ok && free < p.size()+spareDisk {
		return nil, nil
	}
	w, err := createImage(dir, p)
	if err != nil {
		return nil, nil
	}
	hashing, cancel := context.WithCancel(context.Background())
	digest := make(chan Digest, 1)
	go func() {
		defer close(digest)
		if d, err := e.Digest(hashing, nil); err == nil {
			digest <- d
		}
	}()
	err = w.fill(ctx, pool, packed, progress)
	if err == nil {
		e.image, err = mapShared(w.f, int(p.size()))
	}
	if err != nil {
		cancel()
		<-digest
		w.abandon()
		return nil, ctx.Err()
	}
	done := make(chan struct{})
	e.publishing = &publication{cancel, done}
	go func() {
		defer close(done)
		defer cancel()
		d, ok := <-digest
		path := filepath.Join(dir, p.fileName(d))
		if _, err := os.Stat(path); !ok || err == nil {
			w.abandon() // somebody else was quicker
			return
		}
		w.publish(path, d, e.name())
		evict(dir, limit, filepath.Base(path))
	}()
	return p.split(e.image), nil
}

// Settle waits until an image that Image has made is in its place.
func (e *Entry) Settle(ctx context.Context) {
	e.mu.Lock()
	p := e.publishing
	e.mu.Unlock()
	if p == nil {
		return
	}
	select {
	case <-p.done:
	case <-ctx.Done():
	}
}

// name is what people know the model by.
func (e *Entry) name() string {
	if name, ok := e.File.String("general.name"); ok && name != "" {
		return name
	}
	if path := e.File.Parts()[0].Path; path != "" {
		return filepath.Base(path)
	}
	return "(from memory)"
}

// fileName is the name of the image of a model.
func (p *plan) fileName(d Digest) string {
	return d.String() + "-" + hex.EncodeToString(p.key[:4]) + imageSuffix
}
