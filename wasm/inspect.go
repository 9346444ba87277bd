package wasm

import (
	"context"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/hostcall"
)

// Description is what a module says of itself, before anybody decides whether it can be a guest.
type Description struct {
	Imports    []Function // by module and name
	Exports    []Function // by name
	MemoryMin  int64      // bytes at the start, of the memory that it exports
	MemoryMax  int64      // bytes at most, 0 where the module leaves that open
	ABIVersion int        // that it was built for, 0 where it is no guest for this host
	// Refused says why it is no guest for this host, nil where it is one.
	Refused error
}

// Function is an import or export with its type, such as "(i32, i32) -> (i32)".
type Function struct {
	Module string // of an import
	Name   string
	Type   string
}

// Describe looks at a module, which may be any. Where it can be loaded, its initialisation is run for the version.
func (r *Runtime) Describe(ctx context.Context, module []byte) (*Description, error) {
	if len(module) > hostcall.MaxModule {
		return nil, errorf(realm.CodeLimitExceeded, "a module of %d bytes: at most %d", len(module), hostcall.MaxModule)
	}
	// The interpreter is quick to take a module in, and this one is not run.
	looking := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	defer looking.Close(ctx)
	compiled, err := looking.CompileModule(ctx, module)
	if err != nil {
		return nil, errorf(realm.CodeInvalidFormat, "%w", err)
	}
	d := &Description{}
	for _, f := range compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		d.Imports = append(d.Imports, Function{from, name, typeOf(f)})
	}
	for name, f := range compiled.ExportedFunctions() {
		d.Exports = append(d.Exports, Function{Name: name, Type: typeOf(f)})
	}
	for _, list := range [][]Function{d.Imports, d.Exports} {
		slices.SortFunc(list, func(a, b Function) int {
			return strings.Compare(a.Module+"."+a.Name, b.Module+"."+b.Name)
		})
	}
	if memory, ok := compiled.ExportedMemories()[abi.MemoryExport]; ok {
		d.MemoryMin = int64(memory.Min()) * pageBytes
		if most, limited := memory.Max(); limited {
			d.MemoryMax = int64(most) * pageBytes
		}
	}
	g, err := r.Load(ctx, module, GuestOptions{})
	if err != nil {
		d.Refused = err
		return d, nil
	}
	d.ABIVersion = abi.Version
	return d, g.Close()
}

func typeOf(f api.FunctionDefinition) string {
	list := func(types []api.ValueType) string {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = api.ValueTypeName(t)
		}
		return "(" + strings.Join(names, ", ") + ")"
	}
	return list(f.ParamTypes()) + " -> " + list(f.ResultTypes())
}
