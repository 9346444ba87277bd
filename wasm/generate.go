package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// RunOptions are what Generate takes beyond the request for an answer.
type RunOptions struct {
	Limits     Limits
	OnLog      func(line string) // as in Request
	DumpMemory io.Writer         // as in Request
	// Result, if not nil, is set when the loop ends to what the guest used.
	Result *Result
}

// Generate answers a request as realm.Session.Generate does, by a guest that takes the JSON of docs/abi.md, such as the one
// that ships with Realm. It begins with an empty cache. With the same request the shipped guest gives the same chunks,
// but for texts that stand in a chunk of their own, without a token, where nothing but the end follows.
func (g *Guest) Generate(ctx context.Context, m *realm.Model, r realm.Request, o RunOptions) iter.Seq2[realm.Chunk, error] {
	return func(yield func(realm.Chunk, error) bool) {
		a := answering{yield: yield, request: &r, token: noToken, start: time.Now()}
		body, err := encodeRequest(ctx, m, &r)
		if err == nil {
			var result Result
			result, err = g.Run(ctx, Request{
				Body: body, Models: []Grant{{Model: m}}, Limits: o.Limits, Now: a.start, Seed: seed(&r),
				OnEmit: a.emitted, OnForward: a.computed, OnLog: o.OnLog, DumpMemory: o.DumpMemory,
			})
			if o.Result != nil {
				*o.Result = result
			}
			if err == nil {
				err = a.finish(result.Body)
			}
		}
		if err != nil && !errors.Is(err, errLeft) {
			yield(realm.Chunk{Token: noToken}, err)
		}
	}
}

const noToken = -1

// errLeft ends a guest whose answer nobody wants any more.
var errLeft = errors.New("the loop was left")

// answering makes chunks of what a guest emits and computes.
type answering struct {
	yield   func(realm.Chunk, error) bool
	request *realm.Request
	token   int32 // that text may follow, or noToken
	logprob float32
	top     []realm.TokenLogprob

	start     time.Time
	prefill   time.Duration
	forwarded bool
}

// flush yields the token that was emitted last, with its text.
func (a *answering) flush(text string) error {
	if a.token == noToken && text == "" {
		return nil
	}
	c := realm.Chunk{Text: text, Token: a.token}
	if a.token != noToken && a.request.Logprobs {
		c.Logprob, c.TopLogprobs = a.logprob, a.top
	}
	a.token = noToken
	if !a.yield(c, nil) {
		return errLeft
	}
	return nil
}

func (a *answering) emitted(kind uint32, chunk []byte) error {
	if kind == EmitText {
		return a.flush(string(chunk))
	}
	if err := a.flush(""); err != nil {
		return err
	}
	token, top, err := abi.ParseTokenChunk(chunk)
	if err != nil {
		return err
	}
	a.token, a.logprob, a.top = int32(token.ID), token.Logprob, nil
	for _, t := range top {
		a.top = append(a.top, realm.TokenLogprob{ID: int32(t.ID), Logprob: t.Logprob})
	}
	return nil
}

func (a *answering) computed(tokens []int32, _ int, logits []float32) {
	if !a.forwarded {
		a.forwarded, a.prefill = true, time.Since(a.start)
		if a.request.OnPrompt != nil {
			a.request.OnPrompt(tokens)
		}
	}
	if a.request.OnLogits != nil {
		a.request.OnLogits(logits)
	}
}

// finish yields the last chunk.
func (a *answering) finish(body []byte) error {
	var result abi.Result
	if err := json.Unmarshal(body, &result); err != nil {
		return errorf(realm.CodeGuestFailed, "the guest's result is not that of docs/abi.md: %w", err)
	}
	if err := a.flush(""); err != nil {
		return err
	}
	a.yield(realm.Chunk{
		Token: noToken, Finish: realm.FinishReason(result.FinishReason),
		Usage:   realm.Usage{PromptTokens: result.Usage.PromptTokens, CompletionTokens: result.Usage.CompletionTokens},
		Prefill: a.prefill, Decode: time.Since(a.start) - a.prefill,
	}, nil)
	return nil
}

func seed(r *realm.Request) uint64 {
	if r.Sampling == nil {
		return 0
	}
	return r.Sampling.Seed
}

// encodeRequest writes a request as the JSON that guests take.
func encodeRequest(ctx context.Context, m *realm.Model, r *realm.Request) ([]byte, error) {
	id, err := m.ID(ctx)
	if err != nil {
		return nil, err
	}
	out := abi.Request{
		Model: id, Prompt: r.Prompt, ParseSpecial: r.ParseSpecial, Tokens: r.Tokens, MaxTokens: r.MaxTokens, Stop: r.Stop,
		IgnoreEndOfGeneration: r.IgnoreEndOfGeneration, Special: r.Special, Logprobs: r.Logprobs, Shift: r.Shift, Keep: r.Keep,
	}
	if r.Messages != nil {
		if out.Messages, err = json.Marshal(r.Messages); err != nil {
			return nil, errorf(realm.CodeInvalidArgument, "messages: %w", err)
		}
	}
	if r.Tools != nil {
		if out.Tools, err = json.Marshal(r.Tools); err != nil {
			return nil, errorf(realm.CodeInvalidArgument, "tools: %w", err)
		}
	}
	if s := r.Sampling; s != nil {
		out.Sampling = &abi.Sampling{
			Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepeatPenalty: s.RepeatPenalty,
			FrequencyPenalty: s.FrequencyPenalty, PresencePenalty: s.PresencePenalty, RepeatLastN: s.RepeatLastN,
			Seed: s.Seed, TopLogprobs: s.TopLogprobs,
		}
		for token, bias := range s.LogitBias {
			if out.Sampling.LogitBias == nil {
				out.Sampling.LogitBias = map[int32]abi.Bias{}
			}
			out.Sampling.LogitBias[token] = abi.Bias(bias)
		}
	}
	body, err := json.Marshal(&out)
	if err != nil {
		return nil, errorf(realm.CodeInvalidArgument, "request: %w", err)
	}
	return body, nil
}
