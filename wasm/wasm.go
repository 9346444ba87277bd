// Package wasm runs guests: WebAssembly modules that decide how a model answers, and that nobody needs to trust. A guest
// reaches the models it was granted through the host functions of docs/abi.md, and nothing else: no files, no network, a
// virtual clock, and random bytes that follow from a seed. Its memory, instructions, time, KV cache, output and host
// calls are limited, and each limit ends a request with an error code of its own.
//
//	rt, err := wasm.NewRuntime(wasm.Options{})
//	g, err := rt.Load(ctx, module, wasm.GuestOptions{})
//	result, err := g.Run(ctx, wasm.Request{
//		Body: request, Models: []wasm.Grant{{Model: m, ID: id}}, Limits: wasm.DefaultLimits(),
//	})
//
// A Guest is compiled once. Each request runs in an instance of its own, which begins with the memory and the globals that
// the guest had after it had prepared itself for its models, and is thrown away afterwards. The same request therefore
// gives the same bytes and burns the same fuel, alone or among others, and nothing of one request is left for the next.
//
// The package knows package realm, the ABI's table and wazero, and nothing of how a model computes. Start at Guest.Run;
// image.go has what instances start from, and package hostcall the host functions.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/hostcall"
	"github.com/realm-ai/realm/internal/wasmpatch"
)

// Options say how guests are run. The zero value is a good default.
type Options struct {
	// CacheDir keeps compiled code between processes. Empty keeps it in memory only. Who can write to it can run code.
	CacheDir string
	// Interpreter runs guests without compiling them: slowly, with the same results.
	Interpreter bool
}

// Runtime compiles guests. It is safe for concurrent use.
type Runtime struct {
	wazero wazero.Runtime
	cache  wazero.CompilationCache

	mu     sync.Mutex
	guests map[*Guest]bool // nil once closed
}

// NewRuntime makes a runtime.
func NewRuntime(o Options) (*Runtime, error) {
	config := wazero.NewRuntimeConfig()
	if o.Interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	cache := wazero.NewCompilationCache()
	if o.CacheDir != "" {
		var err error
		if cache, err = wazero.NewCompilationCacheWithDir(o.CacheDir); err != nil {
			return nil, errorf(realm.CodeIO, "cache folder %s: %w", o.CacheDir, err)
		}
	}
	ctx := context.Background()
	r := &Runtime{
		wazero: wazero.NewRuntimeWithConfig(ctx, config.WithCompilationCache(cache).WithCoreFeatures(api.CoreFeaturesV2)),
		cache:  cache, guests: map[*Guest]bool{},
	}
	for _, m := range r.hostModules() {
		if _, err := m.Instantiate(ctx); err != nil {
			_ = r.Close()
			return nil, errorf(realm.CodeInternal, "host module: %w", err)
		}
	}
	return r, nil
}

// hostModules builds what guests may import.
func (r *Runtime) hostModules() []wazero.HostModuleBuilder {
	i64 := []api.ValueType{api.ValueTypeI64}
	meter := r.wazero.NewHostModuleBuilder(wasmpatch.MeterModule)
	meter.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(refill), i64, i64).Export(wasmpatch.RefillName)
	modules := map[string]wazero.HostModuleBuilder{wasmpatch.MeterModule: meter}
	for i, f := range hostcall.Imports() {
		if modules[f.Module] == nil {
			modules[f.Module] = r.wazero.NewHostModuleBuilder(f.Module)
		}
		modules[f.Module].NewFunctionBuilder().WithGoModuleFunction(hostFunction(i, f), types(f.Params), types(f.Result)).Export(f.Name)
	}
	return slices.Collect(maps.Values(modules))
}

func refill(ctx context.Context, _ api.Module, stack []uint64) {
	stack[0] = uint64(taskOf(ctx).Refill(int64(stack[0])))
}

// hostFunction is a function of package hostcall for wazero, which passes parameters and the result in one stack.
func hostFunction(index int, f hostcall.Func) api.GoModuleFunc {
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		result := taskOf(ctx).Call(index, stack[:len(f.Params)])
		if f.Result != "" {
			stack[0] = result
		}
	}
}

// types are the types that package hostcall writes as letters.
func types(letters string) []api.ValueType {
	var list []api.ValueType
	for _, letter := range letters {
		if letter == 'I' {
			list = append(list, api.ValueTypeI64)
		} else {
			list = append(list, api.ValueTypeI32)
		}
	}
	return list
}

// Close closes the guests, for whose requests it waits, and frees compiled code.
func (r *Runtime) Close() error {
	r.mu.Lock()
	guests := r.guests
	r.guests = nil
	r.mu.Unlock()
	for g := range guests {
		_ = g.Close()
	}
	ctx := context.Background()
	return errors.Join(r.wazero.Close(ctx), r.cache.Close(ctx))
}

// errorf makes an error with a code. A %w verb sets the cause.
func errorf(code realm.Code, format string, args ...any) error {
	err := fmt.Errorf("wasm: "+format, args...)
	return &realm.Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}
