//go:build !wasip1

package guest_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/guest"
	"github.com/realm-ai/realm/guest/guesttest"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// native is an answer of package realm.
type native struct {
	text   string
	chunks []realm.Chunk // with a token
	last   realm.Chunk
	err    error
}

func askNative(t testing.TB, m *realm.Model, r realm.Request) (n native) {
	t.Helper()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for c, err := range s.Generate(t.Context(), r) {
		n.text += c.Text
		if c.Token >= 0 {
			n.chunks = append(n.chunks, c)
		}
		n.last, n.err = c, err
	}
	return n
}

// toGuest writes a request of package realm as guests take it.
func toGuest(t testing.TB, r realm.Request) guest.Request {
	t.Helper()
	out := guest.Request{
		Model: guesttest.ModelID, Prompt: r.Prompt, ParseSpecial: r.ParseSpecial, Tokens: r.Tokens, MaxTokens: r.MaxTokens, Stop: r.Stop,
		IgnoreEndOfGeneration: r.IgnoreEndOfGeneration, Special: r.Special, Logprobs: r.Logprobs, Shift: r.Shift, Keep: r.Keep,
	}
	for _, part := range []struct {
		from any
		has  bool
		to   *json.RawMessage
	}{{r.Messages, r.Messages != nil, &out.Messages}, {r.Tools, r.Tools != nil, &out.Tools}} {
		if part.has {
			data, err := json.Marshal(part.from)
			if err != nil {
				t.Fatal(err)
			}
			*part.to = data
		}
	}
	if s := r.Sampling; s != nil {
		out.Sampling = &guest.Sampling{
			Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepeatPenalty: s.RepeatPenalty,
			FrequencyPenalty: s.FrequencyPenalty, PresencePenalty: s.PresencePenalty, RepeatLastN: s.RepeatLastN,
			Seed: s.Seed, TopLogprobs: s.TopLogprobs,
		}
		for id, bias := range s.LogitBias {
			if out.Sampling.LogitBias == nil {
				out.Sampling.LogitBias = map[int32]abi.Bias{}
			}
			out.Sampling.LogitBias[id] = abi.Bias(bias)
		}
	}
	return out
}

// compare asks both ways and compares all that comes out.
func compare(t *testing.T, m *realm.Model, h *guesttest.Host, name string, r realm.Request) {
	t.Helper()
	want := askNative(t, m, r)
	got, err := h.Ask(toGuest(t, r))
	if errs.CodeOf(err) != errs.CodeOf(want.err) || err != nil && err.Error() != want.err.Error() {
		t.Errorf("%s: error %v, native %v", name, err, want.err)
	}
	if h.Text != want.text || len(h.Tokens) != len(want.chunks) {
		t.Errorf("%s: text %q of %d tokens, native %q of %d", name, h.Text, len(h.Tokens), want.text, len(want.chunks))
		return
	}
	for i, c := range want.chunks {
		logprob := float32(math.NaN())
		if r.Logprobs {
			logprob = c.Logprob
		}
		if h.Tokens[i].ID != uint32(c.Token) || math.Float32bits(h.Tokens[i].Logprob) != math.Float32bits(logprob) {
			t.Errorf("%s: token %d is %+v, native %d %v", name, i, h.Tokens[i], c.Token, c.Logprob)
		}
		if !slices.EqualFunc(h.Top[i], c.TopLogprobs, func(a guest.TokenLogprob, b realm.TokenLogprob) bool {
			return a == guest.TokenLogprob{ID: uint32(b.ID), Logprob: b.Logprob}
		}) {
			t.Errorf("%s: token %d: most probable %v, native %v", name, i, h.Top[i], c.TopLogprobs)
		}
	}
	if err != nil {
		return
	}
	if len(got.Tokens) != len(want.chunks) || got.FinishReason != string(want.last.Finish) ||
		got.Usage.PromptTokens != want.last.Usage.PromptTokens || got.Usage.CompletionTokens != want.last.Usage.CompletionTokens {
		t.Errorf("%s: result %+v, native %+v", name, got, want.last)
	}
	if r.Logprobs && (len(got.Logprobs) != len(got.Tokens) || len(got.Logprobs[0].Top) != len(want.chunks[0].TopLogprobs)) {
		t.Errorf("%s: logprobs %+v", name, got.Logprobs)
	}
}

func sampling(change func(*realm.Sampling)) *realm.Sampling {
	s := realm.DefaultSampling()
	change(&s)
	return &s
}

var messages = []realm.Message{
	{Role: "system", Content: "You are brief <|im_end|>."},
	{Role: "user", Content: "What is the capital of France? Ünïcode 東京 🚀"},
}

// requests use every option.
func requests() map[string]realm.Request {
	const story = "Once upon a time a small model lived in a large memory."
	return map[string]realm.Request{
		"defaults":    {Prompt: story, MaxTokens: 20},
		"greedy":      {Prompt: story, MaxTokens: 30, Sampling: &realm.Sampling{RepeatPenalty: 1}, IgnoreEndOfGeneration: true},
		"messages":    {Messages: messages, MaxTokens: 12, Sampling: sampling(func(s *realm.Sampling) { s.Seed = 1 << 63 })},
		"no messages": {Messages: []realm.Message{}, MaxTokens: 3},
		"tools": {
			Messages: messages, MaxTokens: 4,
			Tools: []realm.Tool{{Type: "function", Function: realm.Function{Name: "f", Parameters: json.RawMessage(`{"b":1,"a":2}`)}}},
		},
		"tokens":  {Tokens: []int32{5, 6, 7, 5, 6, 7}, MaxTokens: 10, Special: true},
		"special": {Prompt: "<|im_start|>user\nHi<|im_end|>\n", ParseSpecial: true, MaxTokens: 10, Special: true},
		"stop":    {Prompt: story, MaxTokens: 60, IgnoreEndOfGeneration: true, Stop: []string{"e", "th", "\x00"}},
		"penalties": {
			Prompt: story, MaxTokens: 40, IgnoreEndOfGeneration: true,
			Sampling: sampling(func(s *realm.Sampling) { s.RepeatPenalty, s.PresencePenalty, s.FrequencyPenalty = 1.3, 0.2, 0.1 }),
		},
		"rewards": {
			Prompt: story, MaxTokens: 40, IgnoreEndOfGeneration: true,
			Sampling: sampling(func(s *realm.Sampling) { s.RepeatPenalty, s.RepeatLastN = 0.9, -1 }),
		},
		"bias": {
			Prompt: story, MaxTokens: 20, IgnoreEndOfGeneration: true,
			Sampling: sampling(func(s *realm.Sampling) {
				s.LogitBias = map[int32]float32{1: float32(math.Inf(-1)), 2: -1.5, 9: float32(math.Inf(-1))}
			}),
		},
		"flat": {
			Prompt: story, MaxTokens: 20, IgnoreEndOfGeneration: true,
			Sampling: sampling(func(s *realm.Sampling) { s.TopK, s.TopP, s.MinP, s.Temperature = 0, 1, 0, 1.5 }),
		},
		"logprobs": {
			Prompt: story, MaxTokens: 5, IgnoreEndOfGeneration: true, Logprobs: true,
			Sampling: sampling(func(s *realm.Sampling) { s.TopLogprobs = 7 }),
		},
		"shift":       {Prompt: story, MaxTokens: 150, IgnoreEndOfGeneration: true, Shift: true, Keep: 3},
		"to the end":  {Prompt: story, IgnoreEndOfGeneration: true},
		"past it":     {Prompt: story, MaxTokens: 1000, IgnoreEndOfGeneration: true},
		"too long":    {Prompt: strings.Repeat(story, 40)},
		"no prompt":   {Tokens: []int32{}},
		"two prompts": {Prompt: "x", Messages: messages},
		"no token":    {Tokens: []int32{1 << 30}},
		"bad top-p":   {Prompt: "x", Sampling: &realm.Sampling{TopP: 2}},
		"below 0":     {Prompt: "x", MaxTokens: -1},
	}
}

func TestAnswersAreThoseOfTheNativeEngine(t *testing.T) {
	for _, shape := range []string{"tiny-llama-q4_k", "tiny-llama-spm", "tiny-qwen3-q6_k"} {
		m := tinyModel(t, shape, realm.Options{ContextLength: 128})
		h := newHost(t, m)
		for name, r := range requests() {
			compare(t, m, h, shape+": "+name, r)
		}
	}
}

func TestAnswersOfTheRealModel(t *testing.T) {
	path := os.Getenv("REALM_MODEL")
	if path == "" || testing.Short() {
		t.Skip("no REALM_MODEL, or -short")
	}
	m := openModel(t, path, realm.Options{})
	h := newHost(t, m)
	for name, r := range requests() {
		if r.MaxTokens > 0 && r.MaxTokens < 40 {
			compare(t, m, h, name, r)
		}
	}
	got, err := h.Ask(guest.Request{
		Model: guesttest.ModelID, Sampling: &guest.Sampling{RepeatPenalty: 1}, MaxTokens: 30,
		Messages: json.RawMessage(`[{"role":"system","content":"You are a helpful AI assistant."},` +
			`{"role":"user","content":"What is the capital of France?"}]`),
	})
	if err != nil || !strings.Contains(h.Text, "Paris") || got.FinishReason != "stop" {
		t.Errorf("%q, %+v, %v", h.Text, got, err)
	}
}

// TestHostCalls holds the usual options to the calls that they take: no logits cross for them.
func TestHostCalls(t *testing.T) {
	h := newHost(t, tinyModel(t, "tiny-llama-q4_k", realm.Options{}))
	if guest.CallPrepare(guesttest.ModelID) != 0 {
		t.Fatal("prepare failed")
	}
	if _, err := h.Ask(guest.Request{Model: guesttest.ModelID, Prompt: "Hello", MaxTokens: 10, IgnoreEndOfGeneration: true}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{abi.Forward: 10, abi.TopLogits: 10}
	delete(h.Calls, abi.Emit)
	if len(h.Calls) != len(want) || h.Calls[abi.Forward] != 10 || h.Calls[abi.TopLogits] != 10 {
		t.Errorf("calls %v, want %v", h.Calls, want)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	h := newHost(t, tinyModel(t, "tiny-llama-q4_k", realm.Options{}))
	for text, want := range map[string]errs.Code{
		``:                                   errs.InvalidArgument,
		`{"model":1}x`:                       errs.InvalidArgument,
		`{"modle":1}`:                        errs.InvalidArgument,
		`{"model":-1}`:                       errs.InvalidArgument,
		`{"model":1,"prompt":"x"}`:           errs.PermissionDenied,
		`{"model":3203334145}`:               errs.InvalidArgument,
		`{"model":3203334145,"messages":{}}`: errs.InvalidArgument,
		`{"model":3203334145,"messages":[{"role":1}]}`:                        errs.InvalidArgument,
		`{"model":3203334145,"prompt":"x","tools":7}`:                         errs.InvalidArgument,
		`{"model":3203334145,"prompt":"x","sampling":{"seed":12}}`:            errs.InvalidArgument,
		`{"model":3203334145,"prompt":"x","sampling":{"top_p":"1"}}`:          errs.InvalidArgument,
		`{"model":3203334145,"prompt":"x","max_tokens":99999999999999999999}`: errs.InvalidArgument,
	} {
		if err := h.Reset(); err != nil {
			t.Fatal(err)
		}
		if code := guest.CallGenerate([]byte(text)); abi.ErrorCode(code) != want || code >= 0 || h.ErrorText == "" {
			t.Errorf("%s: %v, %q, want %v", text, abi.ErrorCode(code), h.ErrorText, want)
		}
	}
}

func TestServe(t *testing.T) {
	t.Cleanup(func() { guest.Serve(guest.Answer) })
	h := newHost(t, tinyModel(t, "tiny-llama-q4_k", realm.Options{}))
	guest.Serve(nil)
	if code := guest.CallGenerate(nil); abi.ErrorCode(code) != errs.Unsupported {
		t.Errorf("without a handler: %v", code)
	}
	guest.Serve(func([]byte) error { return errors.New("a plain error") })
	if code := guest.CallGenerate(nil); abi.ErrorCode(code) != errs.Internal || h.ErrorText != "a plain error" {
		t.Errorf("a plain error: %v, %q", code, h.ErrorText)
	}
	if code := guest.CallPrepare(1); abi.ErrorCode(code) != errs.PermissionDenied {
		t.Errorf("prepare of a model that is not granted: %v", code)
	}
}

func TestMain(m *testing.M) {
	guest.Serve(guest.Answer)
	os.Exit(m.Run())
}
