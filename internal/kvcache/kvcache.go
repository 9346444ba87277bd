// Package kvcache owns the keys and values that attention looks back on: pages of 64 positions, sequences made of
// pages, and the memory budget that sequences share.
//
// Pages are allocated as sequences fill them. A fork shares its parent's pages, and whoever writes to a shared page
// first makes a copy of it. A sequence keeps a length for each layer, since a caller may run layers one by one.
//
// The package must not know of models, tokens or attention. Start at Cache and Sequence.Reserve.
package kvcache

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// PagePositions is the number of positions in a page.
const PagePositions = 64

// The errors that a caller can provoke.
var (
	ErrFull   = errors.New("kvcache: the memory budget is used up")
	ErrBudget = errors.New("kvcache: the owner's share of memory is used up")
	ErrGap    = errors.New("kvcache: position is beyond the end of the sequence")
)

// Shape is what a position takes in each layer.
type Shape struct {
	Layers   int
	KVHeads  int
	HeadDim  int  // of keys
	ValueDim int  // of values
	F32      bool // float32 rather than F16
}

// PageBytes is the memory of one page, which holds one layer.
func (s Shape) PageBytes() int64 {
	size := int64(2)
	if s.F32 {
		size = 4
	}
	return int64(s.KVHeads) * int64(s.HeadDim+s.ValueDim) * PagePositions * size
}

// Bytes is the memory of a sequence of the given length.
func (s Shape) Bytes(positions int) int64 {
	pages := (int64(positions) + PagePositions - 1) / PagePositions
	return pages * int64(s.Layers) * s.PageBytes()
}

// Page is one layer's keys and values for 64 positions, one of the two: for each head of keys and values its keys, (head
// dimension, position), and then its values, (position, value dimension).
type Page struct {
	F16 []uint16
	F32 []float32
}

// page is a Page with the number of sequences that hold it and the budget that it counts for.
type page struct {
	Page
	slab   *slab
	refs   int
	budget *Budget
}

// Budget limits the memory of some sequences, which may be of several caches. A page that sequences share counts once.
// It is safe for concurrent use.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget makes a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used returns the bytes of the pages that the budget's sequences hold.
func (b *Budget) Used() int64 { return b.used.Load() }

// take counts size bytes, which may be below 0. A nil budget has no limit.
func (b *Budget) take(size int64) error {
	if b == nil {
		return nil
	}
	if used := b.used.Add(size); size > 0 && used > b.limit {
		b.used.Add(-size)
		return fmt.Errorf("%w: %d more bytes on %d of %d", ErrBudget, size, used-size, b.limit)
	}
	return nil
}

// Cache allocates pages for sequences of one model. It is safe for concurrent use; a Sequence is not.
type Cache struct {
	shape Shape
	limit int64

	mu    sync.Mutex // guards what follows, and every page's refs
	used  int64
	slabs []*slab // those with free pages
}

// New makes a cache that uses at most limit bytes, or any number where limit is 0.
func New(shape Shape, limit int64) *Cache { return &Cache{shape: shape, limit: limit} }

// Shape returns the cache's shape.
func (c *Cache) Shape() Shape { return c.shape }

// Used returns the bytes of the pages that sequences hold.
func (c *Cache) Used() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

func (c *Cache) alloc(b *Budget) (*page, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := c.shape.PageBytes()
	if c.limit > 0 && c.used+size > c.limit {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrFull, c.used, c.limit)
	}
	if err := b.take(size); err != nil {
		return nil, err
	}
	p, err := c.takePage()
	if err != nil {
		_ = b.take(-size) // which cannot fail
		return nil, err
	}
	c.used += size
	p.refs, p.budget = 1, b
	return p, nil
}

// release gives up one hold on each page.
func (c *Cache) release(pages []*page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range pages {
		if p.refs--; p.refs > 0 {
			continue
		}
		c.used -= c.shape.PageBytes()
		_ = p.budget.take(-c.shape.PageBytes()) // which cannot fail
		p.budget = nil
		c.putPage(p)
	}
}

// Sequence is the cache of one line of tokens.
type Sequence struct {
	cache  *Cache
	budget *Budget // or nil
	layers []layer
}

type layer struct {
	pages []*page
	n     int // positions
}

// NewSequence makes an empty sequence.
func (c *Cache) NewSequence() *Sequence { return c.NewSequenceWithin(nil) }

// NewSequenceWithin makes an empty sequence whose pages, and those of its forks, count for a budget.
func (c *Cache) NewSequenceWithin(b *Budget) *Sequence {
	return &Sequence{cache: c, budget: b, layers: make([]layer, c.shape.Layers)}
}

// Len returns the number of positions that a layer holds.
func (s *Sequence) Len(layer int) int { return s.layers[layer].n }

// Reserve makes room for n positions from position on in a layer, which ends there afterwards: later positions are
// dropped. The new positions' content is for the caller to write, to Pages. It fails with ErrGap, ErrFull or ErrBudget
// and then changes nothing.
func (s *Sequence) Reserve(layer, position, n int) error {
	l := &s.layers[layer]
	if position < 0 || position > l.n {
		return fmt.Errorf("%w: position %d, length %d in layer %d", ErrGap, position, l.n, layer)
	}
	if end := position + n; n > 0 && position == l.n && end <= len(l.pages)*PagePositions && s.cache.sole(l.pages[len(l.pages)-1]) {
		l.n = end // what is written to is the last page, which has room
		return nil
	}
	first := position / PagePositions // the first page that is written to
	last := (position + n + PagePositions - 1) / PagePositions
	var fresh []*page // pages first to last-1
	for i := first; i < last; i++ {
		if i < len(l.pages) && s.cache.sole(l.pages[i]) {
			fresh = append(fresh, l.pages[i])
			continue
		}
		p, err := s.cache.alloc(s.budget)
		if err != nil {
			for j, p := range fresh {
				if first+j >= len(l.pages) || l.pages[first+j] != p {
					s.cache.release([]*page{p})
				}
			}
			return err
		}
		if i < len(l.pages) && i*PagePositions < position {
			p.copyFrom(l.pages[i])
		}
		fresh = append(fresh, p)
	}
	for i := first; i < len(l.pages); i++ {
		if i >= last || l.pages[i] != fresh[i-first] {
			s.cache.release(l.pages[i : i+1])
		}
	}
	l.pages = append(l.pages[:min(first, len(l.pages))], fresh...)
	l.n = position + n
	return nil
}

// sole reports whether one sequence alone holds the page.
func (c *Cache) sole(p *page) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.refs == 1
}

func (p *page) copyFrom(q *page) {
	copy(p.F16, q.F16)
	copy(p.F32, q.F32)
}

// Pages appends a layer's pages, from position 0, to dst. Those of positions that the last Reserve made room for are the
// sequence's alone and may be written to, different positions concurrently.
func (s *Sequence) Pages(dst []Page, layer int) []Page {
	for _, p := range s.layers[layer].pages {
		dst = append(dst, p.Page)
	}
	return dst
}

// Truncate drops what stands at and beyond position, in every layer.
func (s *Sequence) Truncate(position int) {
	keep := (max(0, position) + PagePositions - 1) / PagePositions
	for i := range s.layers {
		l := &s.layers[i]
		if keep < len(l.pages) {
			s.cache.release(l.pages[keep:])
			clear(l.pages[keep:])
			l.pages = l.pages[:keep]
		}
		l.n = min(l.n, max(0, position))
	}
}

// Fork makes a sequence with the first positions of this one, sharing its pages until either writes to them. It fails
// with ErrGap where a layer is shorter.
func (s *Sequence) Fork(position int) (*Sequence, error) {
	for i, l := range s.layers {
		if position < 0 || position > l.n {
			return nil, fmt.Errorf("%w: fork at %d, length %d in layer %d", ErrGap, position, l.n, i)
		}
	}
	f := s.cache.NewSequenceWithin(s.budget)
	n := (position + PagePositions - 1) / PagePositions
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	for i, l := range s.layers {
		f.layers[i] = layer{pages: append([]*page(nil), l.pages[:n]...), n: position}
		for _, p := range f.layers[i].pages {
			p.refs++
		}
	}
	return f, nil
}

// Free drops everything. The sequence is empty afterwards, and may be used again.
func (s *Sequence) Free() { s.Truncate(0) }
