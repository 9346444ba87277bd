package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/generate"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/synth"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// newEngine makes an engine for a synthetic model; released tells whether its file was given back.
func newEngine(t testing.TB, shape string, o Options) (e *Engine, released func() bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), shape+".gguf")
	if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	done := false
	e, err = New(f, o, func() {
		mu.Lock()
		defer mu.Unlock()
		if done {
			t.Error("released twice")
		}
		done = true
		_ = f.Close()
	})
	if err != nil {
		_ = f.Close()
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return done
	}
}

func newSession(t testing.TB, e *Engine) *Session {
	t.Helper()
	s, err := e.NewSession(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func encode(t testing.TB, e *Engine, text string) []int32 {
	t.Helper()
	tokens, err := e.Tokenizer.Encode(nil, text, EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// answer collects what Generate gives.
type answer struct {
	text   string
	tokens []int32
	last   Chunk
	err    error
}

func respond(ctx context.Context, s *Session, r Request) (a answer) {
	for c, err := range s.Generate(ctx, r) {
		a.text += c.Text
		if c.Token >= 0 {
			a.tokens = append(a.tokens, c.Token)
		}
		a.last, a.err = c, err
	}
	return a
}

func bits(logits []float32) string {
	var b strings.Builder
	for _, v := range logits {
		fmt.Fprintf(&b, "%08x", math.Float32bits(v))
	}
	return b.String()
}

func hash(bits string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(bits))
	return h.Sum64()
}

const story = "One day a model was cut into small pages, and each page went to another machine. "

// sessionBits is the FNV-1a hash of TestSessionBits' logits, which no processor and no later kernel may change.
const sessionBits = 0xe9612e08f0979ec8

func TestTopLogits(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q4_k", Options{})
	s := newSession(t, e)
	ids, top := make([]int32, 5), make([]float32, 5)
	if _, err := s.TopLogits(ids, top); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("before any token: %v", err)
	}
	logits, err := s.Forward(t.Context(), encode(t, e, story), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TopLogits(ids, top[:4]); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("with too little room: %v", err)
	}
	n, err := s.TopLogits(ids, top)
	if err != nil || n != len(ids) {
		t.Fatalf("%d, %v", n, err)
	}
	order := make([]int32, e.Tokenizer.VocabSize())
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(i, j int32) int { return cmp.Compare(logits[j], logits[i]) })
	for i, id := range ids {
		if id != order[i] || top[i] != logits[id] {
			t.Errorf("number %d is %d (%v), want %d (%v)", i, id, top[i], order[i], logits[order[i]])
		}
	}
}

func TestSessionBits(t *testing.T) {
	var want string
	for _, o := range []Options{
		{Threads: 1}, {Threads: 2}, {Threads: 3}, {ChunkSize: 1}, {ChunkSize: 7}, {ChunkSize: 64}, {ChunkSize: 512}, {},
	} {
		e, _ := newEngine(t, "tiny-llama-q4_k", o)
		tokens := encode(t, e, strings.Repeat(story, 2))
		s := newSession(t, e)
		logits, err := s.Forward(t.Context(), tokens, 0)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = bits(logits)
		}
		if bits(logits) != want {
			t.Errorf("%+v: other logits", o)
		}
		if got := hash(want); got != sessionBits {
			t.Fatalf("hash of the logits %#x, want %#x", got, uint64(sessionBits))
		}
		// On a prefix that stands in the cache, of the session and of a fork.
		for _, from := range []int{1, 63, 64, len(tokens) - 1} {
			f, err := s.Fork(from)
			if err != nil {
				t.Fatal(err)
			}
			logits, reused, err := f.Resume(t.Context(), tokens)
			if err != nil || reused != from || bits(logits) != want {
				t.Errorf("%+v: fork at %d: reused %d, error %v, equal %v", o, from, reused, err, bits(logits) == want)
			}
			if logits, err = s.Forward(t.Context(), tokens[from:], from); err != nil || bits(logits) != want {
				t.Errorf("%+v: again from %d: error %v, or other logits", o, from, err)
			}
			f.Close()
		}
	}
}

func TestLayerByLayer(t *testing.T) {
	e, _ := newEngine(t, "tiny-qwen3-q6_k", Options{})
	c := &e.Model.Config
	tokens := encode(t, e, story)
	a, b := newSession(t, e), newSession(t, e)
	want, err := a.Forward(t.Context(), tokens, 0)
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, c.Vocab)
	for from, n := 0, 10; from < len(tokens); from += n {
		n = min(n, len(tokens)-from)
		hidden := make([]float32, n*c.Hidden)
		if err := b.Embed(tokens[from:from+n], hidden); err != nil {
			t.Fatal(err)
		}
		for layer := range c.Layers {
			if err := b.ForwardLayer(t.Context(), layer, hidden, from); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Logits(hidden[(n-1)*c.Hidden:], logits); err != nil {
			t.Fatal(err)
		}
	}
	if bits(logits) != bits(want) {
		t.Error("layer by layer gives other logits than Forward")
	}
	// The session does not know which tokens these were, so nothing of them may be taken as a prefix.
	if _, reused, err := b.Resume(t.Context(), tokens); reused != 0 || err != nil {
		t.Errorf("after calls by layer: reused %d, error %v", reused, err)
	}
	for _, err := range []error{
		b.Embed(tokens, logits),
		b.Logits(logits, logits),
		b.ForwardLayer(t.Context(), c.Layers, make([]float32, c.Hidden), 0),
		b.ForwardLayer(t.Context(), 0, make([]float32, c.Hidden+1), 0),
		b.ForwardLayer(t.Context(), 0, make([]float32, c.Hidden), len(tokens)+1),
	} {
		if !errors.Is(err, errs.InvalidArgument) {
			t.Errorf("got %v, want invalid argument", err)
		}
	}
}

func TestGenerate(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q4_1", Options{ContextLength: 200})
	prompt := encode(t, e, story)
	s := newSession(t, e)
	first := respond(t.Context(), s, Request{Prompt: prompt, MaxTokens: 20, IgnoreEndOfGeneration: true})
	if first.err != nil || len(first.tokens) != 20 || first.last.Finish != generate.FinishLength {
		t.Fatalf("got %+v", first)
	}
	if u := first.last.Usage; u != (Usage{PromptTokens: len(prompt), CompletionTokens: 20}) {
		t.Errorf("usage %+v", u)
	}
	// What a fresh computation of each prefix would choose.
	all := slices.Clone(prompt)
	for i, token := range first.tokens {
		logits, err := newSession(t, e).Forward(t.Context(), all, 0)
		if err != nil {
			t.Fatal(err)
		}
		best := 0
		for j, v := range logits[:e.Tokenizer.VocabSize()] {
			if v > logits[best] {
				best = j
			}
		}
		if int32(best) != token {
			t.Fatalf("token %d is %d, want %d", i, token, best)
		}
		all = append(all, token)
	}
	// The next prompt goes on from the last one.
	second := respond(t.Context(), s, Request{Prompt: all, MaxTokens: 1, IgnoreEndOfGeneration: true})
	if got, want := second.last.Usage.CachedTokens, len(all)-1; got != want || second.err != nil {
		t.Errorf("reused %d tokens, want %d (error %v)", got, want, second.err)
	}
	// A stop text ends the answer before it, wherever the borders of tokens are.
	if len(first.text) < 4 {
		t.Fatalf("the answer %q is too short for this test", first.text)
	}
	for i := 1; i < len(first.text)-1; i++ {
		stop := first.text[i:min(i+3, len(first.text))]
		a := respond(t.Context(), s, Request{Prompt: prompt, MaxTokens: 20, IgnoreEndOfGeneration: true, Stop: []string{"\x00never", stop}})
		if want := first.text[:strings.Index(first.text, stop)]; a.text != want || a.last.Finish != generate.FinishStop {
			t.Errorf("stop %q: %q, finish %q, want %q", stop, a.text, a.last.Finish, want)
		}
	}
}

// TestGenerateFromTheLargestLogits holds answers drawn from the few largest logits to those that saw all of them.
func TestGenerateFromTheLargestLogits(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q4_k", Options{})
	prompt := encode(t, e, story)
	for _, change := range []func(*Sampling){
		func(p *Sampling) { p.Temperature = 0 },
		func(p *Sampling) { p.Temperature = 2 },
		func(p *Sampling) { p.RepeatPenalty = 1.3 },
		func(p *Sampling) { p.LogitBias = map[int32]float32{prompt[0]: float32(math.Inf(-1))} },
		func(p *Sampling) { p.TopK = 0 },
	} {
		r := Request{Prompt: prompt, MaxTokens: 30, IgnoreEndOfGeneration: true, Sampling: DefaultSampling()}
		change(&r.Sampling)
		few := respond(t.Context(), newSession(t, e), r)
		seen := 0
		r.OnLogits = func(logits []float32) { seen += len(logits) }
		all := respond(t.Context(), newSession(t, e), r)
		if few.err != nil || all.err != nil || !slices.Equal(few.tokens, all.tokens) || seen != 30*e.Model.Config.Vocab {
			t.Errorf("%+v: %v (%v), with all %d logits %v (%v)", r.Sampling, few.tokens, few.err, seen, all.tokens, all.err)
		}
	}
}

func TestContextLength(t *testing.T) {
	const limit = 100
	e, _ := newEngine(t, "tiny-llama-q8_0", Options{ContextLength: limit})
	prompt := encode(t, e, strings.Repeat(story, 5))
	if len(prompt) <= limit {
		t.Fatalf("the prompt has %d tokens", len(prompt))
	}
	s := newSession(t, e)
	r := Request{Prompt: prompt, IgnoreEndOfGeneration: true}
	if a := respond(t.Context(), s, r); !errors.Is(a.err, errs.ContextLength) || len(a.tokens) != 0 {
		t.Errorf("a prompt beyond the context length: %+v", a)
	}
	r.Prompt = prompt[:80]
	if a := respond(t.Context(), s, r); a.err != nil || len(a.tokens) != limit-80+1 || a.last.Finish != generate.FinishLength {
		t.Errorf("without a number of tokens: %d tokens, finish %q, error %v", len(a.tokens), a.last.Finish, a.err)
	}
	r.MaxTokens = 50
	if a := respond(t.Context(), s, r); !errors.Is(a.err, errs.ContextLength) || len(a.tokens) != limit-80+1 {
		t.Errorf("more tokens than fit: %d tokens, error %v", len(a.tokens), a.err)
	}
	r.Shift, r.Keep = true, 10
	a := respond(t.Context(), s, r)
	if a.err != nil || len(a.tokens) != 50 {
		t.Fatalf("with a shift: %d tokens, error %v", len(a.tokens), a.err)
	}
	// After the shift the answer is that of a fresh session on what is left.
	all := append(slices.Clone(r.Prompt), a.tokens[:limit-80+1]...)
	left := append(slices.Clone(all[:10]), all[10+(len(all)-10+1)/2:]...)
	fresh := respond(t.Context(), newSession(t, e), Request{Prompt: left, MaxTokens: 50 - (limit - 80 + 1), IgnoreEndOfGeneration: true})
	if !slices.Equal(fresh.tokens, a.tokens[limit-80+1:]) {
		t.Errorf("after a shift %v, fresh %v", a.tokens[limit-80+1:], fresh.tokens)
	}
}

func TestCancel(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q8_0", Options{})
	s := newSession(t, e)
	prompt := encode(t, e, story)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for c, err := range s.Generate(ctx, Request{Prompt: prompt, IgnoreEndOfGeneration: true}) {
		if err != nil {
			if !errors.Is(err, errs.Canceled) || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			break
		}
		if c.Token >= 0 {
			n++
		}
		if n == 3 {
			cancel()
		}
	}
	if n != 3 {
		t.Errorf("%d tokens, want 3", n)
	}
	// The session is whole after it.
	want, err := newSession(t, e).Forward(t.Context(), prompt, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Resume(t.Context(), prompt); err != nil || bits(got) != bits(want) {
		t.Errorf("after a cancellation: error %v, or other logits", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if _, err := s.Forward(ctx, prompt, 0); !errors.Is(err, errs.DeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
}

func TestCloseWhileInUse(t *testing.T) {
	e, released := newEngine(t, "tiny-llama-q8_0", Options{})
	s := newSession(t, e)
	prompt := encode(t, e, story)
	var last error
	n := 0
	for c, err := range s.Generate(t.Context(), Request{Prompt: prompt, IgnoreEndOfGeneration: true}) {
		if last = err; c.Token >= 0 {
			n++
		}
		if n == 2 {
			if _, err := s.Forward(t.Context(), prompt, 0); !errors.Is(err, errs.Conflict) {
				t.Errorf("a call during another: %v", err)
			}
			e.Close()
			if released() {
				t.Error("the file was released under a running generation")
			}
		}
	}
	if !errors.Is(last, errs.Closed) || n != 2 {
		t.Errorf("after Close: %v, %d tokens", last, n)
	}
	if !released() {
		t.Error("the file was not released after the last call")
	}
	e.Close()
	if _, err := s.Forward(t.Context(), prompt, 0); !errors.Is(err, errs.Closed) {
		t.Errorf("a call after Close: %v", err)
	}
	if _, err := e.NewSession(nil); !errors.Is(err, errs.Closed) {
		t.Errorf("a session after Close: %v", err)
	}

	e, _ = newEngine(t, "tiny-llama-q8_0", Options{})
	s = newSession(t, e)
	for c, err := range s.Generate(t.Context(), Request{Prompt: prompt, IgnoreEndOfGeneration: true}) {
		if last = err; c.Token >= 0 {
			s.Close()
		}
	}
	if !errors.Is(last, errs.Closed) || e.CacheUsed() != 0 {
		t.Errorf("a session closed in use: %v, %d bytes of cache left", last, e.CacheUsed())
	}
}

// TestHammer runs sessions at once, each of which must get what it gets alone, while others are cancelled or closed.
func TestHammer(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q4_0", Options{ChunkSize: 16})
	var prompts [][]int32
	var want []answer
	for i := range 4 {
		prompts = append(prompts, encode(t, e, strings.Repeat(story[i*7:], 1+i%2)))
		want = append(want, respond(t.Context(), newSession(t, e), Request{Prompt: prompts[i], MaxTokens: 8}))
	}
	before := e.CacheUsed()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 3 {
				k := (g + i) % len(prompts)
				s, err := e.NewSession(nil)
				if err != nil {
					t.Error(err)
					return
				}
				if g%4 == 3 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
					respond(ctx, s, Request{Prompt: prompts[k]})
					cancel()
				} else if a := respond(t.Context(), s, Request{Prompt: prompts[k], MaxTokens: 8}); !slices.Equal(a.tokens, want[k].tokens) || a.err != nil {
					t.Errorf("among others: %v (%v), alone: %v", a.tokens, a.err, want[k].tokens)
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	if left := e.CacheUsed() - before; left != 0 {
		t.Errorf("%d bytes of cache left", left)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := synth.WriteFile(t.Context(), path, "tiny-llama-q8_0", synth.Options{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, o := range []Options{{Threads: -1}, {Threads: 1 << 20}, {ContextLength: -1}, {ContextLength: 1 << 20}, {ChunkSize: -1}, {CacheBytes: -1}} {
		if _, err := New(f, o, nil); !errors.Is(err, errs.InvalidArgument) {
			t.Errorf("%+v: %v, want invalid argument", o, err)
		}
	}
	if _, err := New(f, Options{PreTokenizer: "no-such"}, nil); !errors.Is(err, errs.Unsupported) {
		t.Errorf("an unknown pre-tokenizer: %v", err)
	}
	e, _ := newEngine(t, "tiny-llama-q8_0", Options{CacheBytes: 1})
	a := respond(t.Context(), newSession(t, e), Request{Prompt: []int32{1}})
	if !errors.Is(a.err, errs.OutOfMemory) {
		t.Errorf("a full cache: %v", a.err)
	}
	for _, r := range []Request{{}, {Prompt: []int32{1}, MaxTokens: -1}, {Prompt: []int32{1 << 30}}, {Prompt: []int32{1}, Sampling: Sampling{TopP: 2}}} {
		if a := respond(t.Context(), newSession(t, e), r); !errors.Is(a.err, errs.InvalidArgument) {
			t.Errorf("%+v: %v, want invalid argument", r, a.err)
		}
	}
}

// TestChatPrompt holds messages to being text, whatever stands in them.
func TestChatPrompt(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-f32", Options{})
	controls := func(tokens []int32) (n int) {
		for _, id := range tokens {
			if e.Tokenizer.Attr(id).Has(tokenizer.Control) {
				n++
			}
		}
		return n
	}
	prompt := func(content string) (string, []int32) {
		t.Helper()
		text, tokens, err := e.ChatPrompt([]Message{{Role: "user", Content: content}}, ChatOptions{AddGenerationPrompt: true})
		if err != nil {
			t.Fatal(err)
		}
		return text, tokens
	}
	_, plain := prompt("hello")
	if controls(plain) == 0 {
		t.Fatal("the template writes no control tokens: the test shows nothing")
	}
	var all strings.Builder
	for id := range int32(e.Tokenizer.VocabSize()) {
		if e.Tokenizer.Attr(id).Has(tokenizer.Control) {
			all.Write(e.Tokenizer.AppendPiece(nil, id, true))
		}
	}
	text, tokens := prompt(all.String())
	if !strings.Contains(text, all.String()) {
		t.Errorf("the prompt %q lacks the message %q", text, all.String())
	}
	if got, want := controls(tokens), controls(plain); got != want {
		t.Errorf("%d control tokens with %q in the message, %d without", got, all.String(), want)
	}
	if got := e.Tokenizer.Decode(tokens, DecodeOptions{Special: true}); got != text {
		t.Errorf("tokens decode to %q, want %q", got, text)
	}
}
