package wasm

import (
	"bytes"
	"context"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/hostcall"
	"github.com/realm-ai/realm/internal/wasmpatch"
)

const pageBytes = hostcall.PageBytes

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
		o.MemoryBytes = hostcall.DefaultMemory
	}
	if o.Warm < 0 {
		return nil, errorf(realm.CodeInvalidArgument, "%d warm instances: want 0 or more", o.Warm)
	}
	patched, err := hostcall.Patch(module, o.MemoryBytes)
	if err != nil {
		return nil, err
	}
	compiled, err := r.wazero.CompileModule(ctx, patched.Module)
	if err != nil {
		return nil, errorf(realm.CodeInvalidFormat, "%w", err)
	}
	patched.Module = nil
	for i := range patched.Data { // which is the caller's memory
		patched.Data[i].Bytes = bytes.Clone(patched.Data[i].Bytes)
	}
	g := &Guest{r: r, compiled: compiled, patched: patched, memory: o.MemoryBytes / pageBytes * pageBytes, warm: o.Warm}
	if err := g.checkVersion(ctx); err != nil {
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

// checkVersion starts an instance and asks it for its version.
func (g *Guest) checkVersion(ctx context.Context) error {
	in, err := g.start(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	version, err := in.call(ctx, hostcall.NewPreparation(ctx, in, nil), abi.ExportVersion)
	if err != nil {
		return err
	}
	return hostcall.CheckVersion(version)
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
