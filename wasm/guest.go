package wasm

import (
	"context"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/wasmpatch"
)

const (
	pageBytes     = 65_536
	defaultMemory = 64 << 20
	maxMemory     = 2 << 30
	// maxTable bounds the entries of a guest's tables: functions that are called through pointers, of which Go's compiler
	// makes one of every function.
	maxTable = 1 << 18
	// maxModule bounds the bytes of a module before it is looked at.
	maxModule = 64 << 20
)

// GuestOptions are the limits that hold for every request of a guest. The zero value is a good default.
type GuestOptions struct {
	// MemoryBytes limits the linear memory, in whole pages of 64 KiB. 0 means 64 MiB, and the most is 2 GiB.
	MemoryBytes int64
	// Warm is how many instances are kept ready for the models of recent requests. They take address space and some 10 KB.
	Warm int
}

// Guest is a compiled guest. It is safe for concurrent use.
type Guest struct {
	r        *Runtime
	compiled wazero.CompiledModule
	patched  *wasmpatch.Patched
	memory   int64 // limit in bytes
	warm     int

	use    sync.RWMutex // read-locked by requests, so that Close waits for them
	closed bool         // guarded by use

	images images
}

// Load checks and compiles a module. One that imports what there is not, lacks an export or was built for another version
// of the ABI is refused with realm.CodeUnsupported, by name; one that is no module with realm.CodeInvalidFormat. It runs
// the module's initialisation, which ctx and a large amount of fuel limit.
func (r *Runtime) Load(ctx context.Context, module []byte, o GuestOptions) (*Guest, error) {
	if o.MemoryBytes == 0 {
		o.MemoryBytes = defaultMemory
	}
	if o.MemoryBytes < pageBytes || o.MemoryBytes > maxMemory || o.Warm < 0 {
		return nil, errorf(realm.CodeInvalidArgument, "a memory limit of %d bytes: want %d to %d; %d warm instances: want 0 or more",
			o.MemoryBytes, pageBytes, maxMemory, o.Warm)
	}
	if len(module) > maxModule {
		return nil, errorf(realm.CodeLimitExceeded, "a module of %d bytes: at most %d", len(module), maxModule)
	}
	patched, err := wasmpatch.Patch(module, wasmpatch.Options{
		MemoryPages: uint32(o.MemoryBytes / pageBytes), TableElements: maxTable, Detach: true,
	})
	if err != nil {
		return nil, err
	}
	if patched.Hidden != "" {
		return nil, errorf(realm.CodeUnsupported, "the module changes %s, which a request could leave to the next", patched.Hidden)
	}
	compiled, err := r.wazero.CompileModule(ctx, patched.Module)
	if err != nil {
		return nil, errorf(realm.CodeInvalidFormat, "%w", err)
	}
	g := &Guest{r: r, compiled: compiled, patched: patched, memory: o.MemoryBytes / pageBytes * pageBytes, warm: o.Warm}
	if err = check(compiled); err == nil {
		err = g.checkVersion(ctx)
	}
	if err != nil {
		_ = compiled.Close(context.Background())
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.guests == nil {
		_ = compiled.Close(context.Background())
		return nil, errorf(realm.CodeClosed, "the runtime is closed")
	}
	r.guests[g] = true
	return g, nil
}

// check compares imports and exports with the ABI's table.
func check(m wazero.CompiledModule) error {
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		var params, results []api.ValueType
		switch module {
		case wasmpatch.MeterModule:
			continue
		case abi.Module:
			known, ok := abi.Function(name)
			if !ok {
				return errorf(realm.CodeUnsupported, "the module imports %q.%q, which ABI version %d does not have", module, name, abi.Version)
			}
			params, results = signature(known)
		case abi.WASIModule:
			known, ok := wasiFunctions[name]
			if !ok {
				return errorf(realm.CodeUnsupported, "the module imports %q.%q, which guests do not get", module, name)
			}
			params, results = known.types(), []api.ValueType{api.ValueTypeI32}
			if name == "proc_exit" {
				results = nil
			}
		default:
			return errorf(realm.CodeUnsupported, "the module imports %q.%q: guests import from %q and %q only",
				module, name, abi.Module, abi.WASIModule)
		}
		if !slices.Equal(f.ParamTypes(), params) || !slices.Equal(f.ResultTypes(), results) {
			return errorf(realm.CodeUnsupported, "the module imports %q.%q with other types than it has", module, name)
		}
	}
	if _, ok := m.ExportedMemories()[abi.MemoryExport]; !ok {
		return errorf(realm.CodeUnsupported, "the module does not export its memory as %q", abi.MemoryExport)
	}
	exports := m.ExportedFunctions()
	for _, want := range abi.Exports() {
		f, ok := exports[want.Name]
		if !ok {
			if want.Optional {
				continue
			}
			return errorf(realm.CodeUnsupported, "the module does not export %q", want.Name)
		}
		params, results := signature(want)
		if !slices.Equal(f.ParamTypes(), params) || !slices.Equal(f.ResultTypes(), results) {
			return errorf(realm.CodeUnsupported, "the module exports %q with other types than ABI version %d has", want.Name, abi.Version)
		}
	}
	return nil
}

// checkVersion starts an instance and asks it for its version.
func (g *Guest) checkVersion(ctx context.Context) error {
	in, err := g.start(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	version, err := in.call(newTask(ctx, in, preparing), abi.ExportVersion)
	if err != nil {
		return err
	}
	if version != abi.Version {
		return errorf(realm.CodeUnsupported, "the module was built for ABI version %d, this host has version %d", version, abi.Version)
	}
	return nil
}

// Close waits for the requests in progress and frees the guest. It may be called again.
func (g *Guest) Close() error {
	g.use.Lock()
	defer g.use.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	g.images.close()
	g.r.mu.Lock()
	delete(g.r.guests, g)
	g.r.mu.Unlock()
	return g.compiled.Close(context.Background())
}
