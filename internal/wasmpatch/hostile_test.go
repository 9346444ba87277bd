package wasmpatch

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/wasmtest"
)

func TestRefused(t *testing.T) {
	one := func(change func(m *wasmtest.Module)) []byte {
		var m wasmtest.Module
		m.Func(nil, nil, nil, "nop")
		change(&m)
		return m.Bytes()
	}
	body := func(code string) []byte {
		var m wasmtest.Module
		m.Type(nil, nil)
		m.FuncRaw(0, "\x00"+code)
		return m.Bytes()
	}
	for _, c := range []struct {
		name   string
		module []byte
		code   errs.Code
		says   string
	}{
		{"empty", nil, errs.InvalidFormat, "not a WebAssembly module"},
		{"version 2", []byte("\x00asm\x02\x00\x00\x00"), errs.InvalidFormat, "version 1"},
		{"the meter's global", body("\x23\x00\x1a\x0b"), errs.InvalidFormat, "global 0: there are 0"},
		{"the meter's global set", body("\x42\x00\x24\x00\x0b"), errs.InvalidFormat, "global 0: there are 0"},
		{"the meter's local", body("\x03\x40\x42\x00\x21\x00\x0c\x00\x0b\x0b"), errs.InvalidFormat, "local 0: there are 0"},
		{"a function beyond", body("\x10\x01\x0b"), errs.InvalidFormat, "function 1: there are 1"},
		{"ref.func beyond", body("\xd2\x05\x1a\x0b"), errs.InvalidFormat, "function 5: there are 1"},
		{"label beyond", body("\x0c\x01\x0b"), errs.InvalidFormat, "label 1: 1 blocks are open"},
		{"label of a table beyond", body("\x41\x00\x0e\x01\x00\x03\x0b"), errs.InvalidFormat, "label 3"},
		{"a huge table of labels", body("\x41\x00\x0e\xff\xff\xff\xff\x0f\x00\x0b"), errs.InvalidFormat, "4294967295 elements"},
		{"else without if", body("\x05\x0b"), errs.InvalidFormat, "else without if"},
		{"an end too many", body("\x0b\x0b"), errs.InvalidFormat, "beyond a function's end"},
		{"an end too few", body("\x02\x40\x0b"), errs.InvalidFormat, "ends within a block"},
		{"truncated constant", body("\x41\x80"), errs.InvalidFormat, "ends early"},
		{"i32 of 33 bits", body("\x41\xff\xff\xff\xff\x1f\x1a\x0b"), errs.InvalidFormat, "not an integer of 32 bits"},
		{"tail call", body("\x12\x00\x0b"), errs.Unsupported, "return_call (tail calls)"},
		{"exceptions", body("\x06\x40\x0b\x0b"), errs.Unsupported, "try (exceptions)"},
		{"threads", body("\xfe\x03\x00\x0b"), errs.Unsupported, "threads"},
		{"garbage collection", body("\xfb\x01\x0b"), errs.Unsupported, "garbage collection"},
		{"relaxed vectors", body("\xfd\x80\x02\x0b"), errs.Unsupported, "beyond WebAssembly 2.0"},
		{"unknown", body("\x27\x0b"), errs.Unsupported, "offset 0x17: unknown instruction 0x27"},
		{"unknown 0xfc", body("\xfc\x20\x0b"), errs.Unsupported, "unknown instruction 0xfc 0x20"},
		{"a second memory", body("\x3f\x01\x1a\x0b"), errs.Unsupported, "more than one memory"},
		{"4 billion locals", func() []byte {
			var m wasmtest.Module
			m.Type(nil, nil)
			m.FuncRaw(0, "\x02\xff\xff\xff\xff\x0f\x7f\xff\xff\xff\xff\x0f\x7e\x0b")
			return m.Bytes()
		}(), errs.LimitExceeded, "8589934590 locals"},
		{"reserved import", one(func(m *wasmtest.Module) {
			m.ImportRaw(MeterModule, RefillName, "\x00\x00")
		}), errs.Unsupported, "reserved"},
		{"reserved export", one(func(m *wasmtest.Module) { m.Export(FuelGlobal, 0, 0) }), errs.Unsupported, "reserved"},
		{"export of the meter's global", one(func(m *wasmtest.Module) { m.Export("x", 3, 0) }), errs.InvalidFormat, "global 0"},
		{"imported memory", one(func(m *wasmtest.Module) { m.ImportRaw("env", "memory", "\x02\x00\x01") }), errs.Unsupported, `"env"."memory"`},
		{"imported table", one(func(m *wasmtest.Module) { m.ImportRaw("env", "t", "\x01\x70\x00\x01") }), errs.Unsupported, `"env"."t"`},
		{"imported tag", one(func(m *wasmtest.Module) { m.ImportRaw("env", "t", "\x04\x00\x00") }), errs.Unsupported, "kind 4"},
		{"two memories", one(func(m *wasmtest.Module) { m.Memory(1, 1); m.Memory(1, 1) }), errs.Unsupported, "2 memories"},
		{"start beyond", one(func(m *wasmtest.Module) { m.Start(1) }), errs.InvalidFormat, "function 1"},
		{"element beyond", one(func(m *wasmtest.Module) { m.Table(1, 1); m.Elements(0, 7) }), errs.InvalidFormat, "function 7"},
		{"element flags", one(func(m *wasmtest.Module) { m.ElementsRaw("\x08") }), errs.InvalidFormat, "flags 0x8"},
		{"sections out of order", []byte("\x00asm\x01\x00\x00\x00\x03\x01\x00\x01\x01\x00"), errs.InvalidFormat, "out of order"},
		{"a section twice", []byte("\x00asm\x01\x00\x00\x00\x01\x01\x00\x01\x01\x00"), errs.InvalidFormat, "repeated"},
		{"more functions than code", []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x01\x00"), errs.InvalidFormat, "have code"},
		{"a huge section", []byte("\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\x0f"), errs.InvalidFormat, "past the end"},
		{"bytes behind the types", []byte("\x00asm\x01\x00\x00\x00\x01\x02\x00\x00"), errs.InvalidFormat, "more bytes than elements"},
		{"a structure type", []byte("\x00asm\x01\x00\x00\x00\x01\x03\x01\x5f\x00"), errs.Unsupported, "type form 0x5f"},
		{"shared memory", []byte("\x00asm\x01\x00\x00\x00\x05\x04\x01\x03\x01\x01"), errs.Unsupported, "shared"},
		{"tags", []byte("\x00asm\x01\x00\x00\x00\x0d\x01\x00"), errs.Unsupported, "tags"},
	} {
		_, err := Patch(c.module, limits)
		if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.says) || strings.Count(err.Error(), "wasmpatch: ") != 1 {
			t.Errorf("%s: got %v, want %s with %q", c.name, err, c.code.Name(), c.says)
		}
	}
}

// check patches a module, valid or not, and sees that what an engine took before it takes afterwards.
func check(t *testing.T, r wazero.Runtime, module []byte) {
	t.Helper()
	o := limits
	o.Detach = len(module)%2 == 0
	out, err := Patch(module, o)
	if err != nil {
		if errs.CodeOf(err) == errs.Internal {
			t.Fatalf("error %v has no code", err)
		}
		return
	}
	if len(out.Module) > 24*len(module)+256 {
		t.Fatalf("%d bytes became %d", len(module), len(out.Module))
	}
	if again, _ := Patch(module, o); !bytes.Equal(out.Module, again.Module) {
		t.Fatal("the same module gave other bytes")
	}
	ctx := context.Background()
	compiled, err := r.CompileModule(ctx, module)
	if err != nil {
		return
	}
	_ = compiled.Close(ctx)
	if compiled, err = r.CompileModule(ctx, out.Module); err != nil {
		t.Fatalf("the patched module is refused: %v", err)
	}
	_ = compiled.Close(ctx)
}

func TestTruncatedAndMutated(t *testing.T) {
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(context.Background()) }()
	for _, c := range costs {
		module := program(c.code, c.locals...)
		check(t, r, module)
		for i := range module {
			check(t, r, module[:i])
			for _, b := range []byte{0, 1, 0x0b, 0x40, 0x7f, 0x80, 0xff, module[i] ^ 1} {
				changed := bytes.Clone(module)
				changed[i] = b
				check(t, r, changed)
			}
		}
	}
}

func FuzzPatch(f *testing.F) {
	for _, c := range costs {
		f.Add(program(c.code, c.locals...))
	}
	r := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter())
	f.Fuzz(func(t *testing.T, module []byte) { check(t, r, module) })
}
