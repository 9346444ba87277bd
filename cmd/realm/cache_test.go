package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/cli"
)

// TestCache runs the real model, which leaves its packed weights, and lists and removes them.
func TestCache(t *testing.T) {
	model := realModel(t)
	cache := filepath.Join(t.TempDir(), "cache")
	t.Setenv("REALM_CACHE", cache)
	first := runJSON(t, model, "-p", "Hello", "-n", "2")
	var list []cli.CacheResult
	unmarshal(t, succeed(t, "", "cache", "ls", "--json"), &list)
	if len(list) == 0 {
		t.Skip("this processor's kernels take weights as they stand in the file")
	}
	// A link gives the file another path, not another content.
	link := filepath.Join(t.TempDir(), "link.gguf")
	if err := os.Symlink(model, link); err != nil {
		t.Skip(err)
	}
	if again := runJSON(t, link, "-p", "Hello", "-n", "2"); again.Text != first.Text {
		t.Errorf("%q, then %q", first.Text, again.Text)
	}
	unmarshal(t, succeed(t, "", "cache", "ls", "--json"), &list)
	if len(list) != 1 || len(list[0].Digest) != 64 || list[0].Bytes < 80e6 || list[0].Name == "" {
		t.Fatalf("%+v", list)
	}
	if text := succeed(t, "", "cache", "ls"); !strings.Contains(text, list[0].Digest) || !strings.Contains(text, " MB ") {
		t.Errorf("ls printed %q", text)
	}
	if out := invoke(t, "", "cache", "rm", list[0].Digest[:8]); out.code != 0 || !strings.Contains(out.stdout, list[0].Digest) {
		t.Errorf("rm: %+v", out)
	}
	if text := succeed(t, "", "cache", "ls"); text != "" {
		t.Errorf("after rm: %q", text)
	}
	if out := invoke(t, "", "cache", "rm", "--all"); out.code != 0 {
		t.Errorf("rm --all: %+v", out)
	}
	files, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if err != nil || len(files) != 0 {
		t.Errorf("left: %q", files)
	}
	for _, tc := range []struct {
		args []string
		code int
	}{
		{[]string{"cache", "rm", list[0].Digest}, 3},
		{[]string{"cache", "rm"}, 2},
		{[]string{"cache", "rm", "x", "--all"}, 2},
		{[]string{"cache", "ls", "x"}, 2},
		{[]string{"cache", "mv"}, 2},
	} {
		if out := invoke(t, "", tc.args...); out.code != tc.code {
			t.Errorf("%q: exit code %d, want %d", tc.args, out.code, tc.code)
		}
	}
	t.Setenv("REALM_CACHE", "off")
	if out := invoke(t, "", "cache", "ls"); out.code != 3 || !strings.Contains(out.stderr, "off") {
		t.Errorf("with the cache off: %+v", out)
	}
	if off := runJSON(t, model, "-p", "Hello", "-n", "2"); off.Text != first.Text {
		t.Errorf("%q, with the cache off %q", first.Text, off.Text)
	}
}
