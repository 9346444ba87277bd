package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"strings"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

// once answers one prompt and prints the answer or, with --json, what there is to know about it.
func (r *run) once(ctx context.Context, request realm.Request) error {
	write := r.env.WriteText
	if r.json {
		write = func(string) error { return nil }
	}
	result, err := r.generate(ctx, request, write)
	if !r.json {
		// What came before a failure is printed too, and ends as a line does.
		if (err == nil || result.Text != "") && !strings.HasSuffix(result.Text, "\n") {
			if failed := write("\n"); failed != nil {
				return failed
			}
		}
		if err == nil && (r.verbose || r.env.StderrTerminal) {
			r.env.Note("%s", speeds(result))
		}
		if err == nil && r.verbose && result.Guest != nil {
			r.env.Note("%s", cli.GuestTable(r.model.Info(), r.model.Tensors(), cli.ReadMemory(), result.Guest))
		}
		return err
	}
	if err != nil {
		return err
	}
	result.Memory = cli.ReadMemory()
	result.Model = r.ran(r.model.Info())
	result.Settings = r.settings(&request)
	return r.env.WriteJSON(result)
}

// generate answers a request and gives the text to write as it comes. Where it fails, the result has what came before.
func (r *run) generate(ctx context.Context, request realm.Request, write func(string) error) (*cli.RunResult, error) {
	result := &cli.RunResult{Tokens: []int32{}, PromptTokens: []int32{}}
	result.Timings.Load, result.Timings.Prepare = cli.Milliseconds(r.load), cli.Milliseconds(r.prepare)
	request.OnPrompt = func(tokens []int32) { result.PromptTokens = append(result.PromptTokens, tokens...) }
	logits := logitsHash{Hash: sha256.New()}
	if r.hashLogits {
		request.OnLogits = logits.add
	}
	var text strings.Builder
	chunks := r.session.Generate(ctx, request)
	if r.guest != nil {
		result.Guest = &cli.GuestResult{}
		chunks = r.guest.generate(ctx, r.model, r.session, request, result.Guest)
	}
	for chunk, err := range chunks {
		text.WriteString(chunk.Text)
		result.Text = text.String()
		if chunk.Text != "" {
			if failed := write(chunk.Text); failed != nil {
				return result, failed
			}
		}
		if err != nil {
			return result, err
		}
		if chunk.Token >= 0 {
			result.Tokens = append(result.Tokens, chunk.Token)
			if request.Logprobs {
				result.Logprobs = append(result.Logprobs, r.logprobs(chunk))
			}
		}
		if chunk.Finish != "" {
			result.FinishReason, result.Usage = chunk.Finish, cli.Usage(chunk.Usage)
			result.Timings.Prefill, result.Timings.Decode = cli.Milliseconds(chunk.Prefill), cli.Milliseconds(chunk.Decode)
		}
	}
	if r.hashLogits {
		result.LogitsSHA256 = hex.EncodeToString(logits.Sum(nil))
	}
	return result, nil
}

func (r *run) logprobs(c realm.Chunk) cli.TokenLogprobs {
	t := r.model.Tokenizer()
	entry := func(id int32, logprob float32) cli.TokenLogprob {
		return cli.TokenLogprob{ID: id, Text: string(t.Piece(id, true)), Logprob: max(logprob, cli.MinLogprob)}
	}
	out := cli.TokenLogprobs{TokenLogprob: entry(c.Token, c.Logprob), Top: []cli.TokenLogprob{}}
	for _, l := range c.TopLogprobs {
		out.Top = append(out.Top, entry(l.ID, l.Logprob))
	}
	return out
}

// logitsHash is a hash over logits as little-endian float32.
type logitsHash struct {
	hash.Hash
	buf []byte
}

func (h *logitsHash) add(logits []float32) {
	h.buf = h.buf[:0]
	for _, x := range logits {
		h.buf = binary.LittleEndian.AppendUint32(h.buf, math.Float32bits(x))
	}
	h.Write(h.buf)
}

// speeds sums up how an answer went, such as
// "prompt: 37 tokens, 12 cached, 85.3 tokens/s; answer: 128 tokens, 12.1 tokens/s".
func speeds(r *cli.RunResult) string {
	rate := func(tokens int, ms float64) string {
		if tokens == 0 || ms == 0 {
			return ""
		}
		return fmt.Sprintf(", %.1f tokens/s", cli.Rate(tokens, time.Duration(ms*float64(time.Millisecond))))
	}
	cached := ""
	if r.Usage.CachedTokens > 0 {
		cached = fmt.Sprintf(", %d cached", r.Usage.CachedTokens)
	}
	return fmt.Sprintf("prompt: %d tokens%s%s; answer: %d tokens%s",
		r.Usage.PromptTokens, cached, rate(r.Usage.PromptTokens-r.Usage.CachedTokens, r.Timings.Prefill),
		r.Usage.CompletionTokens, rate(r.Usage.CompletionTokens, r.Timings.Decode))
}

// chat talks with whoever is at standard input.
func (r *run) chat(ctx context.Context) error {
	opening, stop := r.env.Cancelable(ctx)
	err := r.open(opening)
	stop()
	if err != nil {
		return err
	}
	defer r.close()
	system, err := r.systemMessages()
	if err != nil {
		return err
	}
	if r.env.StdinTerminal {
		name := r.model.Info().Name
		if name == "" {
			name = r.path
		}
		r.env.Note("%s, context length %d; /help lists commands\n", name, r.model.Info().ContextLength)
	}
	return (&cli.Chat{Model: r, System: system}).Run(ctx, r.env)
}

// Answer implements cli.Answerer. The session still holds the conversation so far, so only what is new is computed.
func (r *run) Answer(ctx context.Context, messages []realm.Message, write func(string) error) (answer, note string, err error) {
	request := r.request
	request.Messages = messages
	result, err := r.generate(ctx, request, write)
	if err == nil && (r.verbose || r.env.StderrTerminal) {
		note = speeds(result)
	}
	if err == nil && result.FinishReason == realm.FinishLength && request.MaxTokens == 0 {
		note = "the context length is full; /clear begins a new conversation"
	}
	return result.Text, note, err
}
