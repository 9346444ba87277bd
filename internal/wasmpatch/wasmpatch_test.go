package wasmpatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/wasmtest"
)

var i32 = []byte{wasmtest.I32}

var limits = Options{MemoryPages: 16, TableElements: 100}

var engines = map[string]func() wazero.RuntimeConfig{
	"compiler":    wazero.NewRuntimeConfigCompiler,
	"interpreter": wazero.NewRuntimeConfigInterpreter,
}

// run is a module under wazero, with the fuel that the meter has been granted.
type run struct {
	m       api.Module
	granted int64
	asked   int // how often
}

// instantiate runs a module, patched or not, with an import "env"."add" of two i32. Each slice of fuel is grant units.
func instantiate(t testing.TB, config wazero.RuntimeConfig, module []byte, grant int64) *run {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { _ = r.Close(ctx) })
	out := &run{}
	refill := func(_ context.Context, _ api.Module, stack []uint64) {
		counter := int64(stack[0])
		used := out.granted - counter
		out.granted = used + grant
		out.asked++
		stack[0] = uint64(grant)
	}
	i64s := []api.ValueType{api.ValueTypeI64}
	_, err := r.NewHostModuleBuilder(MeterModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(refill), i64s, i64s).Export(RefillName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithFunc(func(a, b int32) int32 { return a + b }).Export("add").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out.m, err = r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// used is the fuel that was burnt so far.
func (r *run) used() int64 { return r.granted - int64(r.m.ExportedGlobal(FuelGlobal).Get()) }

func patch(t testing.TB, module []byte) []byte {
	t.Helper()
	out, err := Patch(module, limits)
	if err != nil {
		t.Fatal(err)
	}
	return out.Module
}

// program makes a module that exports "f", a function of one i32 to one i32, with a memory and two helpers: function 1
// doubles its argument, function 0 is the import that adds.
func program(code string, locals ...byte) []byte {
	var m wasmtest.Module
	add := m.Import("env", "add", []byte{wasmtest.I32, wasmtest.I32}, i32)
	double := m.Func(i32, i32, nil, fmt.Sprintf("local.get 0 local.get 0 call %d", add))
	f := m.Func(i32, i32, locals, code)
	m.Memory(1, -1)
	m.Table(10, -1)
	m.Elements(0, add, double, f)
	m.Export("f", 0, f)
	m.Export("memory", 2, 0)
	return m.Bytes()
}

// costs holds the meter to its definition: what each program computes for 5, and the units that takes, counted by hand.
var costs = []struct {
	name   string
	code   string
	locals []byte
	want   uint32
	fuel   int64
}{
	// Entering costs 4, and each instruction 1.
	{"straight", "local.get 0 i32.const 2 i32.mul", nil, 10, 4 + 3},
	{"structure is free", "block nop loop nop end end local.get 0", nil, 5, 4 + 1},
	// Both arms of the if are short, and so charged with what stands before them: 2 + 1 + 1 + 2.
	{"short arms", "local.get 0 if:i32 i32.const 1 else i32.const 7 end i32.const 1 i32.add", nil, 2, 4 + 6},
	// A call: the instruction, and what the callee costs: 4 + 3, with nothing for the host function.
	{"call", "local.get 0 call 1", nil, 10, 4 + 2 + 4 + 3},
	{"call_indirect", "local.get 0 i32.const 1 call_indirect 1", nil, 10, 4 + 3 + 4 + 3},
	// 5 iterations of 1 + 5 instructions, then 1.
	{"loop", "loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end local.get 0", nil, 0, 4 + 1 + 5*(1+5)},
	// As above, left by return in the sixth iteration: 3 instructions, the 2 of the arm, which is short, and 5. What stands
	// behind the loop cannot be reached.
	{
		"return from a loop", "loop local.get 0 i32.eqz if i32.const 9 return end local.get 0 i32.const 1 i32.sub local.set 0 br 0 end unreachable",
		nil, 9, 4 + 6*(1+3+2+5),
	},
	// A loop that nothing branches to is a block.
	{"no loop", "loop local.get 0 drop end local.get 0", nil, 5, 4 + 3},
	// 40 instructions that a branch skips are not charged where it does: 4 + 2 + 1.
	{"long arm skipped", "local.get 0 i32.eqz if " + strings.Repeat("i32.const 1 drop ", 20) + "end local.get 0", nil, 5, 4 + 4},
	{"long arm taken", "local.get 0 if " + strings.Repeat("i32.const 1 drop ", 20) + "end local.get 0", nil, 5, 4 + 3 + 40},
	// Code that cannot run costs nothing.
	{"dead code", "local.get 0 return " + strings.Repeat("i32.const 1 drop ", 50) + "loop br 0 end i32.const 3 call 1", nil, 5, 4 + 2},
	// br_table: label 1 is the default. 2 before it; behind both blocks 1, and between them 2.
	{"br_table", "block block local.get 0 br_table 0,1 end i32.const 3 return end local.get 0", nil, 5, 4 + 2 + 2 + 1},
	// Bulk operations: 1600 bytes are 200 units more, 800 bytes 100.
	{"memory.fill", "i32.const 0 i32.const 7 i32.const 1600 memory.fill i32.const 1599 i32.load8_u 0", nil, 7, 4 + 6 + 200},
	{"memory.copy", "i32.const 0 i32.const 8 i32.const 800 memory.copy i32.const 0", nil, 0, 4 + 5 + 100},
	// 2 pages are 16384 units; growth that fails is free.
	{"memory.grow", "i32.const 2 memory.grow", nil, 1, 4 + 2 + 2*65536/8},
	{"memory.grow too far", "i32.const 100000 memory.grow", nil, 0xffffffff, 4 + 2},
	{"memory.grow below 0", "i32.const -1 memory.grow", nil, 0xffffffff, 4 + 2},
	{"table.grow", "ref.null i32.const 30 table.grow 0", nil, 10, 4 + 3 + 30},
	{"table.fill", "i32.const 0 ref.null i32.const 10 table.fill 0 i32.const 4", nil, 4, 4 + 5 + 10},
	{
		"vectors", "local.get 0 i32x4.splat local.get 0 i32x4.splat i32x4.add i32x4.extract_lane 3", nil, 10, 4 + 6,
	},
	// A loop in a loop: 5 * (1 + 3 + 4) for the outer, and 15 * (1 + 5) for the inner one.
	{
		"nested loops",
		"loop local.get 0 local.tee 1 drop loop local.get 1 i32.const 1 i32.sub local.tee 1 br_if 0 end " +
			"local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end local.get 2",
		[]byte{wasmtest.I32, wasmtest.I32},
		0, 4 + 1 + 5*(1+3+5) + 15*(1+5),
	},
}

func TestFuel(t *testing.T) {
	for engine, config := range engines {
		for _, c := range costs {
			module := program(c.code, c.locals...)
			plain := instantiate(t, config(), module, 0)
			want, err := plain.m.ExportedFunction("f").Call(t.Context(), 5)
			if c.name == "memory.grow too far" || c.name == "memory.grow below 0" { // the module itself has no maximum
				want, err = []uint64{uint64(c.want)}, nil
			}
			if err != nil || uint32(want[0]) != c.want {
				t.Errorf("%s: unmetered: got %v, error %v, want %d", c.name, want, err, c.want)
				continue
			}
			for _, grant := range []int64{1, 7, 1 << 40} {
				r := instantiate(t, config(), patch(t, module), grant)
				got, err := r.m.ExportedFunction("f").Call(t.Context(), 5)
				if err != nil || uint32(got[0]) != c.want || r.used() != c.fuel {
					t.Errorf("%s: %s: slices of %d: got %v, error %v, %d units, want %d, %d units",
						engine, c.name, grant, got, err, r.used(), c.want, c.fuel)
				}
			}
		}
	}
}

// TestStop sees that what can go on for ever asks for fuel, and ends where the host answers with a panic.
func TestStop(t *testing.T) {
	stop := errors.New("out of fuel")
	for name, code := range map[string]string{
		"loop":         "loop br 0 end i32.const 0",
		"recursion":    "local.get 0 call 2",
		"indirect":     "local.get 0 i32.const 2 call_indirect 1",
		"fill":         "loop i32.const 0 i32.const 0 i32.const 65536 memory.fill br 0 end i32.const 0",
		"table":        "loop block block block local.get 0 br_table 0,1,2 end end end br 0 end i32.const 0",
		"through if":   "loop local.get 0 if br 1 else br 1 end end i32.const 0",
		"nested loops": "loop loop loop br 2 end end end i32.const 0",
	} {
		for engine, config := range engines {
			r := wazero.NewRuntimeWithConfig(t.Context(), config())
			asked := 0
			i64s := []api.ValueType{api.ValueTypeI64}
			_, _ = r.NewHostModuleBuilder(MeterModule).NewFunctionBuilder().
				WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
					if asked++; asked > 3 {
						panic(stop)
					}
					stack[0] = 1000
				}), i64s, i64s).Export(RefillName).Instantiate(t.Context())
			_, _ = r.NewHostModuleBuilder("env").NewFunctionBuilder().
				WithFunc(func(a, b int32) int32 { return a + b }).Export("add").Instantiate(t.Context())
			m, err := r.Instantiate(t.Context(), patch(t, program(code)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.ExportedFunction("f").Call(t.Context(), 1); !errors.Is(err, stop) {
				t.Errorf("%s: %s: got error %v", engine, name, err)
			}
			_ = r.Close(t.Context())
		}
	}
}

// TestIndices sees that everything that names a function still means the same one: exports, the start function, each
// kind of element segment, ref.func in code and in globals, and blocks of several values.
func TestIndices(t *testing.T) {
	var m wasmtest.Module
	add := m.Import("env", "add", []byte{wasmtest.I32, wasmtest.I32}, i32)
	pair := m.Type(nil, []byte{wasmtest.I32, wasmtest.I32})
	two := m.Func(nil, []byte{wasmtest.I32, wasmtest.I32}, nil, "i32.const 30 i32.const 12")
	_ = m.Func(nil, []byte{wasmtest.I32, wasmtest.I32}, nil, "i32.const 1 if i32.const 7 i32.const 5 return end i32.const 0 i32.const 0 call 3")
	one := m.Func(i32, i32, nil, "local.get 0 i32.const 1 i32.add")
	ten := m.Func(i32, i32, nil, "local.get 0 i32.const 10 i32.add")
	started := m.Func(nil, nil, nil, "i32.const 1 global.set 0")
	sum := m.Func(nil, i32, nil, fmt.Sprintf("block:%d call 2 end call %d", pair, add))
	via := m.Func([]byte{wasmtest.I32, wasmtest.I32}, i32, nil,
		fmt.Sprintf("i32.const 9 ref.func %d table.set 0 local.get 0 local.get 1 call_indirect %d", ten, m.Type(i32, i32)))
	m.Table(10, -1)
	m.Memory(0, -1)
	m.Global(wasmtest.I32, "i32.const 0")
	m.Global(wasmtest.FuncRef, fmt.Sprintf("ref.func %d", ten))
	m.Start(started)
	m.Export("sum", 0, sum)
	m.Export("via", 0, via)
	m.Export("one", 0, one)
	m.Export("started", 3, 0)
	m.Export("refs", 3, 1)
	i := func(f int) string { return string([]byte{byte(f)}) }
	at := func(n int) string { return wasmtest.Code(fmt.Sprintf("i32.const %d end", n)) }
	ref := func(f int) string { return wasmtest.Code(fmt.Sprintf("ref.func %d end", f)) }
	m.ElementsRaw("\x00" + at(0) + "\x02" + i(one) + i(ten))
	m.ElementsRaw("\x01\x00\x01" + i(ten))
	m.ElementsRaw("\x02\x00" + at(2) + "\x00\x01" + i(one))
	m.ElementsRaw("\x03\x00\x01" + i(ten))
	m.ElementsRaw("\x04" + at(3) + "\x01" + ref(ten))
	m.ElementsRaw("\x05\x70\x01" + ref(ten))
	m.ElementsRaw("\x06\x00" + at(4) + "\x70\x02" + ref(one) + ref(ten))
	m.ElementsRaw("\x07\x70\x01" + ref(one))
	m.Custom("name", "\x00\x02\x01M\x01\x06\x01"+i(two)+"\x03two"+"\x02\x01\x00")
	m.Custom(".debug_line", "about the old code")
	out := patch(t, m.Bytes())
	if !bytes.Contains(out, []byte("\x02\x03two")) || bytes.Contains(out, []byte(".debug_line")) {
		t.Error("the name section is not patched, or another custom section is left")
	}
	for engine, config := range engines {
		r := instantiate(t, config(), out, 1000)
		call := func(name string, args ...uint64) uint64 {
			got, err := r.m.ExportedFunction(name).Call(t.Context(), args...)
			if err != nil {
				t.Fatalf("%s: %s: %v", engine, name, err)
			}
			return got[0]
		}
		if r.m.ExportedGlobal("started").Get() != 1 {
			t.Error("the start function did not run")
		}
		if got := call("sum"); got != 12 {
			t.Errorf("%s: sum = %d, want 12", engine, got)
		}
		if got := call("one", 4); got != 5 {
			t.Errorf("%s: one(4) = %d", engine, got)
		}
		for entry, want := range map[uint64]uint64{0: 5, 1: 14, 2: 5, 3: 14, 4: 5, 5: 14, 9: 14} {
			if got := call("via", 4, entry); got != want {
				t.Errorf("%s: table entry %d of 4 gives %d, want %d", engine, entry, got, want)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		least, most int
		want        string // of memory, pages or the error's code
	}{{1, -1, "1 16"}, {1, 4, "1 4"}, {1, 4000, "1 16"}, {16, -1, "16 16"}, {17, -1, "LIMIT_EXCEEDED"}, {3, 2, "INVALID_FORMAT"}} {
		var m wasmtest.Module
		m.Memory(c.least, c.most)
		m.Export("memory", 2, 0)
		out, err := Patch(m.Bytes(), limits)
		got := errs.CodeOf(err).Name()
		if err == nil {
			r := instantiate(t, wazero.NewRuntimeConfigInterpreter(), out.Module, 0)
			d := r.m.ExportedMemory("memory").Definition()
			most, _ := d.Max()
			got = fmt.Sprintf("%d %d", d.Min(), most)
		}
		if got != c.want {
			t.Errorf("memory of %d to %d pages: got %s, want %s", c.least, c.most, got, c.want)
		}
	}
	var m wasmtest.Module
	m.Table(101, -1)
	if _, err := Patch(m.Bytes(), limits); !errors.Is(err, errs.LimitExceeded) {
		t.Errorf("a table of 101 elements: got %v", err)
	}
	if _, err := Patch(nil, Options{MemoryPages: 65537}); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("a limit of 65537 pages: got %v", err)
	}
}

// TestDetach sees that a detached module leaves its memory alone until StartExport, and that memory and exported globals
// are then all of its state.
func TestDetach(t *testing.T) {
	var m wasmtest.Module
	start := m.Func(nil, nil, nil, "i32.const 4 i32.const 4 i32.load 0 i32.const 1 i32.add i32.store 0")
	next := m.Func(nil, i32, nil, "global.get 0 i32.const 1 i32.add global.set 0 i32.const 4 i32.load 0 global.get 0 i32.add")
	grow := m.Func(i32, i32, nil, "local.get 0 memory.grow")
	m.Memory(1, -1)
	m.Global(wasmtest.I32, "i32.const 100")
	m.Data(4, "\x0a\x00\x00\x00")
	m.Start(start)
	m.Export("memory", 2, 0)
	m.Export("next", 0, next)
	m.Export("grow", 0, grow)
	o := limits
	o.Detach = true
	p, err := Patch(m.Bytes(), o)
	if err != nil || p.Hidden != "" || len(p.Globals) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for engine, config := range engines {
		r := instantiate(t, config(), p.Module, 1000)
		call := func(name string, args ...uint64) uint64 {
			t.Helper()
			got, err := r.m.ExportedFunction(name).Call(t.Context(), args...)
			if err != nil {
				t.Fatalf("%s: %s: %v", engine, name, err)
			}
			return append(got, 0)[0]
		}
		if x, _ := r.m.Memory().ReadUint32Le(4); x != 0 {
			t.Errorf("%s: instantiation wrote %d", engine, x)
		}
		for _, s := range p.Data {
			r.m.Memory().Write(s.Offset, s.Bytes)
		}
		call(StartExport)
		if got := call("next"); got != 11+101 {
			t.Errorf("%s: after the start: %d", engine, got)
		}
		if got := r.m.ExportedGlobal(p.Globals[0]).Get(); got != 101 {
			t.Errorf("%s: global %d", engine, got)
		}
		r.m.ExportedGlobal(p.Globals[0]).(api.MutableGlobal).Set(500)
		if got := call("next"); got != 11+501 {
			t.Errorf("%s: after setting the global: %d", engine, got)
		}
		denied := func() uint64 { return r.m.ExportedGlobal(DeniedGlobal).Get() }
		if got := call("grow", 15); got != 1 || denied() != 0 {
			t.Errorf("%s: growth: %d, denied %d", engine, got, denied())
		}
		if got := call("grow", 1); uint32(got) != 0xffffffff || denied() != 1 {
			t.Errorf("%s: growth beyond the limit: %d, denied %d", engine, got, denied())
		}
	}
	// A module that counts its segments keeps them by number, emptied.
	if len(p.Data) != 1 || bytes.Contains(p.Module, []byte("\x04\x0a\x00\x00\x00")) {
		t.Errorf("%d segments, or their data in the module", len(p.Data))
	}
	for code, want := range map[string]string{
		"i32.const 0 ref.null table.set 0":              "a table",
		"i32.const 0 ref.null i32.const 1 table.fill 0": "a table",
		"data.drop 0": "dropped data",
		"i32.const 0 i32.const 0 i32.const 4 memory.init 0":         "",
		"i32.const 0 table.get 0 drop i32.const 4 memory.grow drop": "",
	} {
		var m wasmtest.Module
		m.Func(nil, nil, nil, code)
		m.Table(1, 1)
		m.Memory(1, 1)
		m.Data(0, "data")
		if p, err := Patch(m.Bytes(), o); err != nil || p.Hidden != want {
			t.Errorf("%s: hidden state %v, error %v, want %q", code, p, err, want)
		}
	}
}
