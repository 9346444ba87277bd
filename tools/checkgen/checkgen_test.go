package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are shell scripts")
	}
	for _, tc := range []struct{ name, script, stale string }{
		{"no change", "cat a.go", ""},
		{"same bytes written again", "cp a.go b.go && mv b.go a.go", ""},
		{"changed", "echo new > a.go", "a.go"},
		{"added", "echo new > b.go", "b.go"},
		{"removed", "rm a.go", "a.go"},
		{"build output", "mkdir build && echo new > build/x", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("old\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			err := run(root, []string{"sh", "-c", tc.script})
			if (err != nil) != (tc.stale != "") || err != nil && !strings.Contains(err.Error(), tc.stale) {
				t.Errorf("error %v, want one naming %q", err, tc.stale)
			}
		})
	}
	if err := run(t.TempDir(), []string{"false"}); err == nil {
		t.Error("a command that fails: no error")
	}
}
