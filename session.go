package realm

import (
	"context"
	"iter"
	"time"

	"github.com/realm-ai/realm/internal/engine"
)

// Session is a conversation with a model: a line of tokens and their KV cache. Its calls do not overlap; one that begins
// while another is in progress, such as a Generate whose loop has not ended, fails with CodeConflict. Close is the
// exception.
type Session struct {
	m *Model
	s *engine.Session
}

// Close frees the session's memory. A call in progress ends with CodeClosed. Close may be called again.
func (s *Session) Close() error {
	s.m.lease.forget(s)
	s.s.Close()
	return nil
}

// Request says what to generate. One of Prompt, Messages and Tokens is set.
type Request struct {
	// Prompt is text that the model goes on with. Control tokens written in it are plain text, unless ParseSpecial is set.
	Prompt       string
	ParseSpecial bool
	// Messages is a conversation, which the model's chat template makes a prompt of, with the tools.
	Messages []Message
	Tools    []Tool
	// Tokens is a prompt in token IDs.
	Tokens []int32

	// MaxTokens ends the answer after that many tokens. 0 means as many as fit the context length.
	MaxTokens int
	// Sampling says how tokens are drawn. Nil means DefaultSampling.
	Sampling *Sampling
	// Stop lists texts that end the answer, which they are not part of.
	Stop []string
	// IgnoreEndOfGeneration goes on when the model says that it is done.
	IgnoreEndOfGeneration bool
	// Special writes control tokens as their texts rather than as nothing.
	Special bool
	// Logprobs fills Chunk.Logprob and, as many as Sampling.TopLogprobs says, Chunk.TopLogprobs.
	Logprobs bool
	// Shift makes room when the context length is reached, rather than failing: the first Keep tokens stay, the older half
	// of the others is dropped, and the answer goes on as if what is left had been the prompt.
	Shift bool
	Keep  int
	// OnPrompt, if not nil, is called with the prompt's tokens before they are computed.
	OnPrompt func(tokens []int32)
	// OnLogits, if not nil, is called with the logits of every step, which it must not keep or change.
	OnLogits func(logits []float32)
}

// Sampling says how a token is drawn from logits. The steps are llama.cpp's, in its default order: logit bias,
// penalties, top-k, top-p, min-p, temperature, draw.
type Sampling struct {
	Temperature float32 // logits are divided by it before the draw; 0 takes the most probable token
	TopK        int     // keep the K most probable tokens; 0 keeps all
	TopP        float32 // keep the fewest tokens whose probabilities reach it; 1 keeps all
	MinP        float32 // keep tokens at least MinP times as probable as the most probable one; 0 keeps all

	RepeatPenalty    float32 // a recent token's logit is divided by it if positive, else multiplied; 1 is off
	FrequencyPenalty float32 // subtracted from a recent token's logit once per occurrence; 0 is off
	PresencePenalty  float32 // subtracted once from a recent token's logit; 0 is off
	RepeatLastN      int     // how many tokens are recent; 0 turns the penalties off, -1 counts all

	LogitBias   map[int32]float32 // added to the logits of token IDs; -Inf bans a token
	Seed        uint64            // the same seed gives the same tokens
	TopLogprobs int               // how many of the most probable tokens Chunk.TopLogprobs lists
}

// DefaultSampling returns llama.cpp's defaults: temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalties, seed 0.
func DefaultSampling() Sampling { return Sampling(engine.DefaultSampling()) }

// FinishReason says why an answer ended.
type FinishReason string

// The reasons, as in OpenAI's API.
const (
	FinishStop   FinishReason = "stop"   // the model ended its turn, or a stop text came
	FinishLength FinishReason = "length" // MaxTokens, or without it the context length, was reached
)

// Chunk is a step of an answer: a token, and the text that is complete with it. The last chunk has a Finish and no token.
type Chunk struct {
	Text        string         // whole UTF-8 characters; empty for part of one, or while it may be the start of a stop text
	Token       int32          // -1 in the last chunk
	Logprob     float32        // natural logarithm of the token's probability, if asked for
	TopLogprobs []TokenLogprob // the most probable tokens, if asked for, the most probable first

	Finish  FinishReason // empty but in the last chunk, which alone has what follows
	Usage   Usage
	Prefill time.Duration // time to compute the prompt
	Decode  time.Duration // time for the answer after that
}

// TokenLogprob is a token ID and the natural logarithm of its probability.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int // of the prompt
	CachedTokens     int // of these, those that the session held already
	CompletionTokens int // of the answer, without the token that ended it
}

// Generate answers a prompt, a token at a time. The loop may be left at any time; the session then holds what was
// computed. A failure is the last pair, with the text that was left. Cancelling ctx ends it within one layer.
//
// The session keeps the prompt and the answer. The next prompt is computed from where it differs from them.
func (s *Session) Generate(ctx context.Context, r Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		tokens, err := s.m.promptTokens(&r)
		if err != nil {
			yield(Chunk{Token: -1}, err)
			return
		}
		if r.OnPrompt != nil {
			r.OnPrompt(tokens)
		}
		sampling := DefaultSampling()
		if r.Sampling != nil {
			sampling = *r.Sampling
		}
		for c, err := range s.s.Generate(ctx, engine.Request{
			Prompt: tokens, MaxTokens: r.MaxTokens, Sampling: engine.Sampling(sampling), Stop: r.Stop,
			IgnoreEndOfGeneration: r.IgnoreEndOfGeneration, Special: r.Special, Logprobs: r.Logprobs,
			Shift: r.Shift, Keep: r.Keep, OnLogits: r.OnLogits,
		}) {
			out := Chunk{
				Text: c.Text, Token: c.Token, Logprob: c.Logprob, Finish: FinishReason(c.Finish),
				Usage: Usage(c.Usage), Prefill: c.Prefill, Decode: c.Decode,
			}
			for _, t := range c.TopLogprobs {
				out.TopLogprobs = append(out.TopLogprobs, TokenLogprob(t))
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func (m *Model) promptTokens(r *Request) ([]int32, error) {
	p := engine.Prompt{Text: r.Prompt, ParseSpecial: r.ParseSpecial, Tools: toTools(r.Tools), Tokens: r.Tokens}
	if r.Messages != nil {
		p.Messages = toMessages(r.Messages)
	}
	return m.e.EncodePrompt(p)
}

// Position returns the number of tokens that the session holds.
func (s *Session) Position() int { return s.s.Position() }

// Truncate drops the tokens at and beyond position.
func (s *Session) Truncate(position int) error { return s.s.Truncate(position) }

// Fork makes a session that holds the first tokens of this one. They share the memory until one of them changes it.
func (s *Session) Fork(position int) (*Session, error) {
	f, err := s.s.Fork(position)
	if err != nil {
		return nil, err
	}
	return s.m.lease.session(&Session{s.m, f})
}

// Forward computes tokens at position, position+1, ... and returns the logits, (vocab), of the last one, which are valid
// until the session's next call. What stood at and beyond position is dropped; position is at most Position().
func (s *Session) Forward(ctx context.Context, tokens []int32, position int) ([]float32, error) {
	return s.s.Forward(ctx, tokens, position)
}

// Model returns the model that the session computes with.
func (s *Session) Model() *Model { return s.m }

// Resume makes the session hold exactly tokens and returns the logits of the last one, as Forward does, and how many tokens
// it held already and did not compute again.
func (s *Session) Resume(ctx context.Context, tokens []int32) (logits []float32, reused int, err error) {
	return s.s.Resume(ctx, tokens)
}

// TopLogits writes the IDs of the len(ids) tokens with the largest logits, of those that Forward or Generate computed
// last, to ids, the largest first and of equals the one with the lower ID, and the logits to logits, which is as long.
// It returns how many there are, which is fewer where the vocabulary is smaller. A NaN stands before all numbers.
func (s *Session) TopLogits(ids []int32, logits []float32) (int, error) {
	return s.s.TopLogits(ids, logits)
}

// Embed writes the hidden states, (len(tokens), hidden), of tokens before the first layer to hidden.
func (s *Session) Embed(tokens []int32, hidden []float32) error { return s.s.Embed(tokens, hidden) }

// ForwardLayer runs one whole transformer layer, with its KV cache, on the hidden states, (tokens, hidden), of tokens at
// position, position+1, ..., in place. Each layer has a length of its own: position is at most that, and what stood at
// and beyond position is dropped from the layer.
func (s *Session) ForwardLayer(ctx context.Context, layer int, hidden []float32, position int) error {
	return s.s.ForwardLayer(ctx, layer, hidden, position)
}

// Logits writes the logits, (vocab), of one token's hidden state, (hidden), after the last layer to logits.
func (s *Session) Logits(hidden, logits []float32) error { return s.s.Logits(hidden, logits) }
