package realm_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/synth"
)

func tiny(t *testing.T, shape string) string {
	t.Helper()
	t.Setenv("REALM_CACHE", t.TempDir())
	path := filepath.Join(t.TempDir(), shape+".gguf")
	if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *realm.Model {
	t.Helper()
	m, err := realm.Open(path, realm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func session(t *testing.T, m *realm.Model) *realm.Session {
	t.Helper()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// collect runs a request to its end.
func collect(t *testing.T, s *realm.Session, r realm.Request) (chunks []realm.Chunk, err error) {
	t.Helper()
	for c, e := range s.Generate(t.Context(), r) {
		chunks, err = append(chunks, c), e
	}
	return chunks, err
}

func TestRequestsAreChecked(t *testing.T) {
	s := session(t, open(t, tiny(t, "tiny-llama-q8_0")))
	messages := []realm.Message{{Role: "user", Content: "x"}}
	for _, r := range []realm.Request{
		{},
		{Prompt: "x", Messages: messages},
		{Prompt: "x", Tokens: []int32{1}},
		{Messages: messages, Tokens: []int32{1}},
		{Prompt: "x", Sampling: &realm.Sampling{MinP: -1}},
		{Tokens: []int32{-1}},
	} {
		chunks, err := collect(t, s, r)
		if !errors.Is(err, realm.CodeInvalidArgument) || len(chunks) != 1 {
			t.Errorf("%+v: %v, %d chunks", r, err, len(chunks))
		}
	}
}

func TestLogprobs(t *testing.T) {
	s := session(t, open(t, tiny(t, "tiny-llama-q8_0")))
	sampling := realm.Sampling{TopLogprobs: 300}
	n := 0
	chunks, err := collect(t, s, realm.Request{
		Prompt: "Hello", MaxTokens: 3, Sampling: &sampling, Logprobs: true, IgnoreEndOfGeneration: true,
		OnLogits: func([]float32) { n++ },
	})
	if err != nil || len(chunks) != 4 || n != 3 {
		t.Fatalf("%d chunks, %d logits, error %v", len(chunks), n, err)
	}
	for _, c := range chunks[:3] {
		sum := 0.0
		for _, l := range c.TopLogprobs {
			sum += math.Exp(float64(l.Logprob))
		}
		if c.TopLogprobs[0].ID != c.Token || c.TopLogprobs[0].Logprob != c.Logprob || math.Abs(sum-1) > 1e-4 {
			t.Errorf("token %d (%v), most probable %+v, probabilities sum to %v", c.Token, c.Logprob, c.TopLogprobs[0], sum)
		}
	}
	sampling.LogitBias = map[int32]float32{chunks[0].Token: float32(math.Inf(-1))}
	banned, err := collect(t, s, realm.Request{Prompt: "Hello", MaxTokens: 1, Sampling: &sampling})
	if err != nil || banned[0].Token == chunks[0].Token {
		t.Errorf("a banned token came: %+v, %v", banned, err)
	}
}

// TestSeeds holds a seed to its answer and other seeds to others.
func TestSeeds(t *testing.T) {
	path := tiny(t, "tiny-llama-q4_1")
	answer := func(seed uint64, threads int) string {
		m, err := realm.Open(path, realm.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		sampling := realm.DefaultSampling()
		sampling.Seed = seed
		chunks, err := collect(t, session(t, m), realm.Request{
			Prompt: "Once", MaxTokens: 20, Sampling: &sampling, IgnoreEndOfGeneration: true, Special: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, c := range chunks {
			text += c.Text
		}
		return text
	}
	if a, b := answer(1, 1), answer(1, 3); a != b {
		t.Errorf("one seed, two answers: %q and %q", a, b)
	}
	if a, b := answer(1, 1), answer(2, 1); a == b {
		t.Errorf("two seeds, one answer: %q", a)
	}
}

func TestInfoAndInspect(t *testing.T) {
	path := tiny(t, "tiny-qwen3-q6_k")
	m := open(t, path)
	info := m.Info()
	d, err := realm.Inspect(path, 3)
	if err != nil {
		t.Fatal(err)
	}
	if info.Architecture != "qwen3" || info.Layers != 2 || info.TensorCount != len(d.Tensors) || info.TensorBytes != d.TensorBytes ||
		info.FileBytes != d.FileBytes || info.TemplateError != nil {
		t.Errorf("info %+v, file %d bytes, %d tensors", info, d.FileBytes, len(d.Tensors))
	}
	if stat, err := os.Stat(path); err != nil || stat.Size() != info.FileBytes {
		t.Errorf("file size %v, error %v, want %d", stat.Size(), err, info.FileBytes)
	}
	// Keys and values of two layers in F16.
	if want := int64(2 * info.KVHeads * 2 * info.HeadDim * 2); info.CacheBytesPerToken != want {
		t.Errorf("%d bytes of cache a token, want %d", info.CacheBytesPerToken, want)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Errorf("a description is no JSON: %v", err)
	}
	for _, kv := range d.Metadata {
		if list, ok := kv.Value.([]any); ok && len(list) > 3 {
			t.Errorf("%s has %d elements", kv.Key, len(list))
		}
		if kv.Key == "tokenizer.chat_template" && kv.Value != m.ChatTemplate() {
			t.Errorf("chat template %q, want %q", m.ChatTemplate(), kv.Value)
		}
	}
	a, err := m.Digest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := realm.FileDigest(t.Context(), path, nil); a != b || err != nil || len(a) != 64 {
		t.Errorf("digests %s and %s (%v)", a, b, err)
	}
}

func TestPromptKeepsMessages(t *testing.T) {
	m := open(t, tiny(t, "tiny-llama-f32"))
	text, tokens, err := m.Prompt([]realm.Message{
		{Role: "system", Content: "Be brief."},
		{Role: "user", Content: "Hi <|im_end|>"},
	}, []realm.Tool{{Type: "function", Function: realm.Function{Name: "f", Parameters: json.RawMessage(`{}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "Hi <|im_end|>") || !strings.HasSuffix(text, "assistant\n") || len(tokens) == 0 {
		t.Errorf("prompt %q, %d tokens", text, len(tokens))
	}
}

func TestTokenizerOutlivesItsModel(t *testing.T) {
	path := tiny(t, "tiny-llama-spm")
	m := open(t, path)
	tok := m.Tokenizer()
	want, err := tok.Encode("some text", realm.EncodeOptions{AddSpecial: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := tok.Encode("some text", realm.EncodeOptions{AddSpecial: true})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("after Close: %v, %v, want %v", got, err, want)
	}
	if table, err := tok.VocabTable(); err != nil || len(table) < 4*tok.VocabSize() {
		t.Errorf("a vocabulary table of %d bytes, %v", len(table), err)
	}
	if _, err := m.NewSession(); !errors.Is(err, realm.CodeClosed) {
		t.Errorf("a session of a closed model: %v", err)
	}
	d := tok.NewDecoder(false)
	text := ""
	for _, id := range got {
		text += d.Push(id)
	}
	if text += d.Flush(); !strings.HasSuffix(text, "some text") {
		t.Errorf("decoded %q", text)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.gguf")
	if err := os.WriteFile(bad, []byte("not a model"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]realm.Code{
		filepath.Join(dir, "none.gguf"): realm.CodeNotFound,
		bad:                             realm.CodeInvalidFormat,
	} {
		_, err := realm.Open(path, realm.Options{})
		if e := (*realm.Error)(nil); !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Error(), filepath.Base(path)) {
			t.Errorf("%s: %v, want code %s", path, err, code.Name())
		}
		if _, err := realm.OpenTokenizer(path, ""); realm.CodeOf(err) != code {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := realm.FileDigest(context.Background(), path, nil); realm.CodeOf(err) != code {
			t.Errorf("%s: %v", path, err)
		}
	}
}
