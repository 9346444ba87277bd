package engine

import (
	"context"
	"iter"
	"time"

	"github.com/realm-ai/realm/internal/generate"
	"github.com/realm-ai/realm/internal/kernel"
)

// Chunk is a step of an answer.
type Chunk struct {
	generate.Chunk
	Prefill, Decode time.Duration // for the prompt, and for the answer after that; in the last chunk only
}

// Generate answers a prompt token by token. The loop may be left at any time. Where it fails the last pair has the
// error and what text was left. The session holds the prompt and the answer afterwards, but for the last token.
//
// A prompt that does not fit the context length is errs.ContextLength, and so is an answer that reaches it before
// MaxTokens, unless Shift is set.
func (s *Session) Generate(ctx context.Context, r Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		none := Chunk{Chunk: generate.Chunk{Token: -1}}
		if err := s.begin(); err != nil {
			yield(none, err)
			return
		}
		defer s.end()
		start := time.Now()
		loop, err := generate.New(&source{s: s, ctx: ctx}, s.e.Tokenizer, s.e.options.ContextLength, r)
		if err != nil {
			yield(none, err)
			return
		}
		var decoding time.Time
		for {
			c, more, err := loop.Next()
			if decoding.IsZero() {
				decoding = time.Now()
			}
			chunk := Chunk{Chunk: c}
			if c.Finish != "" {
				chunk.Prefill, chunk.Decode = decoding.Sub(start), time.Since(decoding)
			}
			if !yield(chunk, err) || !more {
				return
			}
		}
	}
}

// source computes a session for a loop.
type source struct {
	s    *Session
	ctx  context.Context
	last [1]int32 // what Append computes
	ids  []int32
	top  []float32
}

func (m *source) Resume(tokens []int32, top int) (generate.Logits, int, error) {
	logits, cached, err := m.s.resume(m.ctx, tokens)
	return m.logits(logits, top), cached, err
}

func (m *source) Append(token int32, position, top int) (generate.Logits, error) {
	m.last[0] = token
	logits, err := m.s.forward(m.ctx, m.last[:], position)
	return m.logits(logits, top), err
}

func (m *source) logits(all []float32, top int) generate.Logits {
	if top == 0 || all == nil {
		return generate.Logits{All: all}
	}
	if cap(m.ids) < top {
		m.ids, m.top = make([]int32, top), make([]float32, top)
	}
	l := generate.Logits{IDs: m.ids[:top], Top: m.top[:top]}
	kernel.Top(l.IDs, l.Top, all[:m.s.e.Tokenizer.VocabSize()])
	return l
}
