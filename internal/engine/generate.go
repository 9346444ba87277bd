package engine

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/sample"
)

// Request says what to generate.
type Request struct {
	// Prompt is the whole prompt. What the session holds of it already is not computed again.
	Prompt []int32
	// MaxTokens ends the answer after that many tokens. 0 means as many as fit the context length.
	MaxTokens int
	Sampling  sample.Params
	// Stop lists texts that end the answer, which they are not part of.
	Stop []string
	// IgnoreEndOfGeneration goes on when the model says that it is done.
	IgnoreEndOfGeneration bool
	// Special writes control tokens as their texts rather than as nothing.
	Special bool
	// Logprobs fills Chunk.Logprob and, up to Sampling.TopLogprobs, Chunk.TopLogprobs.
	Logprobs bool
	// Shift makes room when the context length is reached, rather than failing: the first Keep tokens stay, and the older
	// half of the others is dropped. What is left is computed anew, so that the answer goes on as if it alone had been the
	// prompt.
	Shift bool
	Keep  int
	// OnLogits is called with the logits of every step, which it must not keep or change.
	OnLogits func(logits []float32)
}

// FinishReason says why an answer ended.
type FinishReason string

// The reasons, as in OpenAI's API.
const (
	FinishStop   FinishReason = "stop"   // the model ended its turn, or a stop text came
	FinishLength FinishReason = "length" // MaxTokens, or without it the context length, was reached
)

// Chunk is a step of an answer: a token, and the text that is complete with it. The last chunk has a Finish and no token.
type Chunk struct {
	Text        string // may be empty: part of a character, or held back since it may be the start of a stop text
	Token       int32  // -1 in the last chunk
	Logprob     float32
	TopLogprobs []sample.TokenLogprob

	Finish          FinishReason // empty but in the last chunk, which alone has what follows
	Usage           Usage
	Prefill, Decode time.Duration
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int // of the prompt
	CachedTokens     int // of these, those that the session held already
	CompletionTokens int // of the answer, without the token that ended it
}

// Generate answers a prompt token by token. The loop may be left at any time. Where it fails the last pair has the
// error and what text was left. The session holds the prompt and the answer afterwards, but for the last token.
//
// A prompt that does not fit the context length is errs.ContextLength, and so is an answer that reaches it before
// MaxTokens, unless Shift is set.
func (s *Session) Generate(ctx context.Context, r Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		if err := s.begin(); err != nil {
			yield(Chunk{Token: -1}, err)
			return
		}
		defer s.end()
		g, err := s.newGeneration(ctx, r)
		if err != nil {
			yield(Chunk{Token: -1}, err)
			return
		}
		more := true
		for more {
			var c Chunk
			c, more, err = g.next()
			if err != nil {
				c.Text += g.text.rest()
				yield(c, err)
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// generation is the state of one answer.
type generation struct {
	Request
	s       *Session
	ctx     context.Context
	sampler *sample.Sampler
	text    *stopper
	tokens  []int32 // the prompt and the answer
	logits  []float32
	usage   Usage

	start, decoding time.Time
}

func (s *Session) newGeneration(ctx context.Context, r Request) (*generation, error) {
	if r.MaxTokens < 0 || r.Keep < 0 {
		return nil, errs.Errorf(errs.InvalidArgument, "engine: max tokens or keep below 0")
	}
	sampler, err := sample.New(r.Sampling, s.e.Tokenizer.VocabSize())
	if err != nil {
		return nil, errs.Errorf(errs.InvalidArgument, "engine: %w", err)
	}
	for _, t := range r.Prompt {
		sampler.Accept(t)
	}
	g := &generation{
		Request: r, s: s, ctx: ctx, sampler: sampler, tokens: slices.Clone(r.Prompt), start: time.Now(),
		text: newStopper(s.e.Tokenizer.NewDecoder(r.Special), r.Stop),
	}
	return g, nil
}

// next takes one step. The first one computes the prompt.
func (g *generation) next() (c Chunk, more bool, err error) {
	c.Token = -1
	if g.logits == nil {
		if g.logits, g.usage.CachedTokens, err = g.s.resume(g.ctx, g.tokens); err != nil {
			return c, false, err
		}
		g.usage.PromptTokens = len(g.tokens)
		g.decoding = time.Now()
	} else if done, err := g.advance(); done != "" || err != nil {
		return g.finish(c, done), false, err
	}
	if g.OnLogits != nil {
		g.OnLogits(g.logits)
	}
	// A model's output may have more rows than the vocabulary has tokens; those are never drawn.
	logits := g.logits[:g.s.e.Tokenizer.VocabSize()]
	token, err := g.sampler.Sample(logits)
	if err != nil {
		return c, false, errs.Errorf(errs.Internal, "engine: token %d: %w", g.usage.CompletionTokens, err)
	}
	if !g.IgnoreEndOfGeneration && g.s.e.Tokenizer.IsEndOfGeneration(token) {
		return g.finish(c, FinishStop), false, nil
	}
	c.Token = token
	if g.Logprobs {
		top := []sample.TokenLogprob(nil)
		if c.Logprob, top, err = g.sampler.Logprobs(logits, token); err != nil {
			return c, false, errs.Errorf(errs.Internal, "engine: %w", err)
		}
		c.TopLogprobs = slices.Clone(top)
	}
	g.sampler.Accept(token)
	g.tokens = append(g.tokens, token)
	g.usage.CompletionTokens++
	c.Text = g.text.push(token)
	return c, true, nil
}

// advance computes the token that was drawn last, if the answer goes on after it.
func (g *generation) advance() (FinishReason, error) {
	if g.text.stopped {
		return FinishStop, nil
	}
	if g.MaxTokens > 0 && g.usage.CompletionTokens >= g.MaxTokens {
		return FinishLength, nil
	}
	last := g.tokens[len(g.tokens)-1:]
	var err error
	if len(g.tokens) <= g.s.e.options.ContextLength {
		g.logits, err = g.s.forward(g.ctx, last, g.s.Position())
		return "", err
	}
	if !g.Shift && g.MaxTokens == 0 {
		return FinishLength, nil
	}
	if !g.Shift {
		return "", errs.Errorf(errs.ContextLength, "engine: the context length of %d is full after %d tokens of the answer",
			g.s.e.options.ContextLength, g.usage.CompletionTokens)
	}
	keep := min(g.Keep, g.s.e.options.ContextLength/2)
	drop := (len(g.tokens) - keep + 1) / 2
	g.tokens = slices.Delete(g.tokens, keep, keep+drop)
	g.logits, _, err = g.s.resume(g.ctx, g.tokens)
	return "", err
}

// finish makes the last chunk.
func (g *generation) finish(c Chunk, reason FinishReason) Chunk {
	c.Text = g.text.rest()
	c.Finish, c.Usage = reason, g.usage
	c.Prefill, c.Decode = g.decoding.Sub(g.start), time.Since(g.decoding)
	return c
}
