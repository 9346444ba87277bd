package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
	"github.com/realm-ai/realm/internal/synth"
)

// TestTokenizeFixtures gives texts to the program as llama.cpp's test-tokenizer-0 reads them from the files. All of them
// are internal/tokenizer's to test; each call here opens the file anew, so some are enough.
func TestTokenizeFixtures(t *testing.T) {
	fixtures, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "fixtures", "tokenizer", "*.gguf"))
	if err != nil || len(fixtures) == 0 {
		t.Skip("no tokenizer fixtures")
	}
	for _, model := range fixtures {
		t.Run(filepath.Base(model), func(t *testing.T) {
			texts, wants := readFile(t, model+".inp"), strings.Split(readFile(t, model+".out"), "\n")
			for i, text := range strings.Split(texts, "\n__ggml_vocab_test__\n") {
				if i%7 != 0 {
					continue
				}
				var ids []int
				unmarshal(t, succeed(t, text, "tokenize", "-m", model, "--no-bos", "--json"), &ids)
				var got []string
				for _, id := range ids {
					got = append(got, strconv.Itoa(id))
				}
				if want := strings.Fields(wants[i]); !slices.Equal(got, want) {
					t.Errorf("%q: got %v, want %v", text, got, want)
				}
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTokenize(t *testing.T) {
	spm, bpe := tiny(t, "tiny-llama-spm"), tiny(t, "tiny-llama-f32")
	for _, tc := range []struct {
		model, text string
		flags       []string
		want        string
	}{
		// SPM asks for a BOS and puts a space before the text.
		{spm, "Q!", nil, "1\t\"<s>\"\n"},
		{spm, "", []string{"--json", "--no-bos"}, "[]\n"},
		{bpe, "", []string{"--json"}, "[]\n"},
		{bpe, "<|im_end|>", []string{"--parse-special"}, "2\t\"<|im_end|>\"\n"},
		{bpe, "<|im_end|>", []string{"--parse-special", "--json"}, "[2]\n"},
		// Exact bytes: the newline at the end counts, and a zero byte does not end the text.
		{bpe, "\n", nil, "13\t\"\\n\"\n"},
		{bpe, "\x00", nil, "3\t\"\\x00\"\n"},
	} {
		got := succeed(t, tc.text, append([]string{"tokenize", "-m", tc.model}, tc.flags...)...)
		if !strings.HasPrefix(got, tc.want) {
			t.Errorf("%q with %q: got %q, want %q", tc.text, tc.flags, got, tc.want)
		}
	}
	// The pieces of a text are the text again.
	text := "Größe, 世界 and\ttabs\n"
	for _, model := range []string{spm, bpe} {
		var pieces strings.Builder
		for line := range strings.Lines(succeed(t, text, "tokenize", "--no-bos", "-m", model)) {
			_, quoted, _ := strings.Cut(strings.TrimSpace(line), "\t")
			piece, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			pieces.WriteString(piece)
		}
		if got := strings.TrimPrefix(pieces.String(), " "); got != text {
			t.Errorf("the pieces make %q, want %q", got, text)
		}
	}

	odd := changed(t, "tokenizer.ggml.pre", "unheard-of")
	if out := invoke(t, "a", "tokenize", "-m", odd); out.code != 5 || !strings.Contains(out.stderr, "unheard-of") {
		t.Errorf("an unknown pre-tokenizer: %+v", out)
	}
	if got, want := succeed(t, "a b", "tokenize", "-m", odd, "--pre", "smollm"), succeed(t, "a b", "tokenize", "-m", bpe); got != want {
		t.Errorf("--pre: got %q, want %q", got, want)
	}
}

func TestInspect(t *testing.T) {
	model := tiny(t, "tiny-llama-q4_k")
	var r cli.InspectResult
	unmarshal(t, succeed(t, "", "inspect", model, "--json", "--digest"), &r)
	sum := sha256.Sum256([]byte(readFile(t, model)))
	if r.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("sha256 %s, want %x", r.SHA256, sum)
	}
	if !r.Supported || r.Reason != "" || r.Model == nil || r.Session == nil {
		t.Fatalf("supported %v, reason %q, model %v, session %v", r.Supported, r.Reason, r.Model, r.Session)
	}
	// 2 layers x (2 heads of 64 keys and as many values) x 2 bytes.
	if want := int64(2 * 2 * 64 * 2 * 2); r.Session.PerToken != want || r.Session.FullContext != 1024*want {
		t.Errorf("session %+v, want %d bytes a token", r.Session, want)
	}
	if m := r.Model; m.Layers != 2 || m.Hidden != 256 || m.Vocab != 300 || m.ContextLength != 1024 || m.Architecture != "llama" {
		t.Errorf("model %+v", m)
	}
	var bytes int64
	for _, tensor := range r.Tensors {
		bytes += tensor.Bytes
	}
	var totals int64
	for _, d := range r.DTypes {
		totals += d.Bytes
	}
	if bytes != r.TensorBytes || totals != r.TensorBytes || r.FileBytes < r.TensorBytes {
		t.Errorf("tensors sum up to %d, dtypes to %d, tensor_bytes %d, file_bytes %d", bytes, totals, r.TensorBytes, r.FileBytes)
	}
	if v := r.Metadata["tokenizer.ggml.tokens"]; v.Length == nil || *v.Length != 300 || len(v.Value.([]any)) != 8 {
		t.Errorf("tokenizer.ggml.tokens: %+v", v)
	}

	text := succeed(t, "", "inspect", model)
	for _, want := range []string{"architecture llama", "supported  yes", "... 300 in all]", "blk.1.ffn_down.weight", "Q4_K"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if text := succeed(t, "", "inspect", "--all", model); strings.Contains(text, "in all]") {
		t.Error("--all cuts an array")
	}
}

// TestInspectUnsupported: what cannot be run is described all the same.
func TestInspectUnsupported(t *testing.T) {
	model := changed(t, "general.architecture", "mamba")
	var r cli.InspectResult
	unmarshal(t, succeed(t, "", "inspect", model, "--json"), &r)
	if r.Supported || !strings.Contains(r.Reason, "mamba") || r.Model != nil || len(r.Tensors) == 0 {
		t.Errorf("supported %v, reason %q, model %v, %d tensors", r.Supported, r.Reason, r.Model, len(r.Tensors))
	}
	if text := succeed(t, "", "inspect", model); !strings.Contains(text, "supported  no: ") || !strings.Contains(text, "mamba") {
		t.Errorf("got\n%s", text)
	}
	vocabulary := filepath.Join("..", "..", "..", "shared", "fixtures", "tokenizer", "ggml-vocab-gpt-2.gguf")
	if _, err := os.Stat(vocabulary); err != nil {
		t.Skip("no tokenizer fixtures")
	}
	unmarshal(t, succeed(t, "", "inspect", vocabulary, "--json"), &r)
	if r.Supported || r.Reason == "" || len(r.Tensors) != 0 {
		t.Errorf("a vocabulary: supported %v, reason %q, %d tensors", r.Supported, r.Reason, len(r.Tensors))
	}
}

func TestBench(t *testing.T) {
	model := tiny(t, "tiny-llama-q4_k")
	var r cli.BenchResult
	unmarshal(t, succeed(t, "", "bench", "-m", model, "-p", "33", "-n", "5", "-t", "2", "-r", "2", "--json"), &r)
	if r.PrefillTPS == nil || r.DecodeTPS == nil || *r.PrefillTPS <= 0 || *r.DecodeTPS <= 0 {
		t.Fatalf("got %+v", r)
	}
	if len(r.PrefillSamples) != 2 || len(r.DecodeSamples) != 2 || *r.PrefillStddev < 0 || *r.DecodeStddev < 0 {
		t.Errorf("got %+v", r)
	}
	if known := runtime.GOOS != "linux" || r.Resident > 0 && r.Peak >= r.Resident; r.LoadMS <= 0 || !known {
		t.Errorf("load_ms %v, memory %+v", r.LoadMS, r.Memory)
	}
	want := cli.BenchSettings{
		PromptTokens: 33, DecodeTokens: 5, Threads: 2, Repetitions: 2, Sessions: 1, ContextLength: 1024, CacheType: "f16",
	}
	if r.Settings != want {
		t.Errorf("settings %+v, want %+v", r.Settings, want)
	}

	out := succeed(t, "", "bench", "-m", model, "-p", "0", "-n", "3", "-r", "1", "--json")
	for _, want := range []string{`"prefill_tps":null`, `"decode_tps":`, `"peak_bytes":`, `"resident_bytes":`, `"load_ms":`} {
		if !strings.Contains(out, want) {
			t.Errorf("-p 0: no %s in %s", want, out)
		}
	}
	out = succeed(t, "", "bench", "-m", model, "-p", "0", "-n", "3", "-r", "1", "-b", "3", "-d", "70")
	if !strings.Contains(out, "tg3 @ 70, 3 sessions") {
		t.Errorf("with a depth and sessions:\n%s", out)
	}
	out = succeed(t, "", "bench", "-m", model, "-p", "3", "-n", "0", "-r", "1")
	if !strings.Contains(out, "pp3") || strings.Contains(out, "tg") || !strings.Contains(out, "memory") {
		t.Errorf("-n 0: %s", out)
	}

	r = cli.BenchResult{}
	unmarshal(t, succeed(t, "", "bench", "-m", model, "-p", "33", "-n", "5", "-d", "3", "-r", "2", "--limits", "--gc", "1", "--json"), &r)
	if r.Limits == nil || len(r.Limits.Rates) == 0 || r.Limits.Rates[0].Threads != 1 || r.Limits.Bytes <= 0 {
		t.Fatalf("--limits: %+v", r.Limits)
	}
	for _, b := range []*cli.Bound{r.PrefillBound, r.DecodeBound} {
		if b == nil || b.TPS <= 0 || b.Share <= 0 {
			t.Errorf("--limits: bound %+v", b)
		}
	}
	if c := r.Collector; c == nil || len(c.DecodeSamples) != 2 || c.DecodeTPS <= 0 || c.PauseP99MS > c.PauseMaxMS {
		t.Errorf("--gc: %+v", c)
	}
	out = succeed(t, "", "bench", "-m", model, "-p", "33", "-n", "5", "-d", "3", "-r", "1", "--limits", "--gc", "1")
	for _, want := range []string{"pp33 @ 3", "tg5 @ 3", "% of the ", "GB/s", "with gc"} {
		if !strings.Contains(out, want) {
			t.Errorf("--limits --gc: no %q in\n%s", want, out)
		}
	}
	if out := invoke(t, "", "bench", "-m", model, "-p", "2000", "-n", "0"); out.code != 7 || out.stdout != "" {
		t.Errorf("a prompt beyond the context length: %+v", out)
	}
}

func TestSynth(t *testing.T) {
	if got, want := succeed(t, "", "synth", "--list"), strings.Join(synth.Shapes(), "\n")+"\n"; got != want {
		t.Errorf("--list: %q, want %q", got, want)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a.gguf")
	if out := succeed(t, "", "synth", "tiny-llama-q4_0", path, "--seed", "1"); out != "" {
		t.Errorf("printed %q", out)
	}
	first := readFile(t, path)
	if out := invoke(t, "", "synth", "tiny-llama-q4_0", path); out.code != 12 || !strings.Contains(out.stderr, "--force") {
		t.Errorf("over a file: %+v", out)
	}
	if readFile(t, path) != first {
		t.Error("the file was replaced without --force")
	}
	succeed(t, "", "synth", "--force", "tiny-llama-q4_0", path, "--seed", "2")
	if readFile(t, path) == first {
		t.Error("--force or --seed did nothing")
	}
	succeed(t, "", "synth", "--force", "tiny-llama-q4_0", path, "--seed=1")
	if readFile(t, path) != first {
		t.Error("one seed gives two files")
	}
	for _, tc := range []struct {
		args []string
		code int
	}{
		{[]string{"no-such-shape", filepath.Join(dir, "b.gguf")}, 3},
		{[]string{"tiny-llama-q4_0", filepath.Join(dir, "no", "folder", "b.gguf")}, 11},
		{[]string{"tiny-llama-q4_0"}, 2},
		{[]string{"--list", "tiny-llama-q4_0"}, 2},
	} {
		out := invoke(t, "", append([]string{"synth"}, tc.args...)...)
		if out.code != tc.code || out.stdout != "" || !strings.HasPrefix(out.stderr, "realm: ") {
			t.Errorf("%q: %+v, want exit code %d", tc.args, out, tc.code)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	model := tiny(t, "tiny-llama-f32")
	missing, bad, cut := filepath.Join(dir, "missing.gguf"), filepath.Join(dir, "bad.gguf"), filepath.Join(dir, "cut.gguf")
	for path, data := range map[string]string{bad: "not a model", cut: readFile(t, model)[:100_000]} {
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args []string
		code int
		want string // in the message
	}{
		{[]string{"run", "-m", missing, "-p", "a"}, 3, "missing.gguf"},
		{[]string{"inspect", missing}, 3, "missing.gguf"},
		{[]string{"tokenize", "-m", missing}, 3, "missing.gguf"},
		{[]string{"bench", "-m", missing}, 3, "missing.gguf"},
		{[]string{"run", "-m", model, "--prompt-file", missing}, 3, "missing.gguf"},
		{[]string{"run", "-m", bad, "-p", "a"}, 4, ""},
		{[]string{"inspect", bad, "--json"}, 4, ""},
		{[]string{"inspect", cut}, 4, ""},
		{[]string{"run", "-m", changed(t, "general.architecture", "mamba"), "-p", "a", "--json"}, 5, "mamba"},
		{[]string{"run", "-m", model, "-p", "a", "--ctx", "100000"}, 2, "100000"},
		{[]string{"run", "-m", model, "-p", "a", "-t", "-1"}, 2, "-1"},
		{[]string{"run", "-m", model, "-p", "a", "--top-p", "2"}, 2, "TopP"},
		{[]string{"run", "-m", model, "-p", "a", "--logit-bias", "9999=1"}, 2, "9999"},
		{[]string{"run", "-m", model, "-p", "", "--raw"}, 2, "empty"},
		// Mistakes in the command line itself.
		{[]string{"run", "-p", "a"}, 2, "-m MODEL is missing"},
		{[]string{"tokenize"}, 2, "-m MODEL is missing"},
		{[]string{"bench"}, 2, "-m MODEL is missing"},
		{[]string{"inspect"}, 2, "inspect MODEL"},
		{[]string{"run", "-m", model, "question"}, 2, "question"},
		{[]string{"run", "-m", model, "-p", "a", "--logit-bias", "x"}, 2, "ID=BIAS"},
		{[]string{"run", "-m", model, "-p", "a", "--prompt-file", "b"}, 2, "both"},
		{[]string{"run", "-m", model, "--raw"}, 2, "--raw needs a prompt"},
		{[]string{"run", "-m", model, "--json"}, 2, "--json needs a prompt"},
		{[]string{"run", "-m", model, "--raw", "-p", "a", "--system", "b"}, 2, "--system"},
		{[]string{"run", "-m", model, "-p", "a", "--parse-special"}, 2, "--parse-special"},
		{[]string{"run", "-m", model, "-p", "a", "--keep", "1"}, 2, "--shift"},
		{[]string{"run", "-m", model, "-p", "a", "--hash-logits"}, 2, "--json"},
		{[]string{"run", "-m", model, "-p", "a", "--stop", ""}, 2, "--stop"},
		{[]string{"bench", "-m", model, "-r", "0"}, 2, "-r"},
		{[]string{"bench", "-m", model, "-b", "0"}, 2, "-b"},
		{[]string{"bench", "-m", model, "--gc", "-1"}, 2, "--gc"},
	} {
		out := invoke(t, "", tc.args...)
		first, hint, _ := strings.Cut(out.stderr, "\n")
		if out.code != tc.code || out.stdout != "" || !strings.HasPrefix(first, "realm: ") || !strings.Contains(first, tc.want) {
			t.Errorf("realm %q: exit code %d, stdout %q, stderr %q; want %d and %q",
				tc.args, out.code, out.stdout, out.stderr, tc.code, tc.want)
		}
		if hint != "" && !strings.HasPrefix(hint, "Run 'realm help ") {
			t.Errorf("realm %q: more than one line: %q", tc.args, out.stderr)
		}
	}
}

// TestHelp: each command's help is asked for in three ways, is complete, and fits a terminal.
func TestHelp(t *testing.T) {
	for _, c := range app().Commands {
		want := succeed(t, "", "help", c.Name)
		for _, args := range [][]string{{c.Name, "--help"}, {c.Name, "-h"}} {
			if got := succeed(t, "", args...); got != want {
				t.Errorf("realm %q differs from realm help %s", args, c.Name)
			}
		}
		if c.Short == "" || len(c.Usage) == 0 || !strings.Contains(want, "realm "+c.Usage[0]) {
			t.Errorf("help of %s: %s", c.Name, want)
		}
		for line := range strings.Lines(want) {
			if len([]rune(line)) > 81 {
				t.Errorf("help of %s: line of %d columns: %s", c.Name, len([]rune(line))-1, line)
			}
		}
	}
	text := succeed(t, "", "version")
	var b build
	if err := json.Unmarshal([]byte(succeed(t, "", "--version", "--json")), &b); err != nil {
		t.Fatal(err)
	}
	if b.Version != realm.Version || b.Go != runtime.Version() || !slices.Contains(b.Processor, b.Kernels) {
		t.Errorf("version --json: %+v", b)
	}
	for _, want := range []string{"realm " + realm.Version + "\n", b.Go + " for " + runtime.GOOS, "kernels    " + b.Kernels + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("version: %q is not in %q", want, text)
		}
	}
}
