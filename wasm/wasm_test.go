package wasm

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/hostcall"
	"github.com/realm-ai/realm/internal/synth"
	"github.com/realm-ai/realm/internal/wasmtest"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("REALM_CACHE", "off")
	os.Exit(m.Run())
}

// newModel opens a synthetic model.
func newModel(t testing.TB, shape string, o realm.Options) *realm.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), shape+".gguf")
	if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	m, err := realm.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func modelID(t testing.TB, m *realm.Model) uint32 {
	t.Helper()
	id, err := m.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newRuntime(t testing.TB, o Options) *Runtime {
	t.Helper()
	r, err := NewRuntime(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func load(t testing.TB, r *Runtime, module []byte, o GuestOptions) *Guest {
	t.Helper()
	g, err := r.Load(t.Context(), module, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// memoryPages is the size of a small guest's memory: 1 MiB, in which its request stands at requestAt.
const (
	memoryPages = 16
	requestAt   = 1024
)

// tiny makes a guest from the code of realm_generate, in which a call of a host function is written with its name, and
// local 2 to 5 are four i32. It imports the whole ABI and two functions of WASI.
func tiny(generate string) []byte { return tinyWith(generate, nil) }

func tinyWith(generate string, more func(m *wasmtest.Module)) []byte {
	var m wasmtest.Module
	names := []string{}
	use := func(f hostcall.Func) {
		names = append(names, f.Name, fmt.Sprintf("call %d", m.Import(f.Module, f.Name, types(f.Params), types(f.Result))))
	}
	all := hostcall.Imports()
	for _, f := range all[:len(abi.Functions())] {
		use(f)
	}
	for _, name := range []string{"random_get", "clock_time_get", "fd_write", "proc_exit"} {
		use(all[slices.IndexFunc(all, func(f hostcall.Func) bool { return f.Name == name })])
	}
	code := func(text string) string {
		words := strings.Fields(text)
		for i, w := range words {
			for j := 0; j < len(names); j += 2 {
				if names[j] == w {
					words[i] = names[j+1]
				}
			}
		}
		return strings.Join(words, " ")
	}
	version := m.Func(nil, i32(1), nil, fmt.Sprintf("i32.const %d", abi.Version))
	alloc := m.Func(i32(1), i32(1), nil, fmt.Sprintf("i32.const %d", requestAt))
	free := m.Func(i32(1), nil, nil, "nop")
	run := m.Func(i32(2), i32(1), i32(4), code(generate))
	m.Memory(memoryPages, -1)
	m.Export(abi.MemoryExport, 2, 0)
	m.Export(abi.ExportVersion, 0, version)
	m.Export(abi.ExportAlloc, 0, alloc)
	m.Export(abi.ExportFree, 0, free)
	m.Export(abi.ExportGenerate, 0, run)
	if more != nil {
		more(&m)
	}
	return m.Bytes()
}

func i32(n int) []byte { return []byte(strings.Repeat(string([]byte{wasmtest.I32}), n)) }

// request is the body of a request for a tiny guest: words.
func request(words ...uint32) []byte {
	var b []byte
	for _, w := range words {
		b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return b
}

func run(t testing.TB, g *Guest, r Request) Result {
	t.Helper()
	result, err := g.Run(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestRun(t *testing.T) {
	// It adds the request's first two words to what its memory holds at 8, and emits the sum.
	adds := tiny("i32.const 8 i32.const 8 i32.load 0 local.get 0 i32.load 0 local.get 0 i32.load 4 i32.add i32.add i32.store 0 " +
		"i32.const 3 i32.const 8 i32.const 4 realm_emit")
	for _, o := range []Options{{}, {Interpreter: true}} {
		g := load(t, newRuntime(t, o), adds, GuestOptions{Warm: 2})
		var fuel uint64
		for range 5 { // each begins anew
			got := run(t, g, Request{Body: request(30, 12)})
			if string(got.Body) != string(request(42)) || got.MemoryBytes != memoryPages*pageBytes || got.HostCalls[abi.Emit] != 1 {
				t.Errorf("%+v: %+v", o, got)
			}
			if fuel != 0 && got.Fuel != fuel {
				t.Errorf("%+v: %d units of fuel, then %d", o, fuel, got.Fuel)
			}
			fuel = got.Fuel
		}
		// realm_alloc: 4 + 1. realm_generate: 4 + 14 instructions of its own.
		if fuel != 4+1+4+14 {
			t.Errorf("%+v: %d units of fuel", o, fuel)
		}
	}
}

// floatBytes are floats as they stand in a guest's memory.
func floatBytes(x []float32) []byte {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
