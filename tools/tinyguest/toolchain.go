package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func (b *builder) source() string  { return filepath.Join(b.work, "src") }
func (b *builder) wasmOpt() string { return filepath.Join(b.work, "node_modules", ".bin", "wasm-opt") }

// random replaces wasi-libc's arc4random, TinyGo's source of seeds for hash tables, which would bring a cipher and, for its
// assertions, printf into the module.
const random = `__attribute__((import_module("wasi_snapshot_preview1"), import_name("random_get")))
int random_get(void *to, unsigned long n);

unsigned __wrap_arc4random(void) {
  unsigned x;
  return random_get(&x, sizeof x) == 0 ? x : 0;
}
`

// growHeap is the body of TinyGo's function of that name, which doubles the memory: a guest that needed a little more than 6
// MiB had 12. An eighth more at a time is far above the 65th of the heap that the collector's map of it takes, which moves
// to the new end and must not overlap itself there.
const growHeap = `
	pages := wasm_memory_size(wasmMemoryIndex)
	if wasm_memory_grow(wasmMemoryIndex, max(pages/8, 8)) == -1 {
		return false
	}
	setHeapEnd(uintptr(wasm_memory_size(wasmMemoryIndex) * wasmPageSize))
	return true
`

// toolchain builds TinyGo, unless it has been.
func (b *builder) toolchain() error {
	if _, err := os.Stat(b.wasmOpt()); err != nil {
		if err := b.command(b.root, nil, "npm", "install", "--no-save", "--prefix", b.work, binaryen); err != nil {
			return err
		}
	}
	tinygo := filepath.Join(b.work, "tinygo")
	if _, err := os.Stat(tinygo); err != nil {
		if err := b.module(tinygoModule, tinygoVersion, b.source()); err != nil {
			return err
		}
		if err := b.command(b.source(), nil, "go", "build", "-tags", "llvm19", "-o", tinygo, "."); err != nil {
			return err
		}
	}
	runtime := filepath.Join(b.source(), "src", "runtime", "arch_tinygowasm.go")
	source, err := os.ReadFile(runtime)
	if err != nil {
		return err
	}
	source, n, err := empty(source, map[string]string{"growHeap": growHeap})
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%s %s has %d functions growHeap", tinygoModule, tinygoVersion, n)
	}
	target, err := json.MarshalIndent(b.target(), "", "\t")
	if err != nil {
		return err
	}
	for path, text := range map[string]string{
		runtime: string(source),
		// The module comes without its submodules: package net, of which nothing is used, is one.
		filepath.Join(b.source(), "src", "net", "net.go"): "package net\n",
		filepath.Join(b.source(), "realm", "random.c"):    random,
		filepath.Join(b.work, "target.json"):              string(target),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// target is TinyGo's wasip1 with the system's libc and compiler runtime in place of submodules, without a scheduler.
func (b *builder) target() map[string]any {
	return map[string]any{
		"llvm-target":        "wasm32-unknown-wasi",
		"cpu":                "generic",
		"features":           "+bulk-memory,+mutable-globals,+nontrapping-fptoint,+sign-ext,-multivalue,-reference-types",
		"build-tags":         []string{"tinygo.wasm"},
		"goos":               "wasip1",
		"goarch":             "wasm",
		"linker":             "wasm-ld",
		"gc":                 "precise",
		"scheduler":          "none",
		"default-stack-size": 64 << 10,
		"cflags": []string{
			"--sysroot=" + b.libc, "-isystem" + b.libc + "/include/wasm32-wasi",
			"-mbulk-memory", "-mnontrapping-fptoint", "-mno-multivalue", "-mno-reference-types", "-msign-ext",
		},
		"ldflags": []string{
			"--stack-first", "--no-demangle", "-mllvm", "--enable-merge-functions", "--wrap=arc4random",
			"-L" + b.libc + "/lib/wasm32-wasi", "-lc", b.llvm + "/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a",
		},
		"extra-files": []string{"src/runtime/asm_tinygowasm.S", "realm/random.c"},
	}
}
