//go:build !wasip1

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/realm-ai/realm/guest/guesttest"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// maxSize is what the guest may be at most, built with standard Go.
const maxSize = 6 << 20

// TestModule builds the guest with standard Go and compares it with the table of the ABI. REALM_GUEST names one that was
// built otherwise.
func TestModule(t *testing.T) {
	path := os.Getenv("REALM_GUEST")
	if path == "" {
		if testing.Short() {
			t.Skip("builds a module for wasip1; not with -short")
		}
		path = filepath.Join(t.TempDir(), "guest.wasm")
		build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
			"-buildmode=c-shared", "-o", path, ".")
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(module) > maxSize {
		t.Errorf("%d bytes, at most %d", len(module), maxSize)
	}
	imports, err := guesttest.CheckModule(module)
	if err != nil {
		t.Error(err)
	}
	slices.Sort(imports)
	// A host function more is something more that a host must grant: it should not come unnoticed.
	want := []string{abi.Emit, abi.Forward, abi.GetModelInfo, abi.GetModelMetadata, abi.LastError, abi.TopLogits}
	if !slices.Equal(imports, want) {
		t.Errorf("imports %v, want %v", imports, want)
	}
	for n := 0; n < len(module); n += max(1, n/10) {
		if _, err := guesttest.CheckModule(module[:n]); !errors.Is(err, errs.InvalidFormat) && !errors.Is(err, errs.Unsupported) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}
