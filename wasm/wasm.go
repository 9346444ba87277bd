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
// host.go has the host functions, image.go what instances start from.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
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
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	meter := r.wazero.NewHostModuleBuilder(wasmpatch.MeterModule)
	meter.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(refill), []api.ValueType{i64}, []api.ValueType{i64}).
		Export(wasmpatch.RefillName)
	host := r.wazero.NewHostModuleBuilder(abi.Module)
	for i, f := range abi.Functions() {
		params, results := signature(f)
		host.NewFunctionBuilder().WithGoModuleFunction(hostFunction(i, f), params, results).Export(f.Name)
	}
	wasi := r.wazero.NewHostModuleBuilder(abi.WASIModule)
	for name, f := range wasiFunctions {
		var results []api.ValueType
		if name != "proc_exit" {
			results = []api.ValueType{i32}
		}
		wasi.NewFunctionBuilder().WithGoModuleFunction(wasiFunction(f), f.types(), results).Export(name)
	}
	return []wazero.HostModuleBuilder{meter, host, wasi}
}

// signature is a function of the ABI's table in WebAssembly's types.
func signature(f abi.Func) (params, results []api.ValueType) {
	for range f.Params {
		params = append(params, api.ValueTypeI32)
	}
	switch f.Result {
	case abi.None:
	case abi.I64:
		results = []api.ValueType{api.ValueTypeI64}
	default:
		results = []api.ValueType{api.ValueTypeI32}
	}
	return params, results
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
