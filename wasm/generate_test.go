package wasm

import (
	"crypto/sha256"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// told is everything that an answer says, with a hash of the logits of all steps.
type told struct {
	Text, Finish   string
	Tokens, Prompt []int32
	Logprobs       []float32
	Top            [][]realm.TokenLogprob
	Usage          realm.Usage
	Logits         [sha256.Size]byte
	Steps          int
}

func listen(t *testing.T, chunks func(r realm.Request) func(func(realm.Chunk, error) bool), r realm.Request) told {
	t.Helper()
	var a told
	hash := sha256.New()
	r.OnPrompt = func(tokens []int32) { a.Prompt = append(a.Prompt, tokens...) }
	r.OnLogits = func(logits []float32) { hash.Write(floatBytes(logits)); a.Steps++ }
	for c, err := range chunks(r) {
		if err != nil {
			t.Fatal(err)
		}
		a.Text += c.Text
		if c.Token >= 0 {
			a.Tokens = append(a.Tokens, c.Token)
			a.Logprobs = append(a.Logprobs, c.Logprob)
			a.Top = append(a.Top, c.TopLogprobs)
		}
		a.Finish, a.Usage = string(c.Finish), c.Usage
	}
	hash.Sum(a.Logits[:0])
	return a
}

// TestGenerate holds answers by the shipped guest to the native engine's: texts, tokens, log-probabilities, usage, and the
// bits of every step's logits. With REALM_MODEL it does so for the real model too.
func TestGenerate(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the guest")
	}
	models := []*realm.Model{newModel(t, "tiny-llama-q4_k", realm.Options{}), newModel(t, "tiny-llama-spm", realm.Options{})}
	if path := os.Getenv("REALM_MODEL"); path != "" {
		m, err := realm.Open(path, realm.Options{ContextLength: 512})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models = append(models, m)
	}
	g := load(t, newRuntime(t, Options{}), shippedGuest(t), GuestOptions{})
	sampled := realm.DefaultSampling()
	sampled.Seed, sampled.TopLogprobs, sampled.RepeatPenalty = 5, 3, 1.1
	sampled.LogitBias = map[int32]float32{7: 2, 9: -3}
	greedy := realm.Sampling{TopP: 1, RepeatPenalty: 1}
	for _, m := range models {
		for name, r := range map[string]realm.Request{
			"greedy":   {Prompt: story, MaxTokens: 24, Sampling: &greedy, IgnoreEndOfGeneration: true},
			"sampled":  {Prompt: story, MaxTokens: 24, Sampling: &sampled, Logprobs: true},
			"messages": {Messages: []realm.Message{{Role: "user", Content: "What is the capital of France?"}}, MaxTokens: 24, Sampling: &greedy},
			"defaults": {Prompt: story, MaxTokens: 8},
			"tokens":   {Tokens: []int32{5, 6, 7}, MaxTokens: 8, Stop: []string{"\x00never"}, Special: true, Sampling: &greedy},
		} {
			want := listen(t, func(r realm.Request) func(func(realm.Chunk, error) bool) {
				s, err := m.NewSession()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s.Generate(t.Context(), r)
			}, r)
			var used Result
			got := listen(t, func(r realm.Request) func(func(realm.Chunk, error) bool) {
				return g.Generate(t.Context(), m, r, RunOptions{Limits: DefaultLimits(), Result: &used})
			}, r)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s:\n got %+v\nwant %+v", m.Info().Name, name, got, want)
			}
			if used.Fuel == 0 || used.WeightBytes != 0 || used.HostCalls[abi.Forward] == 0 {
				t.Errorf("%s, %s: %+v", m.Info().Name, name, used)
			}
		}
	}
	// Leaving the loop ends the guest; a request that cannot be answered is one pair.
	n := 0
	var used Result
	for _, err := range g.Generate(t.Context(), models[0], realm.Request{Prompt: story}, RunOptions{Result: &used}) {
		if n++; err != nil || n == 3 {
			break
		}
	}
	if n != 3 || used.HostCalls[abi.Forward] > 5 {
		t.Errorf("left after %d chunks, %v", n, used.HostCalls)
	}
	for _, r := range []realm.Request{{}, {Prompt: "a", Tokens: []int32{1}}} {
		for c, err := range g.Generate(t.Context(), models[0], r, RunOptions{}) {
			if !errors.Is(err, realm.CodeInvalidArgument) || c.Token != -1 {
				t.Errorf("%+v: %+v, %v", r, c, err)
			}
		}
	}
}

// TestDescribe looks at guests and at what is none.
func TestDescribe(t *testing.T) {
	r := newRuntime(t, Options{})
	d, err := r.Describe(t.Context(), tiny("i32.const 0"))
	if err != nil || d.Refused != nil || d.ABIVersion != abi.Version || d.MemoryMin != memoryPages*pageBytes || d.MemoryMax != 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	if len(d.Imports) != len(abi.Functions())+4 || len(d.Exports) != 4 || d.Exports[0] != (Function{"", abi.ExportVersion, "() -> (i32)"}) {
		t.Errorf("%+v", d)
	}
	if d, err := r.Describe(t.Context(), []byte("\x00asm\x01\x00\x00\x00")); err != nil || !errors.Is(d.Refused, realm.CodeUnsupported) {
		t.Errorf("an empty module: %+v, %v", d, err)
	}
	if _, err := r.Describe(t.Context(), []byte(strings.Repeat("x", 10))); !errors.Is(err, realm.CodeInvalidFormat) {
		t.Errorf("no module: %v", err)
	}
}

// prose is text of at most so many tokens, in which words repeat as those of prose do.
func prose(t testing.TB, m *realm.Model, tokens int) string {
	t.Helper()
	license, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(license)), " ")[:8*tokens]
	for {
		ids, err := m.Tokenizer().Encode(text, realm.EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) < tokens { // there may be a BOS besides
			return text
		}
		text = text[:len(text)-8]
	}
}

// TestGuestMemory bounds the memory of the guest that ships after a long prompt and answer of the real model: where the few
// largest logits are enough to draw from, and where it takes all of them.
func TestGuestMemory(t *testing.T) {
	path := os.Getenv("REALM_MODEL")
	if path == "" || testing.Short() {
		t.Skip("REALM_MODEL is not set, or short")
	}
	m, err := realm.Open(path, realm.Options{ContextLength: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	limit := int64(16 << 20)
	if m.Tokenizer().VocabSize() <= 32000 {
		limit = 12 << 20
	}
	module := shippedGuest(t)
	if len(module) < 1<<20 { // TinyGo's
		limit = 8 << 20
	}
	g := load(t, newRuntime(t, Options{}), module, GuestOptions{})
	for name, topK := range map[string]int{"some logits": 40, "all logits": 0} {
		a := ask(t, g, m, abi.Request{
			Prompt: prose(t, m, 512), MaxTokens: 128, IgnoreEndOfGeneration: true,
			Sampling: &abi.Sampling{Temperature: 1, TopK: topK, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1},
		}, DefaultLimits())
		t.Logf("%s, %d and %d tokens: %d bytes", name, a.result.Usage.PromptTokens, a.result.Usage.CompletionTokens, a.MemoryBytes)
		if a.MemoryBytes > limit {
			t.Errorf("%s: %d bytes of memory, want at most %d", name, a.MemoryBytes, limit)
		}
	}
}
