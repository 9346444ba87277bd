package wasmpatch

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm/internal/wasmtest"
)

// TestTightLoops holds the meter to 30% of the time of tight loops, the best of many short runs in alternation.
func TestTightLoops(t *testing.T) {
	if os.Getenv("REALM_LONG") != "1" {
		t.Skip("a measurement; REALM_LONG=1 runs it")
	}
	for _, name := range []string{"sum", "argmax"} {
		module := tightLoop(name)
		var run [2]api.Function
		for i, m := range [][]byte{module, patch(t, module)} {
			run[i] = instantiate(t, wazero.NewRuntimeConfigCompiler(), m, 1<<17).m.ExportedFunction("f")
		}
		best := [2]time.Duration{time.Hour, time.Hour}
		stack := make([]uint64, 1)
		for i := range 10_000 {
			start := time.Now()
			if err := run[i%2].CallWithStack(t.Context(), stack); err != nil {
				t.Fatal(err)
			}
			best[i%2] = min(best[i%2], time.Since(start))
		}
		if best[1]*10 > best[0]*13 {
			t.Errorf("%s: %v, metered %v", name, best[0], best[1])
		}
		t.Logf("%s: %v, metered %v", name, best[0], best[1])
	}
}

// TestBounded sees that the worst modules of a megabyte take memory and time in proportion to their size.
func TestBounded(t *testing.T) {
	const n = 1 << 20
	function := func(code string) []byte {
		var m wasmtest.Module
		m.Type(nil, nil)
		m.FuncRaw(0, "\x00"+code+"\x0b")
		return m.Bytes()
	}
	functions := func() []byte {
		var m wasmtest.Module
		m.Type(nil, nil)
		for range n / 8 {
			m.FuncRaw(0, "\x00\x10\x00\x0b")
		}
		return m.Bytes()
	}
	for name, module := range map[string][]byte{
		"nested blocks":   function(strings.Repeat("\x02\x40", n/3) + strings.Repeat("\x0b", n/3)),
		"nested loops":    function(strings.Repeat("\x03\x40", n/4) + strings.Repeat("\x0c\x00\x0b", n/4)),
		"loops":           function(strings.Repeat("\x03\x40\x0c\x00\x0b", n/5)),
		"empty loops":     function(strings.Repeat("\x03\x40\x0b", n/3)),
		"arms":            function(strings.Repeat("\x41\x00\x04\x40\x05\x0b", n/6)),
		"calls":           function(strings.Repeat("\x10\x00", n/2)),
		"a table":         function("\x41\x00\x0e\x80\x80\x20" + strings.Repeat("\x00", n/2+1)),
		"small functions": functions(),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		out, err := Patch(module, limits)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		times := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(module))
		if times > 150 || took > 5*time.Second {
			t.Errorf("%s: %d bytes to %d: allocated %.0f times the size, took %v", name, len(module), len(out.Module), times, took)
		}
	}
}

// TestManySegments sees that a detached module's data leave nothing in it, however many segments they were: Go's linker
// writes tens of thousands, and code or a section for each would be compiled, or kept in every instance.
func TestManySegments(t *testing.T) {
	const n = 50_000
	module := func(segments int) []byte {
		m := wasmtest.Module{Uncounted: true}
		m.Memory(16, 16)
		for i := range segments {
			m.Data(i*16, "data")
		}
		return m.Bytes()
	}
	o := limits
	o.Detach = true
	empty, err := Patch(module(0), o)
	if err != nil {
		t.Fatal(err)
	}
	full, err := Patch(module(n), o)
	if err != nil || len(full.Data) != n || full.Data[n-1].Offset != (n-1)*16 || string(full.Data[n-1].Bytes) != "data" {
		t.Fatalf("%v", err)
	}
	if !bytes.Equal(full.Module, empty.Module) {
		t.Errorf("%d segments leave %d bytes in the module, without them it has %d", n, len(full.Module), len(empty.Module))
	}
}
