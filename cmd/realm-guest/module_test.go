package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/abi"
)

// maxSize is what the guest may be at most, built with standard Go.
const maxSize = 6 << 20

// module is what a WebAssembly module imports and exports: functions with their types, in the notation of docs/abi.md.
type module struct {
	imports map[string]map[string]string // by module and name
	exports map[string]string            // "memory" for that
}

// reader reads the encoding of https://webassembly.github.io/spec/core/binary.
type reader struct{ data []byte }

func (r *reader) uint() int {
	v, n := binary.Uvarint(r.data)
	r.data = r.data[n:]
	return int(v)
}

func (r *reader) byte() byte {
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) bytes() []byte {
	n := r.uint()
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// types reads value types, such as "i32, i64".
func (r *reader) types() string {
	var names []string
	for _, b := range r.bytes() {
		names = append(names, map[byte]string{0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64"}[b])
	}
	return strings.Join(names, ", ")
}

// parseModule reads a module that a compiler wrote; it panics on others.
func parseModule(data []byte) module {
	m := module{imports: map[string]map[string]string{}, exports: map[string]string{}}
	var types, funcs []string
	for r := (&reader{data[8:]}); len(r.data) > 0; {
		id := r.byte()
		s := &reader{r.bytes()}
		switch id {
		case 1: // types
			for range s.uint() {
				s.byte() // a function
				params := s.types()
				types = append(types, fmt.Sprintf("(%s) -> (%s)", params, s.types()))
			}
		case 2: // imports
			for range s.uint() {
				from, name := string(s.bytes()), string(s.bytes())
				if m.imports[from] == nil {
					m.imports[from] = map[string]string{}
				}
				if kind := s.byte(); kind != 0 {
					m.imports[from][name] = fmt.Sprintf("kind %d", kind)
					return m // no guest may import a table, memory or global
				}
				funcs = append(funcs, types[s.uint()])
				m.imports[from][name] = funcs[len(funcs)-1]
			}
		case 3: // functions
			for range s.uint() {
				funcs = append(funcs, types[s.uint()])
			}
		case 7: // exports
			for range s.uint() {
				name, kind := string(s.bytes()), s.byte()
				at := s.uint()
				switch kind {
				case 0:
					m.exports[name] = funcs[at]
				case 2:
					m.exports[name] = "memory"
				}
			}
		}
	}
	return m
}

// signature is a function's type by the table.
func signature(f abi.Func) string {
	result := map[abi.Type]string{abi.None: "", abi.U32: "i32", abi.I32: "i32", abi.I64: "i64"}[f.Result]
	return fmt.Sprintf("(%s) -> (%s)", strings.Join(slices.Repeat([]string{"i32"}, len(f.Params)), ", "), result)
}

// checkModule compares a guest with the table of the ABI.
func checkModule(t *testing.T, m module) {
	t.Helper()
	for from, imports := range m.imports {
		for name, typ := range imports {
			f, ok := abi.Function(name)
			switch {
			case from == abi.WASIModule:
			case from != abi.Module || !ok:
				t.Errorf("imports %s from %s", name, from)
			case typ != signature(f):
				t.Errorf("imports %s as %s, want %s", name, typ, signature(f))
			}
		}
	}
	for _, f := range abi.Exports() {
		if got, ok := m.exports[f.Name]; ok && got != signature(f) || !ok && !f.Optional {
			t.Errorf("exports %s as %q, want %s", f.Name, got, signature(f))
		}
	}
	if m.exports[abi.MemoryExport] != "memory" {
		t.Errorf("exports no memory: %v", slices.Sorted(maps.Keys(m.exports)))
	}
}

// TestModule builds the guest with standard Go and compares it with the table of the ABI. REALM_GUEST names one that was
// built otherwise.
func TestModule(t *testing.T) {
	path := os.Getenv("REALM_GUEST")
	if path == "" {
		if testing.Short() {
			t.Skip("builds a module for wasip1; not with -short")
		}
		path = filepath.Join(t.TempDir(), "guest.wasm")
		build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
			"-buildmode=c-shared", "-o", path, ".")
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > maxSize {
		t.Errorf("%d bytes, at most %d", len(data), maxSize)
	}
	m := parseModule(data)
	checkModule(t, m)
	for _, name := range []string{abi.Forward, abi.TopLogits, abi.Emit, abi.GetModelInfo, abi.GetModelMetadata} {
		if m.imports[abi.Module][name] == "" {
			t.Errorf("does not import %s", name)
		}
	}
	t.Logf("%d bytes; imports %v; exports %v", len(data), m.imports, m.exports)
}
