package hostcall

import (
	"maps"
	"slices"
	"strings"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/wasmpatch"
)

// Func is a function that guests may import. Params and Result are WebAssembly's types: i for an i32, I for an i64.
type Func struct {
	Module, Name   string
	Params, Result string

	run func(t *Task, p []uint64) uint64
}

// imports are the host functions, in the order of the ABI's table, and those of WASI by name.
var imports = makeImports()

func makeImports() []Func {
	var list []Func
	for i, f := range abi.Functions() {
		out := Func{Module: abi.Module, Name: f.Name, Params: strings.Repeat("i", len(f.Params)), Result: resultType(f), run: hostFunction(i, f)}
		list = append(list, out)
	}
	for _, name := range slices.Sorted(maps.Keys(wasiFunctions)) {
		f, result := wasiFunctions[name], "i"
		if name == wasiExit {
			result = ""
		}
		list = append(list, Func{Module: abi.WASIModule, Name: name, Params: f.params, Result: result, run: wasiFunction(f)})
	}
	return list
}

func resultType(f abi.Func) string {
	switch f.Result {
	case abi.None:
		return ""
	case abi.I64:
		return "I"
	}
	return "i"
}

// Imports are the functions that guests may import, besides the meter's. Their places in it are what Task.Call takes.
func Imports() []Func { return imports }

// Call calls a function with as many parameters as it has, each an i32 or an i64 as WebAssembly's stack holds it. Where it
// stops the guest it panics with the error that Failure returns. An i32 result is in the low half.
func (t *Task) Call(function int, params []uint64) uint64 { return imports[function].run(t, params) }

// Patch gives a module the limits and the meter that guests have, with as many whole pages of memory as memoryBytes allow,
// and compares its imports and exports with what there is. It returns realm.CodeUnsupported for a module that is no guest
// for this host. Whether it is valid WebAssembly an engine says.
func Patch(module []byte, memoryBytes int64) (*wasmpatch.Patched, error) {
	if memoryBytes < PageBytes || memoryBytes > maxMemory {
		return nil, errorf(realm.CodeInvalidArgument, "a memory limit of %d bytes: want %d to %d", memoryBytes, PageBytes, maxMemory)
	}
	if len(module) > MaxModule {
		return nil, errorf(realm.CodeLimitExceeded, "a module of %d bytes: at most %d", len(module), MaxModule)
	}
	patched, err := wasmpatch.Patch(module, wasmpatch.Options{
		MemoryPages: uint32(memoryBytes / PageBytes), TableElements: maxTable, Detach: true,
	})
	if err != nil {
		return nil, err
	}
	if patched.Hidden != "" {
		return nil, errorf(realm.CodeUnsupported, "the module changes %s, which a request could leave to the next", patched.Hidden)
	}
	return patched, check(patched)
}

// Fill writes a module's data to the memory of a new instance.
func Fill(memory []byte, data []wasmpatch.Segment) error {
	for _, s := range data {
		if uint64(s.Offset)+uint64(len(s.Bytes)) > uint64(len(memory)) {
			return errorf(realm.CodeGuestFailed, "%d bytes of data at %#x: out of bounds of a memory of %d", len(s.Bytes), s.Offset, len(memory))
		}
		copy(memory[s.Offset:], s.Bytes)
	}
	return nil
}

// check compares a module's imports and exports with what there is.
func check(p *wasmpatch.Patched) error {
	for _, f := range p.Imports {
		i := slices.IndexFunc(imports, func(known Func) bool { return known.Module == f.Module && known.Name == f.Name })
		switch {
		case i >= 0 && imports[i].Params == letters(f.Params) && imports[i].Result == letters(f.Results):
		case i >= 0:
			return errorf(realm.CodeUnsupported, "the module imports %q.%q with other types than it has", f.Module, f.Name)
		case f.Module == abi.Module:
			return errorf(realm.CodeUnsupported, "the module imports %q.%q, which ABI version %d does not have", f.Module, f.Name, abi.Version)
		case f.Module == abi.WASIModule:
			return errorf(realm.CodeUnsupported, "the module imports %q.%q, which guests do not get", f.Module, f.Name)
		default:
			return errorf(realm.CodeUnsupported, "the module imports %q.%q: guests import from %q and %q only",
				f.Module, f.Name, abi.Module, abi.WASIModule)
		}
	}
	if !slices.Contains(p.Memories, abi.MemoryExport) {
		return errorf(realm.CodeUnsupported, "the module does not export its memory as %q", abi.MemoryExport)
	}
	for _, want := range abi.Exports() {
		i := slices.IndexFunc(p.Exports, func(f wasmpatch.Func) bool { return f.Name == want.Name })
		if i < 0 {
			if want.Optional {
				continue
			}
			return errorf(realm.CodeUnsupported, "the module does not export %q", want.Name)
		}
		f := p.Exports[i]
		if letters(f.Params) != strings.Repeat("i", len(want.Params)) || letters(f.Results) != resultType(want) {
			return errorf(realm.CodeUnsupported, "the module exports %q with other types than ABI version %d has", want.Name, abi.Version)
		}
	}
	return nil
}

// letters writes types as in Func.
// https://webassembly.github.io/spec/core/binary/types.html#number-types
func letters(types []byte) string {
	var b strings.Builder
	for _, t := range types {
		switch t {
		case 0x7f:
			b.WriteByte('i')
		case 0x7e:
			b.WriteByte('I')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// CheckVersion refuses a guest that was built for another version of the ABI.
func CheckVersion(version uint32) error {
	if version != abi.Version {
		return errorf(realm.CodeUnsupported, "the module was built for ABI version %d, this host has version %d", version, abi.Version)
	}
	return nil
}
