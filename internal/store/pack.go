package store

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
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

// making is an image that is being written. It goes on when who asked for it gives up, so that somebody else's patience,
// or the next call's, is enough to have it.
type making struct {
	plan    *plan
	cancel  context.CancelFunc
	mapped  chan struct{} // closed when image is set
	settled chan struct{} // closed when the file is in its place, or gone

	image []byte // nil where it failed

	mu       sync.Mutex // guards progress
	progress func(done, total int64)
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
	if e.making == nil {
		p := newPlan(names, matrices)
		limit := e.ImageLimit
		if limit == 0 {
			limit = DefaultImageLimit
		}
		dir, err := imagesDir()
		if err != nil || e.closed || p.size() > limit || p.size() < e.smallest || p.head > piece {
			return nil, nil
		}
		if data, err := e.findImage(ctx, dir, p, pool, progress); data != nil || err != nil {
			return data, err
		}
		if free, ok := FreeDisk(dir); ok && free < p.size()+spareDisk {
			return nil, nil
		}
		w, err := createImage(dir, p)
		if err != nil {
			return nil, nil
		}
		life, cancel := context.WithCancel(context.Background())
		e.making = &making{
			plan: p, cancel: cancel, mapped: make(chan struct{}), settled: make(chan struct{}),
			progress: progress, // from the start: an image of few weights may be complete at once
		}
		go e.makeImage(life, w, pool, packed, dir, limit)
	}
	m := e.making
	m.report(progress)
	defer m.report(nil)
	// A context that also ends when a model is closed has no channel for that.
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for waiting := true; waiting; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-m.mapped:
			waiting = false
		case <-ctx.Done():
		case <-look.C:
		}
	}
	if m.image == nil {
		return nil, nil
	}
	return m.plan.split(m.image), nil
}

// findImage maps the image that is in the folder, if there is one.
func (e *Entry) findImage(ctx context.Context, dir string, p *plan, pool *kernel.Pool, progress func(done, total int64)) ([][]byte, error) {
	d, known := e.recallDigest()
	if !known {
		return nil, nil
	}
	path := filepath.Join(dir, p.fileName(d))
	var err error
	switch e.image, err = mapImage(ctx, path, d, p, pool, progress); err {
	case nil:
		now := time.Now()
		_ = os.Chtimes(path, now, now) // for whoever evicts the one that was used least recently
		return p.split(e.image), nil
	case errBadImage:
		_ = os.Remove(path)
		return nil, nil
	case errNoImage:
		return nil, nil
	}
	return nil, err
}

// makeImage fills an image, maps it, and puts it in its place when the digest is known. ctx ends with the entry.
func (e *Entry) makeImage(ctx context.Context, w *imageWriter, pool *kernel.Pool, packed func(i int), dir string, limit int64) {
	m := e.making
	defer close(m.settled)
	defer m.cancel()
	digest := make(chan Digest, 1)
	go func() {
		defer close(digest)
		if d, err := e.Digest(ctx, nil); err == nil {
			digest <- d
		}
	}()
	err := w.fill(ctx, pool, packed, func(done, total int64) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.progress != nil {
			m.progress(done, total)
		}
	})
	if err == nil {
		m.image, err = mapShared(w.f, int(w.plan.size()))
	}
	close(m.mapped)
	if err != nil {
		m.cancel()
	}
	d, known := <-digest
	if err != nil || !known {
		w.abandon()
		return
	}
	path := filepath.Join(dir, w.plan.fileName(d))
	if _, err := os.Stat(path); err == nil {
		w.abandon() // somebody else was quicker
		return
	}
	w.publish(path, d, e.name())
	evict(dir, limit, filepath.Base(path))
}

// report gives the progress to f from now on, nil for nobody. The one before is not called any more.
func (m *making) report(f func(done, total int64)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress = f
}

// Settle waits until an image that Image has made is in its place.
func (e *Entry) Settle(ctx context.Context) {
	e.mu.Lock()
	m := e.making
	e.mu.Unlock()
	if m == nil {
		return
	}
	select {
	case <-m.settled:
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
