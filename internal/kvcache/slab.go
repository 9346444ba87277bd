package kvcache

import (
	"runtime"
	"slices"
	"unsafe"
)

// slab is memory for some pages. It lies outside the Go heap, in huge pages where the system has them: attention, which
// reads the whole cache for every token, would spend a good part of its time looking up small ones. It is given back
// when its pages are free, or after the last of them was forgotten.
type slab struct {
	memory  []byte
	pages   int     // that it has
	free    []*page // those of them that nobody holds
	cleanup runtime.Cleanup
}

const (
	// slabBytes is the size of a slab: some huge pages.
	slabBytes = 8 << 20
	// slabPositions bounds the size of a small model's slabs.
	slabPositions = 1024
	// maxFreeSlabs is how many slabs are kept for the next sequence.
	maxFreeSlabs = 2
)

// newSlab makes a slab whose pages are free.
func newSlab(shape Shape) (*slab, error) {
	size := shape.PageBytes()
	s := &slab{pages: int(max(1, min(slabBytes/size, int64(shape.Layers)*slabPositions/PagePositions)))}
	memory, err := allocate(int64(s.pages) * size)
	if err != nil {
		return nil, err
	}
	s.memory = memory
	s.cleanup = runtime.AddCleanup(s, free, memory)
	for i := range s.pages {
		at := unsafe.Pointer(&memory[int64(s.pages-1-i)*size]) // the first page is the last of free, and taken first
		p := &page{slab: s}
		if shape.F32 {
			p.F32 = unsafe.Slice((*float32)(at), size/4)
		} else {
			p.F16 = unsafe.Slice((*uint16)(at), size/2)
		}
		s.free = append(s.free, p)
	}
	return s, nil
}

// takePage returns a page that nobody holds. c.mu is held.
func (c *Cache) takePage() (*page, error) {
	if len(c.slabs) == 0 {
		s, err := newSlab(c.shape)
		if err != nil {
			return nil, err
		}
		c.slabs = append(c.slabs, s)
	}
	s := c.slabs[len(c.slabs)-1]
	p := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	if len(s.free) == 0 {
		c.slabs = c.slabs[:len(c.slabs)-1]
	}
	return p, nil
}

// putPage takes a page back. c.mu is held.
func (c *Cache) putPage(p *page) {
	// The next holder must not see what stood here; a kernel may read a whole page whatever its length.
	clear(p.F16)
	clear(p.F32)
	s := p.slab
	s.free = append(s.free, p)
	if len(s.free) == 1 {
		c.slabs = append(c.slabs, s)
	}
	if len(s.free) < s.pages {
		return
	}
	whole := 0
	for _, other := range c.slabs {
		if len(other.free) == other.pages {
			whole++
		}
	}
	if whole > maxFreeSlabs {
		c.slabs = slices.DeleteFunc(c.slabs, func(other *slab) bool { return other == s })
		s.cleanup.Stop()
		free(s.memory)
	}
}
