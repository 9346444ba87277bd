//go:build !wasip1

// Package examples tests that the example guests compile to guests. What those in Go do is tested beside them.
package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/realm-ai/realm/guest/guesttest"
	"github.com/realm-ai/realm/internal/abi"
)

// check compares a compiled guest with the ABI.
func check(t *testing.T, path string, want ...string) {
	t.Helper()
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	imports, err := guesttest.CheckModule(module)
	if err != nil {
		t.Error(err)
	}
	slices.Sort(imports)
	if !slices.Equal(imports, want) {
		t.Errorf("imports %v, want %v", imports, want)
	}
}

func TestGuestsInGo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds modules for wasip1; not with -short")
	}
	for name, want := range map[string][]string{
		"guest-grammar": {abi.Emit, abi.Forward, abi.GetModelInfo, abi.GetModelMetadata, abi.LastError, abi.TopLogits},
		"guest-layers": {
			abi.ComputeLogits, abi.EmbedTokens, abi.Emit, abi.Forward, abi.ForwardLayer, abi.GetModelInfo, abi.GetModelMetadata,
			abi.LastError, abi.Log, abi.TopLogits,
		},
	} {
		wasm := filepath.Join(t.TempDir(), name+".wasm")
		build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-o", wasm, "./"+name)
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		check(t, wasm, want...)
	}
}

// TestGuestInC compiles the guest in C against the generated header. CLANG names the compiler.
func TestGuestInC(t *testing.T) {
	clang := os.Getenv("CLANG")
	for _, name := range []string{"clang", "clang-19"} {
		if path, err := exec.LookPath(name); clang == "" && err == nil {
			clang = path
		}
	}
	if clang == "" {
		t.Skip("no clang: set CLANG to one that has the target wasm32")
	}
	wasm := filepath.Join(t.TempDir(), "guest.wasm")
	flags := []string{"--target=wasm32", "-O2", "-Wall", "-Wextra", "-Werror", "-nostdlib", "-Wl,--no-entry", "-o", wasm}
	probe := exec.CommandContext(t.Context(), clang, append(flags, "-x", "c", os.DevNull)...)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("%s does not link for wasm32: %v\n%s", clang, err, out)
	}
	build := exec.CommandContext(t.Context(), clang, append(flags, "-I", "../guest", "guest-c/guest.c")...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check(t, wasm, abi.Emit, abi.Forward, abi.TopLogits)
}
