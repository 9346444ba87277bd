// Package generate owns the loop of an answer: from a request to the tokens of its prompt, then token by token from
// logits to text, with the stop rules and what happens at the end of the context length. It is compiled into the guest
// as well as into the native engine, so that both give the same answers. It knows a model only as something that
// computes logits of tokens. Start at Loop.Next.
package generate

import (
	"fmt"
	"slices"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/sample"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// Model computes the logits of one sequence.
type Model interface {
	// Resume makes the sequence hold exactly tokens, and says how many of them it held already.
	Resume(tokens []int32, top int) (l Logits, cached int, err error)
	// Append adds a token to the sequence at position, which is its end.
	Append(token int32, position, top int) (Logits, error)
}

// Logits are those of a sequence's last token, valid until the model computes again: if top is 0 all of them, else the
// top largest with their token IDs, as sample.Sampler.SampleTop wants them.
type Logits struct {
	All []float32
	IDs []int32
	Top []float32
}

// Request says what to generate.
type Request struct {
	// Prompt is the whole prompt. What the sequence holds of it already is not computed again.
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
	// Draw, if not nil, chooses each token instead of the sampler, from the logits of the vocabulary, which it may change;
	// log-probabilities are then of what it left.
	Draw func(logits []float32) (int32, error)
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

	Finish FinishReason // empty but in the last chunk, which alone has what follows
	Usage  Usage
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int // of the prompt
	CachedTokens     int // of these, those that the sequence held already
	CompletionTokens int // of the answer, without the token that ended it
}

// Loop is the state of one answer.
type Loop struct {
	Request
	model         Model
	tokenizer     *tokenizer.Tokenizer
	contextLength int

	sampler *sample.Sampler
	text    *stopper
	tokens  []int32 // the prompt and the answer
	begun   bool
	usage   Usage
}

// New starts an answer. Nothing is computed before the first Next.
func New(m Model, t *tokenizer.Tokenizer, contextLength int, r Request) (*Loop, error) {
	if r.MaxTokens < 0 || r.Keep < 0 {
		return nil, errs.Errorf(errs.InvalidArgument, "generate: max tokens or keep below 0")
	}
	sampler, err := sample.New(r.Sampling, t.VocabSize())
	if err != nil {
		return nil, errs.Errorf(errs.InvalidArgument, "generate: %w", err)
	}
	for _, token := range r.Prompt {
		sampler.Accept(token)
	}
	return &Loop{
		Request: r, model: m, tokenizer: t, contextLength: contextLength, sampler: sampler,
		text: newStopper(t.NewDecoder(r.Special), r.Stop), tokens: slices.Clone(r.Prompt),
	}, nil
}

// Next takes one step, the first of which computes the prompt. more is false with the last chunk, and with an error; its
// chunk then has the text that was held back.
//
// A prompt that does not fit the context length is errs.ContextLength, and so is an answer that reaches it before
// MaxTokens, unless Shift is set.
func (l *Loop) Next() (c Chunk, more bool, err error) {
	c.Token = -1
	logits, finish, err := l.compute()
	if err == nil && finish == "" {
		finish, err = l.draw(&c, logits)
	}
	switch {
	case err != nil:
		c.Text = l.text.rest()
		return c, false, err
	case finish != "":
		return Chunk{Text: l.text.rest(), Token: -1, Finish: finish, Usage: l.usage}, false, nil
	}
	return c, true, nil
}

// compute gives the logits that the next token is drawn from, unless the answer is done.
func (l *Loop) compute() (logits Logits, finish FinishReason, err error) {
	top := l.sampler.Need()
	if l.Logprobs || l.OnLogits != nil || l.Draw != nil {
		top = 0
	}
	switch n := len(l.tokens); {
	case !l.begun:
		l.begun = true
		logits, l.usage.CachedTokens, err = l.model.Resume(l.tokens, top)
		l.usage.PromptTokens = n
	case l.text.stopped:
		finish = FinishStop
	case l.MaxTokens > 0 && l.usage.CompletionTokens >= l.MaxTokens:
		finish = FinishLength
	case n <= l.contextLength:
		logits, err = l.model.Append(l.tokens[n-1], n-1, top)
	case l.Shift:
		keep := min(l.Keep, l.contextLength/2)
		drop := (n - keep + 1) / 2
		l.tokens = slices.Delete(l.tokens, keep, keep+drop)
		logits, _, err = l.model.Resume(l.tokens, top)
	case l.MaxTokens == 0:
		finish = FinishLength
	default:
		err = errs.Errorf(errs.ContextLength, "generate: the context length of %d is full after %d tokens of the answer",
			l.contextLength, l.usage.CompletionTokens)
	}
	return logits, finish, err
}

// draw fills the chunk with the next token, unless that ends the answer.
func (l *Loop) draw(c *Chunk, logits Logits) (FinishReason, error) {
	if l.OnLogits != nil {
		l.OnLogits(logits.All)
	}
	if logits.All != nil {
		// A model's output may have more rows than the vocabulary has tokens; those are never drawn.
		logits.All = logits.All[:l.tokenizer.VocabSize()]
	}
	token, err := l.choose(logits)
	if err != nil {
		return "", errs.Wrap(err, fmt.Sprintf("generate: token %d", l.usage.CompletionTokens))
	}
	if !l.IgnoreEndOfGeneration && l.tokenizer.IsEndOfGeneration(token) {
		return FinishStop, nil
	}
	if l.Logprobs {
		logprob, top, err := l.sampler.Logprobs(logits.All, token)
		if err != nil {
			return "", errs.Wrap(err, fmt.Sprintf("generate: token %d", l.usage.CompletionTokens))
		}
		c.Logprob, c.TopLogprobs = logprob, slices.Clone(top)
	}
	l.sampler.Accept(token)
	l.tokens = append(l.tokens, token)
	l.usage.CompletionTokens++
	c.Token, c.Text = token, l.text.push(token)
	return "", nil
}

func (l *Loop) choose(logits Logits) (int32, error) {
	switch {
	case l.Draw != nil:
		token, err := l.Draw(logits.All)
		if err == nil && (token < 0 || int(token) >= len(logits.All)) {
			err = errs.Errorf(errs.InvalidArgument, "drew %d, which is no token of %d", token, len(logits.All))
		}
		return token, err
	case logits.All != nil:
		return l.sampler.Sample(logits.All)
	}
	return l.sampler.SampleTop(logits.IDs, logits.Top)
}
