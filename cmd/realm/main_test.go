package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/synth"
)

// asProcess makes the test binary behave as the program, for tests of signals and terminals.
const asProcess = "REALM_TEST_AS_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) != "" {
		os.Args = append(os.Args[:1], natively(os.Args[1:])...)
		main()
	}
	dir, err := modelDir()
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("REALM_CACHE", filepath.Join(dir, "cache"))
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// modelDir is where tiny models are written for all tests.
var modelDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "realm-test-*") })

// tiny returns the file of a tiny model.
func tiny(t *testing.T, shape string) string {
	t.Helper()
	dir, err := modelDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, shape+".gguf")
	if _, err := os.Stat(path); err != nil {
		if err := synth.WriteFile(t.Context(), path, shape, synth.Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// changed writes a tiny model with one key of its metadata changed.
func changed(t *testing.T, key string, value any) string {
	t.Helper()
	f, err := gguf.Open(tiny(t, "tiny-llama-f32"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gguf.NewWriter()
	for k, v := range f.Metadata() {
		old := v.Any()
		if k == key {
			old = value
		}
		if err := w.Set(k, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, tensor := range f.Tensors() {
		if err := w.Add(tensor.Name, tensor.DType, tensor.Shape, bytes.NewReader(tensor.Data())); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "changed.gguf")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := w.WriteTo(file); err != nil {
		t.Fatal(err)
	}
	return path
}

func openTokenizer(t *testing.T, model string) *realm.Tokenizer {
	t.Helper()
	tokenizer, err := realm.OpenTokenizer(model, "")
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

// realModel returns the file of the SmolLM2 model. The test is skipped where it is not.
func realModel(t *testing.T) string {
	t.Helper()
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		path = filepath.Join("..", "..", "build", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no model (REALM_MODEL or make demo): %v", err)
	}
	return path
}

// output is what a command left.
type output struct {
	stdout, stderr string
	code           int
}

// natively adds --native to a run, unless it says how to answer: what runs tests has no guest in it.
func natively(args []string) []string {
	if len(args) > 0 && args[0] == "run" && !slices.Contains(args, "--guest") && !slices.Contains(args, "--native") {
		return append([]string{"run", "--native"}, args[1:]...)
	}
	return args
}

// invoke runs the program inside the test.
func invoke(t *testing.T, stdin string, args ...string) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Stdin: strings.NewReader(stdin), Stdout: bufio.NewWriter(&stdout), Stderr: &stderr}
	code := app().Main(t.Context(), env, natively(args))
	return output{stdout.String(), stderr.String(), code}
}

// succeed runs the program and fails the test if it does.
func succeed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out := invoke(t, stdin, args...)
	if out.code != 0 || out.stderr != "" {
		t.Fatalf("realm %q: exit code %d, stderr %q", args, out.code, out.stderr)
	}
	return out.stdout
}

// runJSON runs `realm run --json` with a model and reads the result.
func runJSON(t *testing.T, model string, args ...string) cli.RunResult {
	t.Helper()
	var result cli.RunResult
	unmarshal(t, succeed(t, "", append([]string{"run", "--json", "-m", model}, args...)...), &result)
	return result
}

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
