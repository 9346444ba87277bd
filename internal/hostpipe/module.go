package hostpipe

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/wasm"
)

// module is a compiled guest, which goes when nobody refers to it.
type module struct {
	guest *wasm.Guest

	mu         sync.Mutex
	references int
}

// hold adds a reference to those of others. It reports whether there were any.
func (m *module) hold() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.references == 0 {
		return false
	}
	m.references++
	return true
}

func (m *module) release() {
	m.mu.Lock()
	m.references--
	last := m.references == 0
	m.mu.Unlock()
	if last {
		_ = m.guest.Close()
	}
}

// modules are those that were wanted last, by their content and the limit that is written into them. They are compiled once
// for all that want them at one time.
type modules struct {
	runtime *wasm.Runtime

	mu   sync.Mutex
	list []*wanted // in the order of use
}

// wanted is a module from the moment that it is wanted.
type wanted struct {
	key    string
	ready  chan struct{} // closed when one of those that follow is set
	module *module       // which has a reference of its own
	err    error
}

// most is how many modules are kept.
const most = 8

// get returns a module with a reference for the caller.
func (ms *modules) get(ctx context.Context, b []byte, memory int64) (*module, error) {
	key := fmt.Sprintf("%x %d", sha256.Sum256(b), memory)
	for {
		w, first := ms.want(key)
		if first {
			return ms.compile(ctx, w, b, memory)
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
			return nil, ended(ctx)
		}
		switch {
		case w.err == nil && w.module.hold():
			return w.module, nil
		case w.err != nil && realm.CodeOf(w.err) != realm.CodeCanceled:
			return nil, w.err
		}
		// Whoever compiled it gave up, or it is forgotten: it is not in the list any more.
	}
}

// want finds a module in the list. Where it is not there, it is then, and the caller is the one to compile it.
func (ms *modules) want(key string) (w *wanted, first bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if i := slices.IndexFunc(ms.list, func(w *wanted) bool { return w.key == key }); i >= 0 {
		w = ms.list[i]
		ms.list = append(slices.Delete(ms.list, i, i+1), w)
		return w, false
	}
	w = &wanted{key: key, ready: make(chan struct{})}
	ms.list = append(ms.list, w)
	return w, true
}

func (ms *modules) compile(ctx context.Context, w *wanted, b []byte, memory int64) (*module, error) {
	defer close(w.ready)
	// An instance is kept ready, as under V8.
	guest, err := ms.runtime.Load(ctx, b, wasm.GuestOptions{MemoryBytes: memory, Warm: 1})
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if err != nil {
		w.err = err
		ms.list = slices.DeleteFunc(ms.list, func(other *wanted) bool { return other == w })
		return nil, err
	}
	w.module = &module{guest: guest, references: 2} // the list's and the caller's
	for i := 0; len(ms.list) > most && i < len(ms.list); {
		if old := ms.list[i]; old.module == nil || old == w {
			i++
		} else {
			ms.list = slices.Delete(ms.list, i, i+1)
			go old.module.release() // which may wait for an answer
		}
	}
	return w.module, nil
}

// patchGuest(bytes, memoryLimit) compiles a guest's module with its limits. It returns the module's number.
func patchGuest(c *call) (any, error) {
	b, err := c.Buffer(0, "a WebAssembly module")
	if err != nil {
		return nil, err
	}
	memory, err := c.Number(1, "a limit of memory in bytes", 1<<53)
	if err != nil {
		return nil, err
	}
	m, err := c.c.server.modules.get(c.Context(), b, int64(memory))
	if err != nil {
		return nil, err
	}
	return int(c.c.modules.Add(m)), nil
}
