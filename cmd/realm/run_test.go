package main

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/cli"
)

// TestRunJSON looks at everything that --json prints.
func TestRunJSON(t *testing.T) {
	model := tiny(t, "tiny-llama-q4_k")
	out := succeed(t, "", "run", "-m", model, "-p", "Hello", "-n", "5", "--json", "--hash-logits", "--logprobs", "3", "-t", "2")
	if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "}\n") {
		t.Errorf("not one line: %q", out)
	}
	var r cli.RunResult
	unmarshal(t, out, &r)
	if len(r.Tokens) != 5 || r.FinishReason != "length" || r.Usage != (cli.Usage{PromptTokens: len(r.PromptTokens), CompletionTokens: 5}) {
		t.Errorf("tokens %v, finish_reason %q, usage %+v", r.Tokens, r.FinishReason, r.Usage)
	}
	if r.Timings.Load <= 0 || r.Timings.Prefill <= 0 || r.Timings.Decode <= 0 || runtime.GOOS == "linux" && r.Memory.Peak == 0 {
		t.Errorf("timings %+v, memory %+v", r.Timings, r.Memory)
	}
	if r.Model.File != model || r.Model.Architecture != "llama" || !strings.Contains(r.Model.Name, "tiny-llama-q4_k") {
		t.Errorf("model %+v", r.Model)
	}
	system := "You are a helpful AI assistant."
	if want := (cli.RunSettings{
		Threads: 2, ContextLength: 1024, CacheType: "f16", MaxTokens: 5, System: &system, Stop: []string{}, TopK: 40,
		TopP: 0.95, MinP: 0.05, RepeatPenalty: 1, RepeatLastN: 64, LogitBias: map[int32]*float32{},
	}); !reflect.DeepEqual(r.Settings, want) {
		t.Errorf("settings %+v, want %+v", r.Settings, want)
	}
	if len(r.LogitsSHA256) != 64 || len(r.Logprobs) != 5 {
		t.Errorf("logits_sha256 %q, %d logprobs", r.LogitsSHA256, len(r.Logprobs))
	}
	for i, l := range r.Logprobs {
		// Greedy: the token is the most probable one.
		if l.ID != r.Tokens[i] || len(l.Top) != 3 || l.Top[0] != l.TokenLogprob || l.Top[1].Logprob > l.Logprob || l.Logprob > 0 {
			t.Errorf("logprobs[%d] is %+v, token %d", i, l, r.Tokens[i])
		}
	}

	// What was not asked for is not there, and lists are never null.
	out = succeed(t, "", "run", "-m", model, "-p", "Hello", "-n", "2", "--json", "--stop", "x")
	for _, key := range []string{"logits_sha256", "logprobs", "null"} {
		if strings.Contains(out, key) {
			t.Errorf("%s in %s", key, out)
		}
	}
	if text := succeed(t, "", "run", "-m", model, "-p", "Hello", "-n", "5"); text != r.Text+"\n" {
		t.Errorf("without --json: %q, want %q", text, r.Text)
	}
}

// TestRunSameBytes holds the logits of every step to DESIGN section 5, through the command line.
func TestRunSameBytes(t *testing.T) {
	for _, shape := range []string{"tiny-llama-q4_k", "tiny-qwen3-q8_0"} {
		model := tiny(t, shape)
		prompt := strings.Repeat("Numbers that never change. ", 9)
		run := func(flags ...string) cli.RunResult {
			t.Helper()
			return runJSON(t, model, append(flags, "--raw", "-p", prompt, "-n", "4", "--ignore-eos", "--hash-logits")...)
		}
		want := run("-t", "1", "--chunk", "512")
		if len(want.PromptTokens) < 129 {
			t.Fatalf("a prompt of %d tokens is no test of chunks", len(want.PromptTokens))
		}
		for _, flags := range [][]string{
			{"-t", "2"}, {"-t", "3"}, {"--chunk", "1"}, {"--chunk", "7", "-t", "3"}, {"--chunk", "64"},
		} {
			got := run(flags...)
			if got.LogitsSHA256 != want.LogitsSHA256 || !slices.Equal(got.Tokens, want.Tokens) {
				t.Errorf("%s %q: logits %s, tokens %v; want %s, %v",
					shape, flags, got.LogitsSHA256, got.Tokens, want.LogitsSHA256, want.Tokens)
			}
		}
		if got := run("--cache-type", "f32"); got.LogitsSHA256 == want.LogitsSHA256 {
			t.Errorf("%s: --cache-type f32 changes nothing", shape)
		}
	}
}

func TestRunSampling(t *testing.T) {
	model := tiny(t, "tiny-llama-f32")
	run := func(flags ...string) []int32 {
		t.Helper()
		return runJSON(t, model, append(flags, "--raw", "-p", "Once upon", "-n", "16", "--ignore-eos")...).Tokens
	}
	greedy := run()
	if again := run("--seed", "5", "--top-k", "3"); !slices.Equal(again, greedy) {
		t.Errorf("greedy depends on the seed: %v and %v", greedy, again)
	}
	one, again, other := run("--temp", "1.5", "--seed", "1"), run("--temp", "1.5", "--seed", "1"), run("--temp", "1.5", "--seed", "2")
	if !slices.Equal(one, again) {
		t.Errorf("one seed, two answers: %v and %v", one, again)
	}
	if slices.Equal(one, other) || slices.Equal(one, greedy) {
		t.Errorf("seeds 1 and 2 and greedy: %v, %v, %v", one, other, greedy)
	}
	if hot := run("--temp", "1.5", "--top-k", "1"); !slices.Equal(hot, greedy) {
		t.Errorf("--top-k 1 is not greedy: %v", hot)
	}
	if hot := run("--temp", "1.5", "--top-p", "0", "--min-p", "1"); !slices.Equal(hot, greedy) {
		t.Errorf("--top-p 0 is not greedy: %v", hot)
	}
	if biased := run("--logit-bias", "65=1000", "--logit-bias", "66=-inf"); !slices.Equal(biased, slices.Repeat([]int32{65}, 16)) {
		t.Errorf("a bias of 1000: %v", biased)
	}
	penalized := run("--repeat-penalty", "1000", "--presence-penalty", "1000", "--frequency-penalty", "1000", "--repeat-last-n", "-1")
	if n := len(penalized); len(slices.Compact(slices.Sorted(slices.Values(penalized)))) != n {
		t.Errorf("penalties of 1000 repeat a token: %v", penalized)
	}
	if off := run("--repeat-penalty", "1000", "--repeat-last-n", "0"); !slices.Equal(off, greedy) {
		t.Errorf("--repeat-last-n 0 does not turn the penalty off: %v", off)
	}
}

func TestRunStop(t *testing.T) {
	model := tiny(t, "tiny-llama-f32")
	args := []string{"--raw", "-p", "Once upon", "-n", "24", "--ignore-eos"}
	full := runJSON(t, model, args...)
	if len(full.Text) < 12 {
		t.Fatalf("too short for a test: %q", full.Text)
	}
	stop := full.Text[6:9]
	before, _, _ := strings.Cut(full.Text, stop)
	got := runJSON(t, model, append(args, "--stop", "no such text", "--stop", stop)...)
	if got.Text != before || got.FinishReason != "stop" || len(got.Tokens) >= len(full.Tokens) {
		t.Errorf("stop at %q: %q, finish_reason %q; want %q", stop, got.Text, got.FinishReason, before)
	}
	if !slices.Equal(got.Tokens, full.Tokens[:len(got.Tokens)]) {
		t.Errorf("tokens %v are not the first of %v", got.Tokens, full.Tokens)
	}
}

// TestRunEnd lets the model itself end its answer: of all tokens only the one that ends a turn is likely.
func TestRunEnd(t *testing.T) {
	model := tiny(t, "tiny-llama-f32")
	got := runJSON(t, model, "-p", "Hi", "-n", "4", "--logit-bias", "2=1000")
	if got.FinishReason != "stop" || len(got.Tokens) != 0 || got.Text != "" {
		t.Errorf("got %+v", got)
	}
	ignored := []string{"-p", "Hi", "-n", "2", "--logit-bias", "2=1000", "--ignore-eos"}
	if got := runJSON(t, model, ignored...); got.FinishReason != "length" || !slices.Equal(got.Tokens, []int32{2, 2}) || got.Text != "" {
		t.Errorf("--ignore-eos: got %+v", got)
	}
	if got := runJSON(t, model, append(ignored, "--special")...); got.Text != "<|im_end|><|im_end|>" {
		t.Errorf("--special: got %q", got.Text)
	}
}

// TestRunPrompt gets the same prompt to the model by each of the ways.
func TestRunPrompt(t *testing.T) {
	model := tiny(t, "tiny-llama-f32")
	file := filepath.Join(t.TempDir(), "prompt.txt")
	if err := os.WriteFile(file, []byte("Hello\nworld\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := runJSON(t, model, "-p", "Hello\nworld", "-n", "1").PromptTokens
	if got := runJSON(t, model, "--prompt-file", file, "-n", "1").PromptTokens; !slices.Equal(got, want) {
		t.Errorf("--prompt-file: %v, want %v", got, want)
	}
	for _, stdin := range []string{"Hello\nworld", "Hello\nworld\n", "Hello\nworld\r\n"} {
		var r cli.RunResult
		unmarshal(t, succeed(t, stdin, "run", "-m", model, "-p", "-", "-n", "1", "--json"), &r)
		if !slices.Equal(r.PromptTokens, want) {
			t.Errorf("-p - of %q: %v, want %v", stdin, r.PromptTokens, want)
		}
	}

	// Control tokens in a raw prompt are text, unless they are asked for.
	raw := func(flags ...string) cli.RunResult {
		t.Helper()
		return runJSON(t, model, append(flags, "--raw", "-p", "<|im_end|>", "-n", "1")...)
	}
	if got := raw(); len(got.PromptTokens) < 5 || !got.Settings.Raw || got.Settings.System != nil {
		t.Errorf("--raw: %+v", got)
	}
	if got := raw("--parse-special").PromptTokens; !slices.Equal(got, []int32{2}) {
		t.Errorf("--parse-special: %v, want [2]", got)
	}
}

// TestRunSystem: the default, another, none, and none where the template has no place for one.
func TestRunSystem(t *testing.T) {
	text := func(model string, tokens []int32) string {
		t.Helper()
		tokenizer := openTokenizer(t, model)
		return tokenizer.Decode(tokens, true)
	}
	model := tiny(t, "tiny-llama-f32")
	user := "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
	for _, tc := range []struct {
		flags []string
		want  string
	}{
		{nil, "<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n" + user},
		{[]string{"--system", "Be brief."}, "<|im_start|>system\nBe brief.<|im_end|>\n" + user},
		{[]string{"--system", ""}, user},
	} {
		r := runJSON(t, model, append(tc.flags, "-p", "Hi", "-n", "1")...)
		if got := text(model, r.PromptTokens); got != tc.want {
			t.Errorf("%q: prompt %q, want %q", tc.flags, got, tc.want)
		}
		if (r.Settings.System == nil) != (tc.want == user) {
			t.Errorf("%q: settings.system is %v", tc.flags, r.Settings.System)
		}
	}

	strict := changed(t, "tokenizer.chat_template", "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"+
		"[{{ m.role }}: {{ m.content }}]{% endfor %}")
	r := runJSON(t, strict, "-p", "Hi", "-n", "1")
	if got := text(strict, r.PromptTokens); got != "[user: Hi]" || r.Settings.System != nil {
		t.Errorf("a template without system messages: prompt %q, settings.system %v", got, r.Settings.System)
	}
	if out := invoke(t, "", "run", "-m", strict, "-p", "Hi", "--system", "Be brief."); out.code != 2 || !strings.Contains(out.stderr, "no system") {
		t.Errorf("the same with --system: %+v", out)
	}

	broken := changed(t, "tokenizer.chat_template", "{% for %}")
	out := invoke(t, "", "run", "-m", broken, "-p", "Hi", "-n", "1", "--json")
	unmarshal(t, out.stdout, &r)
	if got := text(broken, r.PromptTokens); !strings.HasSuffix(got, user) || !strings.Contains(out.stderr, "chat template cannot be used") {
		t.Errorf("a broken template: prompt %q, stderr %q", got, out.stderr)
	}
}

func TestRunContextLength(t *testing.T) {
	model := tiny(t, "tiny-llama-f32")
	args := []string{"--raw", "-p", "Hello, world, hello", "--ignore-eos", "--ctx", "40"}
	full := runJSON(t, model, args...)
	if full.FinishReason != "length" || full.Usage.PromptTokens+full.Usage.CompletionTokens != 41 {
		t.Errorf("without -n: finish_reason %q, usage %+v", full.FinishReason, full.Usage)
	}
	// The last token needs no position of its own. With -n, to stop short of it is a failure; what came is printed.
	out := invoke(t, "", append([]string{"run", "-m", model, "-n", "60"}, args...)...)
	if out.code != 7 || out.stdout != full.Text+"\n" || strings.Count(out.stderr, "\n") != 1 {
		t.Errorf("-n 60: %+v, want exit code 7 and %q", out, full.Text)
	}
	out = invoke(t, "", append([]string{"run", "-m", model, "-n", "60", "--json"}, args...)...)
	if out.code != 7 || out.stdout != "" {
		t.Errorf("-n 60 --json: %+v, want exit code 7 and nothing", out)
	}
	shifted := runJSON(t, model, append(args, "-n", "60", "--shift", "--keep", "2")...)
	if len(shifted.Tokens) != 60 || !slices.Equal(shifted.Tokens[:len(full.Tokens)], full.Tokens) {
		t.Errorf("--shift: %v, want 60 tokens that begin %v", shifted.Tokens, full.Tokens)
	}
	out = invoke(t, "", "run", "-m", model, "--raw", "--ctx", "40", "-p", strings.Repeat("long ", 100))
	if out.code != 7 || out.stdout != "" || !strings.HasPrefix(out.stderr, "realm: ") {
		t.Errorf("a long prompt: %+v, want exit code 7", out)
	}
}

// TestRunChat talks through a pipe. Each answer is the one that the whole conversation as one prompt would have, and
// only what is new is computed.
func TestRunChat(t *testing.T) {
	model := tiny(t, "tiny-llama-f32")
	flags := []string{"run", "-m", model, "-n", "6", "--ignore-eos", "-v"}
	out := invoke(t, "Hello\nAnd you?\n/clear\nHello\n", flags...)
	if out.code != 0 {
		t.Fatalf("%+v", out)
	}
	one := succeed(t, "", "run", "-m", model, "-n", "6", "--ignore-eos", "-p", "Hello")
	if !strings.HasPrefix(out.stdout, one) || !strings.HasSuffix(out.stdout, one) || len(out.stdout) <= 2*len(one) {
		t.Errorf("got %q, want it to begin and end with %q", out.stdout, one)
	}
	notes := strings.Split(strings.TrimSpace(out.stderr), "\n")
	if len(notes) != 3 || strings.Contains(notes[0], "cached") || !strings.Contains(notes[1], "cached") {
		t.Errorf("notes %q: want the second answer to find a cached prefix", notes)
	}
	if out := invoke(t, strings.Repeat("too long ", 2000)+"\nHello\n", flags...); out.code != 7 || out.stdout != "" {
		t.Errorf("a message that does not fit: %+v", out)
	}
}

// TestRunReal asks the question of `make demo`.
func TestRunReal(t *testing.T) {
	model := realModel(t)
	if out := succeed(t, "", "run", "-m", model, "-p", "What is the capital of France?"); !strings.Contains(out, "Paris") {
		t.Errorf("got %q", out)
	}
}
