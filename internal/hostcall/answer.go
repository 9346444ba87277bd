package hostcall

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

const noToken = -1

// ErrLeft ends a guest whose answer nobody wants any more.
var ErrLeft = errors.New("the loop was left")

// Answer makes chunks of what a guest emits and computes that takes the JSON of docs/abi.md.
type Answer struct {
	Start time.Time // which the guest's clock starts with

	yield   func(realm.Chunk) bool
	request *realm.Request
	token   int32 // that text may follow, or noToken
	logprob float32
	top     []realm.TokenLogprob

	prefill   time.Duration
	forwarded bool
}

// NewAnswer begins an answer. It ends when yield returns false.
func NewAnswer(r *realm.Request, yield func(realm.Chunk) bool) *Answer {
	return &Answer{Start: time.Now(), yield: yield, request: r, token: noToken}
}

// flush yields the token that was emitted last, with its text.
func (a *Answer) flush(text string) error {
	if a.token == noToken && text == "" {
		return nil
	}
	c := realm.Chunk{Text: text, Token: a.token}
	if a.token != noToken && a.request.Logprobs {
		c.Logprob, c.TopLogprobs = a.logprob, a.top
	}
	a.token = noToken
	if !a.yield(c) {
		return ErrLeft
	}
	return nil
}

// Emitted takes what Request.OnEmit is given.
func (a *Answer) Emitted(kind uint32, chunk []byte) error {
	if kind == abi.EmitText {
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

// Forwarded takes what Request.OnForward is given.
func (a *Answer) Forwarded(tokens []int32, _ int, logits []float32) {
	if !a.forwarded {
		a.forwarded, a.prefill = true, time.Since(a.Start)
		if a.request.OnPrompt != nil {
			a.request.OnPrompt(tokens)
		}
	}
	if a.request.OnLogits != nil {
		a.request.OnLogits(logits)
	}
}

// Finish yields the last chunk, from the result that the guest emitted.
func (a *Answer) Finish(r Result) error {
	var result abi.Result
	if err := json.Unmarshal(r.Body, &result); err != nil {
		return errorf(realm.CodeGuestFailed, "the guest's result is not that of docs/abi.md: %w", err)
	}
	if err := a.flush(""); err != nil {
		return err
	}
	a.yield(realm.Chunk{
		Token: noToken, Finish: realm.FinishReason(result.FinishReason),
		Usage: realm.Usage{
			PromptTokens: result.Usage.PromptTokens, CachedTokens: r.CachedTokens, CompletionTokens: result.Usage.CompletionTokens,
		},
		Prefill: a.prefill, Decode: time.Since(a.Start) - a.prefill,
	})
	return nil
}

// Seed is where the random bytes of a guest come from that answers a request.
func Seed(r *realm.Request) uint64 {
	if r.Sampling == nil {
		return 0
	}
	return r.Sampling.Seed
}
