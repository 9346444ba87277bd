package wasm

import (
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// resident is the process's memory in bytes, without the cache of files.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, rss, shared int64
	if _, err := fmt.Sscan(string(data), &size, &rss, &shared); err != nil {
		t.Fatal(err)
	}
	return (rss - shared) * int64(os.Getpagesize())
}

// TestManyGuests holds what a hundred guests in the middle of their answers take to their KV cache, their memory and a MiB
// for each.
func TestManyGuests(t *testing.T) {
	if os.Getenv("REALM_LONG") != "1" {
		t.Skip("takes a hundred prompts of a real model: set REALM_LONG=1")
	}
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		t.Skip("REALM_MODEL is not set")
	}
	m, err := realm.Open(path, realm.Options{ContextLength: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	g := load(t, newRuntime(t, Options{}), shippedGuest(t), GuestOptions{})
	sampling := &abi.Sampling{TopP: 1, RepeatPenalty: 1}
	one := ask(t, g, m, abi.Request{Prompt: story, MaxTokens: 4, Sampling: sampling}, DefaultLimits())

	begin := func() {
		next, stop := iter.Pull2(g.Generate(t.Context(), m, realm.Request{
			Prompt: story, MaxTokens: 100, IgnoreEndOfGeneration: true, Sampling: &realm.Sampling{TopP: 1, RepeatPenalty: 1},
		}, RunOptions{Limits: DefaultLimits()}))
		t.Cleanup(stop)
		for range 3 {
			if _, err, ok := next(); err != nil || !ok {
				t.Fatalf("the answer ended: %v", err)
			}
		}
	}
	const guests = 100
	begin()
	before, cache := resident(t), m.CacheUsed()
	for range guests {
		begin()
	}
	grown, cached := resident(t)-before, m.CacheUsed()-cache
	bound := cached + guests*(int64(one.MemoryBytes)+1<<20)
	t.Logf("%d guests more take %d MB: %d of KV cache, linear memory %d each; the bound is %d MB",
		guests, grown>>20, cached>>20, one.MemoryBytes, bound>>20)
	if grown > bound {
		t.Errorf("%d guests more take %d MB, want %d at most", guests, grown>>20, bound>>20)
	}
}
