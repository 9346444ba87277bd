package hostcall

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/wasmtest"
)

// machine is a guest without code.
type machine struct {
	memory []byte
	fuel   int64
}

func (m *machine) Memory() []byte  { return m.memory }
func (m *machine) Fuel() int64     { return m.fuel }
func (m *machine) SetFuel(f int64) { m.fuel = f }

// callNamed calls a function by name; stopped is the error that stopped the guest.
func callNamed(t *testing.T, task *Task, name string, params ...uint64) (result uint64, stopped error) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			stopped = v.(error)
		}
	}()
	for i, f := range Imports() {
		if f.Name == name {
			if len(params) != len(f.Params) {
				t.Fatalf("%s has %d parameters", name, len(f.Params))
			}
			return task.Call(i, params), nil
		}
	}
	t.Fatalf("no function %s", name)
	return 0, nil
}

// TestWASI checks the clock, which shows fuel and what was slept, the random bytes and the log.
func TestWASI(t *testing.T) {
	m := &machine{memory: make([]byte, 1<<16)}
	var lines []string
	task := NewTask(t.Context(), m, Request{Clock: 1000, Seed: 7, OnLog: func(line string) { lines = append(lines, line) }})
	le := binary.LittleEndian
	m.fuel = task.Refill(-5) - 100 // 105 units are used
	clock := func(id uint64) uint64 {
		t.Helper()
		if errno, err := callNamed(t, task, "clock_time_get", id, 0, 8); errno != wasiOK || err != nil {
			t.Fatal(errno, err)
		}
		return le.Uint64(m.memory[8:])
	}
	if got := clock(clockMonotonic); got != 1105 {
		t.Errorf("monotonic clock %d, want 1105", got)
	}
	if got := clock(clockRealtime); got != 105 {
		t.Errorf("clock %d, want 105", got)
	}
	// A sleep of 50 ns by the monotonic clock.
	le.PutUint32(m.memory[64+16:], clockMonotonic)
	le.PutUint64(m.memory[64+24:], 50)
	if errno, err := callNamed(t, task, "poll_oneoff", 64, 128, 1, 192); errno != wasiOK || err != nil || le.Uint32(m.memory[192:]) != 1 {
		t.Fatal(errno, err, m.memory[192])
	}
	if got := clock(clockMonotonic); got != 1155 {
		t.Errorf("after a sleep the clock is %d, want 1155", got)
	}

	before := m.fuel
	random := func(task *Task) string {
		if _, err := callNamed(t, task, "random_get", 256, 64); err != nil {
			t.Fatal(err)
		}
		return string(m.memory[256:320])
	}
	first := random(task)
	if m.fuel != before-8 {
		t.Errorf("64 random bytes cost %d units, want 8", before-m.fuel)
	}
	if again := random(NewTask(t.Context(), m, Request{Seed: 7})); again != first {
		t.Error("the same seed gives other bytes")
	}
	if other := random(NewTask(t.Context(), m, Request{Seed: 8})); other == first {
		t.Error("another seed gives the same bytes")
	}

	copy(m.memory[512:], "one\ntwo\x1b")
	le.PutUint32(m.memory[400:], 512)
	le.PutUint32(m.memory[404:], 8)
	if errno, err := callNamed(t, task, "fd_write", 1, 400, 1, 408); errno != wasiOK || err != nil || le.Uint32(m.memory[408:]) != 8 {
		t.Fatal(errno, err)
	}
	task.Close()
	if got := strings.Join(lines, "|"); got != "one|two\uFFFD" {
		t.Errorf("log %q", got)
	}
	if _, err := callNamed(t, task, wasiExit, 3); realm.CodeOf(err) != realm.CodeGuestFailed || !strings.Contains(err.Error(), "status 3") {
		t.Errorf("exit: %v", err)
	}
}

// TestStops checks what stops a guest, and what says so.
func TestStops(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		run    func(task *Task)
		want   realm.Code
	}{
		"fuel":       {Limits{Fuel: 100}, func(task *Task) { task.Refill(task.Refill(-1) - 200) }, realm.CodeFuelExhausted},
		"host calls": {Limits{HostCalls: 3}, func(task *Task) { _, _ = callNamed(t, task, abi.Now) }, realm.CodeHostCallLimit},
		"output":     {Limits{OutputBytes: 10}, func(task *Task) { _, _ = callNamed(t, task, abi.Log, 0, 4) }, realm.CodeOutputLimit},
	} {
		task := NewTask(t.Context(), &machine{memory: make([]byte, 64)}, Request{Limits: tc.limits})
		for range 4 {
			func() {
				defer func() { _ = recover() }()
				tc.run(task)
			}()
		}
		if err := task.Failure("realm_generate", Fault{Text: "trap"}); realm.CodeOf(err) != tc.want {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	task := NewTask(ctx, &machine{memory: make([]byte, 64)}, Request{})
	if code, stopped := callNamed(t, task, abi.Log, 0, 4); int32(code) != abi.ErrorResult(realm.CodeCanceled) || stopped != nil {
		t.Errorf("first call after the end: %d, %v", int32(code), stopped)
	}
	if _, stopped := callNamed(t, task, abi.Log, 0, 4); realm.CodeOf(stopped) != realm.CodeCanceled {
		t.Errorf("second call after the end: %v", stopped)
	}
	plain := NewTask(t.Context(), &machine{memory: make([]byte, 64)}, Request{})
	for want, fault := range map[realm.Code]Fault{
		realm.CodeGuestFailed: {Text: "trap"}, realm.CodeStackOverflow: {StackOverflow: true},
		realm.CodeOutOfMemory: {MemoryDenied: true, StackOverflow: true},
	} {
		if err := plain.Failure("realm_generate", fault); realm.CodeOf(err) != want {
			t.Errorf("%+v: %v", fault, err)
		}
	}
}

func TestPatch(t *testing.T) {
	types := func(letters string) []byte {
		return []byte(strings.NewReplacer("i", string([]byte{wasmtest.I32}), "I", string([]byte{wasmtest.I64})).Replace(letters))
	}
	type imported struct{ module, name, params, result string }
	guest := func(memory, without string, imports ...imported) []byte {
		var m wasmtest.Module
		for _, f := range imports {
			m.Import(f.module, f.name, types(f.params), types(f.result))
		}
		m.Memory(1, -1)
		m.Export(memory, 2, 0)
		for _, f := range abi.Exports() {
			if f.Name != without {
				result := resultType(f)
				code := "nop"
				if result != "" {
					code = "i32.const 0"
				}
				m.Export(f.Name, 0, m.Func(types(strings.Repeat("i", len(f.Params))), types(result), nil, code))
			}
		}
		return m.Bytes()
	}
	ok := guest(abi.MemoryExport, "", imported{abi.Module, abi.Now, "", "I"}, imported{abi.WASIModule, "clock_time_get", "iIi", "i"},
		imported{abi.WASIModule, wasiExit, "i", ""})
	if _, err := Patch(ok, PageBytes); err != nil {
		t.Error(err)
	}
	for want, module := range map[string][]byte{
		"other types":        guest(abi.MemoryExport, "", imported{abi.Module, abi.Now, "", "i"}),
		"does not have":      guest(abi.MemoryExport, "", imported{abi.Module, "realm_fly", "", "i"}),
		"do not get":         guest(abi.MemoryExport, "", imported{abi.WASIModule, "sock_open", "", "i"}),
		"guests import from": guest(abi.MemoryExport, "", imported{"env", "puts", "i", "i"}),
		"does not export":    guest(abi.MemoryExport, abi.ExportGenerate),
		"its memory":         guest("heap", ""),
	} {
		if _, err := Patch(module, PageBytes); realm.CodeOf(err) != realm.CodeUnsupported || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Patch(ok, PageBytes-1); realm.CodeOf(err) != realm.CodeInvalidArgument {
		t.Error(err)
	}
	if err := CheckVersion(abi.Version + 1); realm.CodeOf(err) != realm.CodeUnsupported {
		t.Error(err)
	}
}
