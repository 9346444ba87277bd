package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/realm-ai/realm/internal/errs"
)

// ID is the short name of the content that a digest stands for: its first four bytes, as a little-endian number.
func (d Digest) ID() uint32 { return binary.LittleEndian.Uint32(d[:]) }

// Set is open models by content, each once. What it opens and closes, an M, is its user's. It is safe for concurrent use.
type Set[M any] struct {
	open    func(*Entry) (M, error) // makes a model of an entry, which is closed with it
	shut    func(M)                 // ends a model, after calls in progress
	ceiling int64                   // bytes of model files; 0 for none

	mu     sync.Mutex // guards what follows, members' fields included
	byID   map[uint32]*Member[M]
	bytes  int64  // of all members
	clock  uint64 // counts uses
	closed bool
}

// Member is a model of a Set.
type Member[M any] struct {
	ID     uint32
	Digest Digest
	Bytes  int64 // of its file
	Model  M     // valid while the member is held

	refs, holds int
	used        uint64
	ready       chan struct{} // closed when Model or err is set
	err         error
}

// NewSet makes an empty set. Models beyond the ceiling push others out, those that nobody holds and that were not used for
// the longest time first.
func NewSet[M any](ceiling int64, open func(*Entry) (M, error), shut func(M)) *Set[M] {
	return &Set[M]{open: open, shut: shut, ceiling: ceiling, byID: map[uint32]*Member[M]{}}
}

// Add adds a reference to the model with this digest and of this size. Where the set does not have it, it calls load for its
// entry, and waits where another call already does so.
func (s *Set[M]) Add(ctx context.Context, d Digest, size int64, load func() (*Entry, error)) (*Member[M], error) {
	s.mu.Lock()
	m, known := s.byID[d.ID()]
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, errSetClosed
	case known && m.Digest != d:
		s.mu.Unlock()
		return nil, errs.Errorf(errs.Conflict, "store: model %08x: digests %s and %s have the same ID", d.ID(), m.Digest, d)
	case known:
		m.refs++
		s.touch(m)
		s.mu.Unlock()
		return m, s.wait(ctx, m)
	}
	evicted, err := s.makeRoom(size)
	if err == nil {
		m = &Member[M]{ID: d.ID(), Digest: d, Bytes: size, refs: 1, ready: make(chan struct{})}
		s.byID[m.ID] = m
		s.bytes += size
		s.touch(m)
	}
	s.mu.Unlock()
	for _, old := range evicted {
		s.shut(old.Model)
	}
	if err != nil {
		return nil, err
	}

	entry, err := load()
	var model M
	if err == nil {
		if model, err = s.open(entry); err != nil {
			_ = entry.Close()
		}
	}
	s.mu.Lock()
	if err == nil && s.closed {
		s.mu.Unlock()
		s.shut(model)
		s.mu.Lock()
		err = errSetClosed
	}
	if m.Model, m.err = model, err; err != nil {
		s.drop(m)
	}
	close(m.ready)
	free := err == nil && m.refs == 0 && m.holds == 0 // removed before it was ready
	if free {
		s.drop(m)
	}
	s.mu.Unlock()
	if free {
		s.shut(model)
	}
	return m, err
}

var errSetClosed = errs.Errorf(errs.Closed, "store: the store is closed")

// wait waits until a member is ready, and takes the reference back where it never will be or ctx ends.
func (s *Set[M]) wait(ctx context.Context, m *Member[M]) error {
	select {
	case <-m.ready:
		return m.err
	case <-ctx.Done():
		s.mu.Lock()
		m.refs--
		s.leave(m)
		return contextError(ctx)
	}
}

// contextError is the error of a context that has ended.
func contextError(ctx context.Context) error {
	code := errs.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = errs.DeadlineExceeded
	}
	return errs.Errorf(code, "store: %w", ctx.Err())
}

// makeRoom takes members out until another one of that size fits, and returns them.
func (s *Set[M]) makeRoom(size int64) (evicted []*Member[M], err error) {
	if s.ceiling <= 0 || s.bytes+size <= s.ceiling {
		return nil, nil
	}
	var idle []*Member[M]
	spare := int64(0)
	for _, m := range s.byID {
		if m.holds == 0 && m.isReady() {
			idle, spare = append(idle, m), spare+m.Bytes
		}
	}
	if s.bytes-spare+size > s.ceiling {
		return nil, errs.Errorf(errs.OutOfMemory, "store: a model of %d bytes: %d of %d are taken by models in use", size, s.bytes-spare, s.ceiling)
	}
	slices.SortFunc(idle, func(a, b *Member[M]) int { return cmp.Compare(a.used, b.used) })
	for _, m := range idle {
		if s.bytes+size <= s.ceiling {
			break
		}
		s.drop(m)
		evicted = append(evicted, m)
	}
	return evicted, nil
}

func (m *Member[M]) isReady() bool {
	select {
	case <-m.ready:
		return true
	default:
		return false
	}
}

func (s *Set[M]) touch(m *Member[M]) {
	s.clock++
	m.used = s.clock
}

// drop takes a member out, if it is still in.
func (s *Set[M]) drop(m *Member[M]) {
	if s.byID[m.ID] == m {
		delete(s.byID, m.ID)
		s.bytes -= m.Bytes
	}
}

// Hold returns a model that stays until release is called, once.
func (s *Set[M]) Hold(ctx context.Context, id uint32) (m *Member[M], release func(), err error) {
	s.mu.Lock()
	m = s.byID[id]
	if m == nil || m.refs == 0 {
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return nil, nil, errSetClosed
		}
		return nil, nil, errUnknown(id)
	}
	m.holds++
	s.touch(m)
	s.mu.Unlock()
	release = func() {
		s.mu.Lock()
		m.holds--
		s.leave(m)
	}
	select {
	case <-m.ready:
	case <-ctx.Done():
		release()
		return nil, nil, contextError(ctx)
	}
	if m.err != nil {
		return nil, nil, m.err
	}
	return m, release, nil
}

func errUnknown(id uint32) error {
	return errs.Errorf(errs.NotFound, "store: model %08x: none of that ID is stored", id)
}

// Remove takes one reference to a model away. After the last one it cannot be held again, and it ends when nobody holds it.
func (s *Set[M]) Remove(id uint32) error {
	s.mu.Lock()
	m := s.byID[id]
	if m == nil || m.refs == 0 {
		s.mu.Unlock()
		return errUnknown(id)
	}
	m.refs--
	s.leave(m)
	return nil
}

// leave ends a member that is neither referenced nor held, and unlocks s.mu.
func (s *Set[M]) leave(m *Member[M]) {
	end := m.refs == 0 && m.holds == 0 && m.isReady() && s.byID[m.ID] == m
	if end {
		s.drop(m)
	}
	s.mu.Unlock()
	if end {
		s.shut(m.Model)
	}
}

// MemberInfo says how a model is used.
type MemberInfo struct {
	ID     uint32
	Digest Digest
	Bytes  int64
	Refs   int
	Holds  int
}

// List lists the models that are ready, those used last first.
func (s *Set[M]) List() []MemberInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Member[M]
	for _, m := range s.byID {
		if m.isReady() {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *Member[M]) int { return cmp.Compare(b.used, a.used) })
	var infos []MemberInfo
	for _, m := range all {
		infos = append(infos, MemberInfo{m.ID, m.Digest, m.Bytes, m.refs, m.holds})
	}
	return infos
}

// Close ends all models, those in use too, and lets no more in.
func (s *Set[M]) Close() {
	s.mu.Lock()
	s.closed = true
	var all []*Member[M]
	for _, m := range s.byID {
		if m.isReady() { // who makes the others finds the set closed
			all = append(all, m)
			s.drop(m)
		}
	}
	s.mu.Unlock()
	for _, m := range all {
		s.shut(m.Model)
	}
}
