package guest

import (
	"bytes"
	"encoding/json"
	"io"
	"math"

	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/generate"
	"github.com/realm-ai/realm/internal/sample"
)

// The JSON of a request and its result, which docs/abi.md lists, and the types that the loop shares with the host.
type (
	Request      = abi.Request
	Sampling     = abi.Sampling
	Result       = abi.Result
	LogprobEntry = abi.LogprobEntry

	// Computer computes the logits of a sequence: Resume for a whole prompt, Append for one token more.
	Computer = generate.Model
	// Sampler draws tokens from logits.
	Sampler = sample.Sampler
	// Logits are all of a token's logits or, where a few were asked for, the largest.
	Logits = generate.Logits
)

// Hooks are what a guest may put in the place of a step of Generate.
type Hooks struct {
	// Draw chooses the next token from all logits of the vocabulary, which it may change. nil samples as the request says.
	Draw func(logits []float32) (token int32, err error)
	// Computer computes the logits. nil is Model.Computer.
	Computer Computer
}

// Answer answers a request in the way of the guest that ships with Realm.
func Answer(request []byte) error {
	r, err := ParseRequest(request)
	if err != nil {
		return err
	}
	return Generate(r, Hooks{})
}

// ParseRequest reads a request. Unknown fields are an error.
func ParseRequest(data []byte) (*Request, error) {
	var r Request
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&r)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return &r, nil
		}
		err = errs.Errorf(errs.InvalidArgument, "guest: request: more than one JSON value")
	}
	return nil, errs.Errorf(errs.InvalidArgument, "guest: request: %w", err)
}

// Generate answers a request: it emits each token and the text that is complete with it, and then the Result.
func Generate(r *Request, hooks Hooks) error {
	m, err := Open(r.Model)
	if err != nil {
		return err
	}
	loop, err := m.newLoop(r, hooks)
	if err != nil {
		return err
	}
	result := Result{Tokens: []int32{}}
	var chunk []byte
	for more := true; more; {
		var c generate.Chunk
		if c, more, err = loop.Next(); err == nil && c.Token >= 0 {
			token, top := logprobs(&c, r.Logprobs)
			chunk = abi.AppendTokenChunk(chunk[:0], token, top...)
			err = emit(abi.EmitToken, chunk)
			result.Tokens = append(result.Tokens, c.Token)
			if r.Logprobs {
				result.Logprobs = append(result.Logprobs, entry(token, top))
			}
		}
		if c.Text != "" {
			if e := emit(abi.EmitText, []byte(c.Text)); err == nil {
				err = e
			}
		}
		if err != nil {
			return err
		}
		result.FinishReason = string(c.Finish)
		result.Usage = abi.Usage{PromptTokens: c.Usage.PromptTokens, CompletionTokens: c.Usage.CompletionTokens}
	}
	return EmitResult(&result)
}

// Prompt returns the tokens of a request's prompt.
func (m *Model) Prompt(r *Request) ([]int32, error) {
	t, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	template, err := m.Template()
	if err != nil {
		return nil, err
	}
	p := generate.Prompt{Text: r.Prompt, ParseSpecial: r.ParseSpecial, Tokens: r.Tokens}
	for name, part := range map[string]struct {
		data json.RawMessage
		into any
	}{"messages": {r.Messages, &p.Messages}, "tools": {r.Tools, &p.Tools}} {
		if len(part.data) > 0 {
			if err := json.Unmarshal(part.data, part.into); err != nil {
				return nil, errs.Errorf(errs.InvalidArgument, "guest: request: %s: %w", name, err)
			}
		}
	}
	return p.Encode(t, template)
}

func (m *Model) newLoop(r *Request, hooks Hooks) (*generate.Loop, error) {
	prompt, err := m.Prompt(r)
	if err != nil {
		return nil, err
	}
	if hooks.Computer == nil {
		hooks.Computer = m.Computer()
	}
	return generate.New(hooks.Computer, m.tokenizer, int(m.Info.ContextLength), generate.Request{
		Prompt: prompt, MaxTokens: r.MaxTokens, Sampling: params(r.Sampling), Stop: r.Stop, Draw: hooks.Draw,
		IgnoreEndOfGeneration: r.IgnoreEndOfGeneration, Special: r.Special, Logprobs: r.Logprobs, Shift: r.Shift, Keep: r.Keep,
	})
}

// NewSampler returns the sampler that a request asks for, for a Draw hook that changes logits and then samples.
func (m *Model) NewSampler(r *Request) (*Sampler, error) {
	t, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	s, err := sample.New(params(r.Sampling), t.VocabSize())
	if err != nil {
		return nil, errs.Errorf(errs.InvalidArgument, "guest: %w", err)
	}
	return s, nil
}

func params(s *Sampling) sample.Params {
	if s == nil {
		return sample.Defaults()
	}
	p := sample.Params{
		Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP,
		RepeatPenalty: s.RepeatPenalty, FrequencyPenalty: s.FrequencyPenalty, PresencePenalty: s.PresencePenalty,
		RepeatLastN: s.RepeatLastN, Seed: s.Seed, TopLogprobs: s.TopLogprobs,
	}
	if len(s.LogitBias) > 0 {
		p.LogitBias = make(map[int32]float32, len(s.LogitBias))
		for id, bias := range s.LogitBias {
			p.LogitBias[id] = float32(bias)
		}
	}
	return p
}

// logprobs returns what a token chunk holds.
func logprobs(c *generate.Chunk, asked bool) (token TokenLogprob, top []TokenLogprob) {
	token = TokenLogprob{ID: uint32(c.Token), Logprob: float32(math.NaN())}
	if asked {
		token.Logprob = c.Logprob
	}
	for _, t := range c.TopLogprobs {
		top = append(top, TokenLogprob{ID: uint32(t.ID), Logprob: t.Logprob})
	}
	return token, top
}

// entry is a token of a result. JSON has no infinity; OpenAI writes -9999 for it.
func entry(token TokenLogprob, top []TokenLogprob) LogprobEntry {
	e := LogprobEntry{ID: int32(token.ID), Logprob: max(token.Logprob, -9999)}
	for _, t := range top {
		e.Top = append(e.Top, entry(t, nil))
	}
	return e
}

// Computer returns what computes logits with one realm_forward for each prompt and token.
func (m *Model) Computer() Computer { return &computer{m: m} }

type computer struct {
	m      *Model
	all    []float32
	ids    []int32
	top    []float32
	append [1]int32
}

func (c *computer) Resume(tokens []int32, top int) (Logits, int, error) {
	l, err := c.forward(tokens, 0, top)
	return l, 0, err
}

func (c *computer) Append(token int32, position, top int) (Logits, error) {
	c.append[0] = token
	return c.forward(c.append[:], position, top)
}

func (c *computer) forward(tokens []int32, position, top int) (Logits, error) {
	if top == 0 {
		if c.all == nil {
			c.all = make([]float32, c.m.Info.VocabSize)
		}
		return Logits{All: c.all}, c.m.Forward(tokens, position, c.all)
	}
	if err := c.m.Forward(tokens, position, nil); err != nil {
		return Logits{}, err
	}
	if cap(c.ids) < top {
		c.ids, c.top = make([]int32, top), make([]float32, top)
	}
	n, err := c.m.TopLogits(c.ids[:top], c.top[:top])
	return Logits{IDs: c.ids[:n], Top: c.top[:n]}, err
}
