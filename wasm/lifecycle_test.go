package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/wasmtest"
)

// TestCancelledCalls sees that a host call of a cancelled guest says so, that the error's text can still be read, and that
// the next call is the last.
func TestCancelledCalls(t *testing.T) {
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	id := modelID(t, m)
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{})
	run := func(calls ...hostCall) forwarded {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		return forwardCalls(ctx, g, Request{
			Models: []Grant{{Model: m}},
			OnEmit: func(uint32, []byte) error { cancel(); return nil },
		}, request(1, 2), calls...)
	}
	got := run(call(abi.Emit, EmitText, dataAt, 4), call(abi.Forward, id, dataAt, 2, 0, 0), call(abi.LastError, freeAt, 100), call(abi.KVTruncate, id, 0))
	if !errors.Is(got.err, realm.CodeCanceled) || !bytes.Contains(got.memory[freeAt:], []byte("the request was cancelled")) {
		t.Errorf("got %v, %q", got.err, got.memory[freeAt:][:100])
	}
	if got.HostCalls[abi.KVTruncate] != 1 {
		t.Errorf("host calls %v", got.HostCalls)
	}
	// What OnEmit fails with is what the request fails with.
	mine := errors.New("mine")
	_, err := g.Run(t.Context(), Request{
		Body:   callBody(nil, []hostCall{call(abi.Emit, EmitText, dataAt, 4)}),
		OnEmit: func(uint32, []byte) error { return mine },
	})
	if !errors.Is(err, mine) {
		t.Errorf("OnEmit's error came back as %v", err)
	}
}

// TestClosed uses a model, a guest and a runtime that are closed, before a request and in the middle of one.
func TestClosed(t *testing.T) {
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	id := modelID(t, m)
	r := newRuntime(t, Options{})
	g := load(t, r, forwarder(), GuestOptions{Warm: 1})
	got := forwardCalls(t.Context(), g, Request{
		Models: []Grant{{Model: m}},
		OnEmit: func(uint32, []byte) error { return m.Close() },
	}, request(1, 2), call(abi.Forward, id, dataAt, 2, 0, 0), call(abi.Emit, EmitText, dataAt, 4), call(abi.Forward, id, dataAt, 2, 0, freeAt),
		call(abi.Forward, id, dataAt, 2, 0, freeAt))
	closed := -int32(realm.CodeClosed)
	if got.err != nil || got.returned[0] != 0 || got.returned[2] != closed || got.returned[3] != closed {
		t.Errorf("a model that was closed meanwhile: %v, %v", got.returned, got.err)
	}
	if got.memory[freeAt] != canary {
		t.Error("a failed call wrote logits")
	}
	for range 2 {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := g.Run(t.Context(), Request{}); !errors.Is(err, realm.CodeClosed) {
		t.Errorf("a closed guest: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Load(t.Context(), forwarder(), GuestOptions{}); err == nil {
		t.Error("a closed runtime loaded a guest")
	}
	r2 := newRuntime(t, Options{CacheDir: t.TempDir()})
	g2 := load(t, r2, forwarder(), GuestOptions{})
	if _, err := g2.Run(t.Context(), Request{Models: []Grant{{}}}); !errors.Is(err, realm.CodeInvalidArgument) {
		t.Errorf("a grant of nothing: %v", err)
	}
}

// TestNothingIsLeft sees that a request finds memory, globals, clock and random bytes as every other did, with prepared
// state ready.
func TestNothingIsLeft(t *testing.T) {
	// realm_prepare writes 1 and grows the memory; a request emits what it finds and then soils all of it.
	module := tinyWith("i32.const 0 global.get 0 i32.store 0 i32.const 4 memory.size i32.store 0 i32.const 16 i32.const 8 random_get drop "+
		"i32.const 1 i64.const 0 i32.const 24 clock_time_get drop "+
		"i32.const 3 i32.const 0 i32.const 64 realm_emit drop "+
		"i32.const 77 global.set 0 i32.const 1 memory.grow drop i32.const 0 i32.const 255 i32.const 1000 memory.fill i32.const 0",
		func(m *wasmtest.Module) {
			m.Global(wasmtest.I32, "i32.const 5")
			m.Export(abi.ExportPrepare, 0, m.Func(i32(1), i32(1), nil,
				"i32.const 8 i32.const 1 i32.store 0 i32.const 6 global.set 0 i32.const 3 memory.grow drop i32.const 40 i32.const 8 call 16 drop i32.const 0")) // random_get
		})
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	for _, o := range []Options{{}, {Interpreter: true}} {
		g := load(t, newRuntime(t, o), module, GuestOptions{Warm: 2})
		grants := []Grant{{Model: m}}
		want := run(t, g, Request{Models: grants, Seed: 3})
		head := request(6, memoryPages+3, 1)
		if !bytes.HasPrefix(want.Body, head) || bytes.Equal(want.Body[16:24], make([]byte, 8)) || bytes.Equal(want.Body[24:32], make([]byte, 8)) {
			t.Fatalf("%+v: %v", o, want.Body)
		}
		for range 5 {
			if got := run(t, g, Request{Models: grants, Seed: 3}); !bytes.Equal(got.Body, want.Body) || got.Fuel != want.Fuel {
				t.Errorf("%+v: %v, %d units, want %v, %d units", o, got.Body, got.Fuel, want.Body, want.Fuel)
			}
		}
		if got := run(t, g, Request{Models: grants, Seed: 4}); bytes.Equal(got.Body[16:24], want.Body[16:24]) {
			t.Error("another seed gave the same random bytes")
		}
		if got := run(t, g, Request{}); !bytes.HasPrefix(got.Body, request(5, memoryPages, 0)) {
			t.Errorf("%+v: without models: %v", o, got.Body)
		}
	}
}

// TestImagesAreDropped prepares for more sets of models than there are images.
func TestImagesAreDropped(t *testing.T) {
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{Warm: 1})
	for i := range maxImages + 3 {
		m := newModel(t, "tiny-llama-q4_k", realm.Options{ContextLength: 32 + i})
		id := modelID(t, m)
		for range 2 {
			got := forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m}}}, request(1), call(abi.Forward, id, dataAt, 1, 0, 0))
			if got.last(t) != 0 {
				t.Errorf("model %d: %v", i, got.returned)
			}
		}
	}
	if n := len(g.images.byModels); n != maxImages {
		t.Errorf("%d images", n)
	}
}

// TestImagesOfOptions opens one file with several options. What a guest learns about a model when it prepares itself must not
// reach a request for the same file with other options; options that it cannot see do not need an image of their own.
func TestImagesOfOptions(t *testing.T) {
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{})
	images := 0
	for _, c := range []struct {
		o   realm.Options
		new bool
	}{
		{realm.Options{}, true},
		{realm.Options{Threads: 1, ChunkSize: 3, CacheBytes: 1 << 20}, false},
		{realm.Options{ContextLength: 32}, true},
		{realm.Options{PreTokenizer: "llama-bpe"}, true},
		{realm.Options{PreTokenizer: "falcon"}, true},
		{realm.Options{CacheF32: true}, true},
	} {
		m := newModel(t, "tiny-qwen3-q8_0", c.o)
		forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m}}}, request(1), call(abi.Forward, modelID(t, m), dataAt, 1, 0, 0))
		if c.new {
			images++
		}
		if n := len(g.images.byModels); n != images {
			t.Errorf("%+v: %d images, want %d", c.o, n, images)
		}
	}
}

// TestKeptSession gives requests a session that holds the tokens of another. They get the bits of a fresh one, whatever they
// begin with, and cannot go on from what was there.
func TestKeptSession(t *testing.T) {
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{})
	m, other := newModel(t, "tiny-llama-q4_k", realm.Options{}), newModel(t, "tiny-llama-q8_0", realm.Options{})
	id := modelID(t, m)
	kept, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	ids := request(1, 2, 3, 4, 5, 6)
	hidden := uint32(freeAt + 1<<18)
	layer := call(abi.ForwardLayer, id, 0, hidden, uint32(m.Info().Hidden), 0, hidden)
	cases := map[string]struct {
		calls  []hostCall
		cached int
		fails  bool
	}{
		"the same tokens and more": {[]hostCall{call(abi.Forward, id, dataAt, 6, 0, freeAt)}, 3, false},
		"fewer tokens":             {[]hostCall{call(abi.Forward, id, dataAt, 2, 0, freeAt)}, 1, false},
		"other tokens":             {[]hostCall{call(abi.Forward, id, dataAt+4, 3, 0, freeAt)}, 0, false},
		"twice":                    {[]hostCall{call(abi.Forward, id, dataAt, 4, 0, freeAt), call(abi.Forward, id, dataAt, 4, 0, freeAt)}, 3, false},
		"a layer":                  {[]hostCall{call(abi.EmbedTokens, id, dataAt, 1, hidden), layer}, 0, false},
		"tokens behind them":       {[]hostCall{call(abi.Forward, id, dataAt, 1, 3, freeAt)}, 0, true},
	}
	for name, c := range cases {
		fresh := forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m}}}, ids, c.calls...)
		if _, _, err := kept.Resume(t.Context(), []int32{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		got := forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m, Session: kept}}}, ids, c.calls...)
		if !slices.Equal(got.returned, fresh.returned) || !bytes.Equal(got.memory, fresh.memory) || got.Fuel != fresh.Fuel {
			t.Errorf("%s: %v with a kept session, %v with a fresh one", name, got.returned, fresh.returned)
		}
		if failed := got.last(t) != 0; failed != c.fails || got.CachedTokens != c.cached {
			t.Errorf("%s: returned %d, %d tokens cached, want %d", name, got.last(t), got.CachedTokens, c.cached)
		}
	}
	r := Request{Models: []Grant{{Model: other, Session: kept}}}
	if f := forwardCalls(t.Context(), g, r, ids, call(abi.Forward, id, dataAt, 1, 0, 0)); realm.CodeOf(f.err) != realm.CodeInvalidArgument {
		t.Errorf("a session of another model: %v", f.err)
	}
}

// TestCacheLimit holds a guest to its KV cache over sequences, of which forks share what they do not write.
func TestCacheLimit(t *testing.T) {
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	id := modelID(t, m)
	page := 64 * m.Info().CacheBytesPerToken // of all layers
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{})
	tokens := request(make([]uint32, 300)...)
	long := call(abi.Forward, id, dataAt, 128, 0, 0)
	fork, onFork := call(abi.KVFork, id, 128), call(abi.KVSelect, id, 1)
	more := call(abi.Forward, id, dataAt, 1, 128, freeAt)
	limit := Limits{CacheBytes: 3 * page}
	r := Request{Models: []Grant{{Model: m}}, Limits: limit}
	got := forwardCalls(t.Context(), g, r, tokens, long, fork, onFork)
	if got.last(t) != 0 || got.CacheBytes != 2*page {
		t.Errorf("a fork: %d bytes, want %d", got.CacheBytes, 2*page)
	}
	got = forwardCalls(t.Context(), g, r, tokens, long, fork, onFork, more, call(abi.KVSelect, id, 0), more)
	if got.last(t) != -int32(realm.CodeCacheLimit) || got.CacheBytes != 3*page || got.memory[freeAt] == canary {
		t.Errorf("a page too many: %v, %d bytes", got.returned, got.CacheBytes)
	}
	got = forwardCalls(t.Context(), g, r, tokens, call(abi.Forward, id, dataAt, 300, 0, freeAt))
	if got.last(t) != -int32(realm.CodeCacheLimit) || got.memory[freeAt] != canary {
		t.Errorf("a prompt that does not fit: %v", got.returned)
	}
	if used := m.CacheUsed(); used != 0 {
		t.Errorf("%d bytes of cache are left after all requests", used)
	}
}

// TestIsolation lets two guests compute call by call in turns, on one model, in the same sequences by number, and holds
// each to what it gives alone.
func TestIsolation(t *testing.T) {
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	id := modelID(t, m)
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{Warm: 2})
	turn := call(abi.Emit, EmitText, dataAt, 4)
	calls := func(k uint32) []hostCall {
		at := uint32(dataAt) + 4*k
		return []hostCall{
			turn, call(abi.Forward, id, at, 5, 0, freeAt), turn, call(abi.KVFork, id, 3), turn, call(abi.Forward, id, at+4, 2, 5, freeAt),
			turn, call(abi.KVSelect, id, 1), turn, call(abi.Forward, id, at, 4, 3, freeAt+1<<16), turn, call(abi.KVTruncate, id, 2),
			turn, call(abi.Forward, id, at, 1, 2, freeAt+2<<16), turn, call(abi.KVSelect, id, 0), call(abi.Forward, id, at, 1, 7, freeAt+3<<16),
		}
	}
	tokens := make([]uint32, 40)
	for i := range tokens {
		tokens[i] = uint32(i*i%97 + 1)
	}
	data := request(tokens...)
	var alone, together [2]forwarded
	for k := range alone {
		alone[k] = forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m}}}, data, calls(uint32(20*k))...)
	}
	mine, other := make(chan bool, 100), make(chan bool, 100)
	mine <- true
	var both sync.WaitGroup
	for k, c := range [2][2]chan bool{{mine, other}, {other, mine}} {
		both.Go(func() {
			together[k] = forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m}}, OnEmit: func(uint32, []byte) error {
				<-c[0]
				c[1] <- true
				return nil
			}}, data, calls(uint32(20*k))...)
			c[1] <- true
		})
	}
	both.Wait()
	for k := range alone {
		if alone[k].last(t) != 0 || together[k].last(t) != 0 || !bytes.Equal(alone[k].memory, together[k].memory) ||
			alone[k].Fuel != together[k].Fuel {
			t.Errorf("guest %d: alone %v, together %v, or other logits or fuel", k, alone[k].returned, together[k].returned)
		}
	}
	if bytes.Equal(alone[0].memory[freeAt:], alone[1].memory[freeAt:]) {
		t.Error("both guests gave the same")
	}
}

// TestLayerByLayer holds a guest's logits to the native engine's bits: by realm_forward, and by the three functions. With
// REALM_MODEL it does so on the real model too.
func TestLayerByLayer(t *testing.T) {
	models := map[string]*realm.Model{}
	for _, shape := range []string{"tiny-llama-q4_k", "tiny-qwen3-q6_k"} {
		models[shape] = newModel(t, shape, realm.Options{})
	}
	if path := os.Getenv("REALM_MODEL"); path != "" && !testing.Short() {
		m, err := realm.Open(path, realm.Options{ContextLength: 64})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models[path] = m
	}
	for shape, m := range models {
		info, id := m.Info(), modelID(t, m)
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		logits, err := s.Forward(t.Context(), []int32{1, 2, 3, 4}, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := floatBytes(logits)
		_ = s.Close()
		const hidden = freeAt + 1<<18
		h := uint32(info.Hidden)
		pieces := []hostCall{call(abi.EmbedTokens, id, dataAt, 4, hidden)}
		for layer := range uint32(info.Layers) {
			pieces = append(pieces, call(abi.ForwardLayer, id, layer, hidden, 4*h, 0, hidden))
		}
		pieces = append(pieces, call(abi.ComputeLogits, id, hidden+3*4*h, h, freeAt))
		for _, o := range []Options{{}, {Interpreter: true}} {
			g := load(t, newRuntime(t, o), forwarder(), GuestOptions{})
			r := Request{Models: []Grant{{Model: m}}}
			for name, calls := range map[string][]hostCall{"whole": {call(abi.Forward, id, dataAt, 4, 0, freeAt)}, "layer by layer": pieces} {
				got := forwardCalls(t.Context(), g, r, request(1, 2, 3, 4), calls...)
				if got.last(t) != 0 || !bytes.Equal(got.memory[freeAt:][:len(want)], want) {
					t.Errorf("%s, %+v, %s: %v, or other logits", shape, o, name, got.returned)
				}
			}
		}
	}
}

// mappings counts the process's memory mappings, and its open files.
func mappings(t *testing.T) (maps, files int) {
	data, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, 0
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n"), len(entries)
}

// TestNothingLeaks cancels a thousand requests at any moment and sees that goroutines, mappings, files and cache are then
// what they were.
func TestNothingLeaks(t *testing.T) {
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	id := modelID(t, m)
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{Warm: 2})
	tokens := request(make([]uint32, 1000)...)
	calls := []hostCall{call(abi.Forward, id, dataAt, 100, 0, freeAt), call(abi.KVFork, id, 50), call(abi.KVSelect, id, 1)}
	for i := range uint32(20) {
		calls = append(calls, call(abi.Forward, id, dataAt, 10, 50+10*i, freeAt))
	}
	once := func(after time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		defer cancel()
		return forwardCalls(ctx, g, Request{Models: []Grant{{Model: m}}}, tokens, calls...).err
	}
	if err := once(time.Hour); err != nil {
		t.Fatal(err)
	}
	g.images.warming.Wait()
	maps, files := mappings(t)
	goroutines := runtime.NumGoroutine()
	n := 1000
	if testing.Short() {
		n = 100
	}
	var done, canceled sync.Map
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for i := range n / 4 {
				switch err := once(time.Duration(random.IntN(5000)) * time.Microsecond); {
				case err == nil:
					done.Store(fmt.Sprint(worker, i), true)
				case errors.Is(err, realm.CodeDeadlineExceeded):
					canceled.Store(fmt.Sprint(worker, i), true)
				default:
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	g.images.warming.Wait()
	if used := m.CacheUsed(); used != 0 {
		t.Errorf("%d bytes of cache", used)
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > goroutines && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	mapsAfter, filesAfter := mappings(t)
	if now := runtime.NumGoroutine(); now > goroutines || mapsAfter > maps+20 || filesAfter > files {
		t.Errorf("goroutines %d, then %d; mappings %d, then %d; files %d, then %d", goroutines, now, maps, mapsAfter, files, filesAfter)
	}
	count := 0
	canceled.Range(func(any, any) bool { count++; return true })
	if count == 0 {
		t.Error("no request was cancelled")
	}
}

// TestCancelPrefill cancels a prompt of 2,000 tokens on the real model.
func TestCancelPrefill(t *testing.T) {
	path := os.Getenv("REALM_MODEL")
	if path == "" || testing.Short() {
		t.Skip("REALM_MODEL is not set, or -short is")
	}
	m, err := realm.Open(path, realm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Prepare(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	id := modelID(t, m)
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{})
	tokens := make([]uint32, 2000)
	for i := range tokens {
		tokens[i] = uint32(i % 1000)
	}
	data := request(tokens...)
	best := time.Hour
	for i := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		var at time.Time
		time.AfterFunc(time.Duration(100+50*i)*time.Millisecond, func() { at = time.Now(); cancel() })
		got := forwardCalls(ctx, g, Request{Models: []Grant{{Model: m}}}, data, call(abi.Forward, id, dataAt, 2000, 0, 0), call(abi.KVTruncate, id, 0))
		if !errors.Is(got.err, realm.CodeCanceled) {
			t.Fatalf("got %v, %v", got.returned, got.err)
		}
		best = min(best, time.Since(at))
	}
	t.Logf("returned after %v", best)
	if best > 50*time.Millisecond && !raceEnabled {
		t.Errorf("a cancelled prompt returned after %v", best)
	}
}
