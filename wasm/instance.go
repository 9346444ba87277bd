package wasm

import (
	"context"
	"errors"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/hostcall"
	"github.com/realm-ai/realm/internal/wasmpatch"
)

// instance is a module instance. It serves one request.
type instance struct {
	g      *Guest
	module api.Module
	memory api.Memory
	fuel   api.MutableGlobal
}

// instantiate makes an instance over a mapping, which it takes over. No code of the guest runs.
func (g *Guest) instantiate(m *mapping) (*instance, error) {
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(
		func(_, _ uint64) experimental.LinearMemory { return m }))
	module, err := g.r.wazero.InstantiateModule(ctx, g.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		m.Free()
		return nil, errorf(realm.CodeInvalidFormat, "%w", err)
	}
	return &instance{
		g: g, module: module, memory: module.ExportedMemory(abi.MemoryExport),
		fuel: module.ExportedGlobal(wasmpatch.FuelGlobal).(api.MutableGlobal),
	}, nil
}

// start makes an instance and runs the module's initialisation.
func (g *Guest) start(ctx context.Context) (*instance, error) {
	m, err := newMapping(nil, int(g.memory))
	if err != nil {
		return nil, err
	}
	in, err := g.instantiate(m)
	if err != nil {
		return nil, err
	}
	if err := hostcall.Fill(in.Memory(), g.patched.Data); err != nil {
		in.close()
		return nil, err
	}
	t := hostcall.NewPreparation(ctx, in, nil)
	defer t.Close()
	for _, name := range []string{wasmpatch.StartExport, abi.ExportStart} {
		if in.module.ExportedFunction(name) == nil {
			continue
		}
		if _, err := in.call(ctx, t, name); err != nil {
			in.close()
			return nil, err
		}
	}
	return in, nil
}

func (in *instance) close() { _ = in.module.Close(context.Background()) }

// Memory is the instance's memory, valid until the guest runs on.
func (in *instance) Memory() []byte {
	b, _ := in.memory.Read(0, in.memory.Size())
	return b
}

// Fuel is the counter of the meter. Within functions that loop it is in a local, so it is exact in host calls and after
// the end.
func (in *instance) Fuel() int64 { return int64(in.fuel.Get()) }

func (in *instance) SetFuel(fuel int64) { in.fuel.Set(uint64(fuel)) }

type taskKey struct{}

// taskOf finds the task that a host function was called for.
func taskOf(ctx context.Context) *hostcall.Task { return ctx.Value(taskKey{}).(*hostcall.Task) }

// call runs an export on behalf of a task. A guest that traps, exits or is stopped gives the error that says why.
func (in *instance) call(ctx context.Context, t *hostcall.Task, name string, args ...uint64) (uint32, error) {
	results, err := in.module.ExportedFunction(name).Call(context.WithValue(ctx, taskKey{}, t), args...)
	if err != nil {
		return 0, in.failure(t, name, err)
	}
	if len(results) == 0 {
		return 0, nil
	}
	return uint32(results[0]), nil
}

// failure says why a call of an export did not return.
func (in *instance) failure(t *hostcall.Task, name string, err error) error {
	if bug, isBug := errors.AsType[runtime.Error](err); isBug {
		return errorf(realm.CodeInternal, "%s: %w", name, bug)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return t.Failure(name, hostcall.Fault{
		Text: line, StackOverflow: isStackOverflow(err), MemoryLimit: in.g.memory,
		MemoryDenied: in.module.ExportedGlobal(wasmpatch.DeniedGlobal).Get() != 0,
	})
}

// isStackOverflow recognises wazero's error, whose type is internal to it, by the text of the cause.
func isStackOverflow(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if err.Error() == "stack overflow" {
			return true
		}
	}
	return false
}
