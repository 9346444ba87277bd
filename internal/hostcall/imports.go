package hostcall

import (
	"slices"
	"strings"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
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
	first := len(list)
	for name, f := range wasiFunctions {
		result := "i"
		if name == wasiExit {
			result = ""
		}
		list = append(list, Func{Module: abi.WASIModule, Name: name, Params: f.params, Result: result, run: wasiFunction(f)})
	}
	slices.SortFunc(list[first:], func(a, b Func) int { return strings.Compare(a.Name, b.Name) })
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

// Signature is a function of a module as its bytes have it, with types as in Func but any letter for other types.
type Signature struct{ Module, Name, Params, Result string }

// Check compares what a module imports, the meter's function aside, and what it exports, without a Module, with what there
// is. It returns realm.CodeUnsupported by name.
func Check(imported, exported []Signature, memories []string) error {
	for _, f := range imported {
		i := slices.IndexFunc(imports, func(known Func) bool { return known.Module == f.Module && known.Name == f.Name })
		switch {
		case i >= 0 && imports[i].Params == f.Params && imports[i].Result == f.Result:
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
	if !slices.Contains(memories, abi.MemoryExport) {
		return errorf(realm.CodeUnsupported, "the module does not export its memory as %q", abi.MemoryExport)
	}
	for _, want := range abi.Exports() {
		i := slices.IndexFunc(exported, func(f Signature) bool { return f.Name == want.Name })
		if i < 0 {
			if want.Optional {
				continue
			}
			return errorf(realm.CodeUnsupported, "the module does not export %q", want.Name)
		}
		if exported[i].Params != strings.Repeat("i", len(want.Params)) || exported[i].Result != resultType(want) {
			return errorf(realm.CodeUnsupported, "the module exports %q with other types than ABI version %d has", want.Name, abi.Version)
		}
	}
	return nil
}

// CheckVersion refuses a guest that was built for another version of the ABI.
func CheckVersion(version uint32) error {
	if version != abi.Version {
		return errorf(realm.CodeUnsupported, "the module was built for ABI version %d, this host has version %d", version, abi.Version)
	}
	return nil
}
