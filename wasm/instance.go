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
	t := newTask(ctx, in, preparing)
	for _, name := range []string{wasmpatch.StartExport, abi.ExportStart} {
		if in.module.ExportedFunction(name) == nil {
			continue
		}
		if _, err := in.call(t, name); err != nil {
			in.close()
			return nil, err
		}
	}
	return in, nil
}

func (in *instance) close() { _ = in.module.Close(context.Background()) }

// bytes is the instance's memory, valid until the guest runs on.
func (in *instance) bytes() []byte {
	b, _ := in.memory.Read(0, in.memory.Size())
	return b
}

// call runs an export on behalf of a task. A guest that traps, exits or is stopped gives the error that says why.
func (in *instance) call(t *task, name string, args ...uint64) (uint32, error) {
	results, err := in.module.ExportedFunction(name).Call(context.WithValue(t.ctx, taskKey{}, t), args...)
	if err != nil {
		return 0, t.failure(name, err)
	}
	if len(results) == 0 {
		return 0, nil
	}
	return uint32(results[0]), nil
}

// failure says why a call of an export did not return.
func (t *task) failure(name string, err error) error {
	code := realm.CodeOf(t.ended)
	denied := t.in.module.ExportedGlobal(wasmpatch.DeniedGlobal).Get() != 0
	switch bug, isBug := errors.AsType[runtime.Error](err); {
	case isBug:
		return errorf(realm.CodeInternal, "%s: %w", name, bug)
	case t.ended != nil && code != realm.CodeGuestFailed:
		return t.ended
	case denied:
		return errorf(realm.CodeOutOfMemory, "%s: the guest failed after its memory of %d bytes could not grow: the limit is %d",
			name, t.in.memory.Size(), t.in.g.memory)
	case t.ended != nil:
		return t.ended
	case isStackOverflow(err):
		return errorf(realm.CodeStackOverflow, "%s: the guest's calls went too deep", name)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errorf(realm.CodeGuestFailed, "%s: %s", name, line)
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
