//go:build cgo && node_addon

package main

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"sync"
	"weak"

	"github.com/realm-ai/realm/internal/bridge"
	"github.com/realm-ai/realm/internal/hostcall"
	"github.com/realm-ai/realm/internal/wasmpatch"
)

// module is a guest's module with limits and meter. Environments that bring the same one share it.
type module struct {
	key     moduleKey
	patch   sync.Once
	patched *wasmpatch.Patched
	err     error

	uses int // by environments; guarded by modules.mu

	mu     sync.Mutex
	images map[uint32]weak.Pointer[image] // by the model that the guest was prepared for
}

type moduleKey struct {
	digest [sha256.Size]byte
	memory int64 // limit in bytes
}

// modules are those of the process.
var modules struct {
	mu  sync.Mutex
	all map[moduleKey]*module
}

// memoryLimit is what the limit comes to in whole pages.
func (m *module) memoryLimit() int64 { return m.key.memory / hostcall.PageBytes * hostcall.PageBytes }

// takeModule finds or patches a module, which releaseModule gives back.
func takeModule(content []byte, memory int64) (*module, error) {
	key := moduleKey{sha256.Sum256(content), memory}
	modules.mu.Lock()
	m, ok := modules.all[key]
	if !ok {
		if modules.all == nil {
			modules.all = map[moduleKey]*module{}
		}
		m = &module{key: key, images: map[uint32]weak.Pointer[image]{}}
		modules.all[key] = m
	}
	m.uses++
	modules.mu.Unlock()
	m.patch.Do(func() {
		m.patched, m.err = hostcall.Patch(bytes.Clone(content), memory) // its segments are views of the bytes
	})
	if m.err != nil {
		releaseModule(m)
		return nil, m.err
	}
	return m, nil
}

func releaseModule(m *module) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if m.uses--; m.uses == 0 {
		delete(modules.all, m.key)
	}
}

// patchGuest(bytes, memoryLimit) checks a guest's module and gives it its limits. It returns the module's number in this
// environment.
func patchGuest(c *call) (any, error) {
	b, err := c.Buffer(0, "a WebAssembly module")
	if err != nil {
		return nil, err
	}
	memory, err := c.Number(1, "a limit of memory in bytes", 1<<53)
	if err != nil {
		return nil, err
	}
	if memory == 0 {
		memory = hostcall.DefaultMemory
	}
	m, err := takeModule(b, int64(memory))
	if err != nil {
		return nil, err
	}
	return int(c.env.modules.Add(m)), nil
}

func (c *call) module(i int) (*module, error) {
	number, err := c.Number(i, "a module's number, as patchGuest returns it", 1<<53)
	if err != nil {
		return nil, err
	}
	if m := c.env.modules.Find(uintptr(number)); m != nil {
		return m, nil
	}
	return nil, c.Invalid(i, "a module's number, as patchGuest returns it")
}

// guestModule(module) returns the bytes of a patched module.
func guestModule(c *call) (any, error) {
	m, err := c.module(0)
	if err != nil {
		return nil, err
	}
	if len(c.Args) < 2 {
		return bridge.NewBuffer(len(m.patched.Module)), nil
	}
	into, err := c.Buffer(1, "a buffer")
	if err != nil {
		return nil, err
	}
	copy(into, m.patched.Module)
	return nil, nil
}

// dropGuest(module) forgets a module; sandboxes that were opened with it go on.
func dropGuest(c *call) (any, error) {
	m, err := c.module(0)
	if err != nil {
		return nil, err
	}
	c.env.modules.Remove(uintptr(c.Args[0].Number))
	releaseModule(m)
	return nil, nil
}

// fillGuest(sandbox, memory) writes the module's data to the memory of a new instance.
func fillGuest(c *call) (any, error) {
	s, memory, err := c.sandboxMemory()
	if err != nil {
		return nil, err
	}
	return nil, hostcall.Fill(memory, s.module.patched.Data)
}

// image is the memory that requests start from.
type image struct {
	size   int
	pieces []piece // what is not zero, in ascending order
}

type piece struct {
	at    int
	bytes []byte
}

// imagePage is what memory is compared by: a page of the operating system's, of which a guest takes those that it writes.
const imagePage = 4096

var zeros [imagePage]byte

// newImage copies what of a memory is not zero.
func newImage(memory []byte) *image {
	im := &image{size: len(memory)}
	from := 0
	for at := 0; at < len(memory); at += imagePage {
		if bytes.Equal(memory[at:at+imagePage], zeros[:]) {
			im.add(memory, from, at)
			from = at + imagePage
		}
	}
	im.add(memory, from, len(memory))
	return im
}

func (im *image) add(memory []byte, from, to int) {
	if from < to {
		im.pieces = append(im.pieces, piece{from, bytes.Clone(memory[from:to])})
	}
}

// restore makes a memory of the image's size what the image is. It writes the pages that differ.
func (im *image) restore(memory []byte) {
	at := 0
	for _, p := range im.pieces {
		clearPages(memory[at:p.at])
		for i := 0; i < len(p.bytes); i += imagePage {
			to, from := memory[p.at+i:p.at+i+imagePage], p.bytes[i:i+imagePage]
			if !bytes.Equal(to, from) {
				copy(to, from)
			}
		}
		at = p.at + len(p.bytes)
	}
	clearPages(memory[at:])
}

func clearPages(memory []byte) {
	for page := range slices.Chunk(memory, imagePage) {
		if !bytes.Equal(page, zeros[:]) {
			clear(page)
		}
	}
}

func (im *image) equal(other *image) bool {
	return im.size == other.size && slices.EqualFunc(im.pieces, other.pieces, func(p, q piece) bool {
		return p.at == q.at && bytes.Equal(p.bytes, q.bytes)
	})
}

// share returns the image that other sandboxes have of the same module for the same model: preparing gives the same bytes
// each time. It lives as long as one of them does.
func (m *module) share(model uint32, im *image) *image {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.images[model].Value(); known != nil && known.equal(im) {
		return known
	}
	m.images[model] = weak.Make(im)
	return im
}

// keepImage(sandbox, memory) makes the memory of a prepared instance what requests start from.
func keepImage(c *call) (any, error) {
	s, memory, err := c.sandboxMemory()
	if err != nil {
		return nil, err
	}
	id, err := s.model.ID(s.ctx)
	if err != nil {
		return nil, err
	}
	s.image = s.module.share(id, newImage(memory))
	return nil, nil
}

// restoreImage(sandbox, memory) makes an instance's memory, a new one's or one that served a request, what requests start
// from. It returns false where the size is another.
func restoreImage(c *call) (any, error) {
	s, memory, err := c.sandboxMemory()
	if err != nil {
		return nil, err
	}
	if s.image == nil || s.image.size != len(memory) {
		return false, nil
	}
	s.image.restore(memory)
	return true, nil
}

// sandboxMemory reads the arguments sandbox and memory.
func (c *call) sandboxMemory() (*sandbox, []byte, error) {
	s, err := c.sandbox(0)
	if err != nil {
		return nil, nil, err
	}
	memory, err := c.Buffer(1, "an instance's memory")
	if err != nil {
		return nil, nil, err
	}
	if len(memory)%imagePage != 0 {
		return nil, nil, c.Invalid(1, "an instance's memory, of whole pages")
	}
	return s, memory, nil
}
