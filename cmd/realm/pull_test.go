package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/cli"
)

// TestPull goes from a model's name to an answer, and back to an empty cache.
func TestPull(t *testing.T) {
	t.Setenv("REALM_CACHE", t.TempDir())
	model := tiny(t, "tiny-llama-f32")
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path != "/m.gguf" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeFile(w, r, model)
	}))
	defer server.Close()
	name := server.URL + "/m.gguf"

	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"run", "-m", name, "-p", "a", "--offline"}, 3, "realm pull " + name},
		{[]string{"inspect", "--offline", name}, 3, "offline"},
		{[]string{"tokenize", "--offline", "-m", name}, 3, "offline"},
		{[]string{"bench", "--offline", "-m", name}, 3, "offline"},
		{[]string{"pull", server.URL + "/x.gguf"}, 3, "status 404"},
		{[]string{"pull", "hf:x"}, 2, "want hf:ORG/REPO"},
		{[]string{"pull", filepath.Join(t.TempDir(), "none.gguf")}, 3, "none.gguf"},
		{[]string{"pull"}, 2, "realm pull NAME"},
		{[]string{"rm", name}, 3, "not among the models"},
		{[]string{"ls", "x"}, 2, "unexpected"},
	} {
		if out := invoke(t, "", tc.args...); out.code != tc.code || out.stdout != "" || !strings.Contains(out.stderr, tc.says) {
			t.Errorf("%q: %+v, want code %d and %q", tc.args, out, tc.code, tc.says)
		}
	}
	if requests != 1 {
		t.Errorf("%d requests, want the one for x.gguf", requests)
	}
	if text := succeed(t, "", "ls"); text != "" {
		t.Errorf("ls of nothing: %q", text)
	}

	want := runJSON(t, model, "-p", "a", "-n", "4")
	got := runJSON(t, name, "-p", "a", "-n", "4")
	if got.Text != want.Text || got.Model.File != name {
		t.Errorf("by its name the model answers %q, want %q", got.Text, want.Text)
	}
	requests = 0
	if got := runJSON(t, name, "-p", "a", "-n", "4", "--offline"); got.Text != want.Text || requests != 0 {
		t.Errorf("offline: %q, %d requests", got.Text, requests)
	}
	path := strings.TrimSpace(succeed(t, "", "pull", name))
	if readFile(t, path) != readFile(t, model) {
		t.Errorf("%s is another file", path)
	}
	var list []cli.ModelsResult
	unmarshal(t, succeed(t, "", "ls", "--json"), &list)
	if info, _ := os.Stat(model); len(list) != 1 || list[0].Name != name || list[0].Path != path || list[0].Bytes != info.Size() ||
		list[0].Pulled == "" || len(list[0].SHA256) != 64 {
		t.Errorf("ls: %+v", list)
	}
	var pulled cli.ModelsResult
	if unmarshal(t, succeed(t, "", "pull", "--json", name), &pulled); pulled != list[0] {
		t.Errorf("pull --json: %+v", pulled)
	}
	if unmarshal(t, succeed(t, "", "pull", "--json", "file:"+model), &pulled); pulled.Path != model {
		t.Errorf("pull --json of a path: %+v", pulled)
	}
	if text := succeed(t, "", "ls"); !strings.HasPrefix(text, name+"  ") {
		t.Errorf("ls: %q", text)
	}
	for _, args := range [][]string{{"inspect", name}, {"tokenize", "-m", name}, {"bench", "-m", name, "-p", "2", "-n", "2", "-r", "1"}} {
		succeed(t, "", args...)
	}
	if out := invoke(t, "", "rm", name); out.code != 0 || !strings.Contains(out.stderr, "removed "+name) {
		t.Errorf("rm: %+v", out)
	}
	if text := succeed(t, "", "ls"); text != "" {
		t.Errorf("after rm: %q", text)
	}
}
