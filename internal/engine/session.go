package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/kvcache"
	"github.com/realm-ai/realm/internal/model"
)

// Session is one line of tokens and its KV cache. Its calls do not overlap: one that begins while another is in progress
// fails with errs.Conflict.
type Session struct {
	e      *Engine
	closed atomic.Bool

	mu   sync.Mutex // guards busy and the release of seq
	busy bool

	// What follows belongs to the call in progress.
	seq    *kvcache.Sequence
	tokens []int32   // those whose keys and values stand in seq, from position 0; fewer than seq has after calls by layer
	logits []float32 // (vocab) of the last token computed, if hasLogits

	hasLogits bool
	step      step
}

var errSessionClosed = errs.Errorf(errs.Closed, "engine: the session is closed")

// NewSession makes an empty session. Its memory grows with its tokens, and counts for the budget b, which may be nil.
func (e *Engine) NewSession(b *kvcache.Budget) (*Session, error) {
	if e.life.closed.Load() {
		return nil, errClosed
	}
	return e.newSession(e.cache.NewSequenceWithin(b)), nil
}

func (e *Engine) newSession(seq *kvcache.Sequence) *Session {
	return &Session{e: e, seq: seq, logits: make([]float32, e.Model.Config.Vocab), step: step{wake: make(chan bool, 1)}}
}

// Close frees the session's KV cache, after the call in progress, which ends early with errs.Closed. It may be called
// again.
func (s *Session) Close() {
	s.closed.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.busy {
		s.seq.Free()
	}
}

func (s *Session) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed.Load():
		return errSessionClosed
	case s.busy:
		return errs.Errorf(errs.Conflict, "engine: the session is in use by another call")
	}
	if err := s.e.life.begin(); err != nil {
		return err
	}
	s.busy = true
	return nil
}

func (s *Session) end() {
	s.mu.Lock()
	s.busy = false
	if s.closed.Load() {
		s.seq.Free()
	}
	s.mu.Unlock()
	s.e.life.end()
}

// Position returns the number of tokens that the session holds.
func (s *Session) Position() int {
	n := s.seq.Len(0)
	for layer := range s.e.Model.Config.Layers {
		n = min(n, s.seq.Len(layer))
	}
	return n
}

// Truncate drops what stands at and beyond position.
func (s *Session) Truncate(position int) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	s.truncate(position)
	return nil
}

func (s *Session) truncate(position int) {
	s.seq.Truncate(position)
	s.tokens = s.tokens[:min(len(s.tokens), max(0, position))]
}

// Fork makes a session with the first positions of this one, whose memory they share until one of them changes it.
func (s *Session) Fork(position int) (*Session, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	seq, err := s.seq.Fork(position)
	if err != nil {
		return nil, errs.Errorf(errs.InvalidArgument, "engine: %w", err)
	}
	f := s.e.newSession(seq)
	f.tokens = slices.Clone(s.tokens[:min(position, len(s.tokens))])
	return f, nil
}

// Forward computes tokens at position, position+1, ... and returns the logits, (vocab), of the last one, valid until the
// session's next call. What stood at and beyond position is dropped; position is at most Position(). Where it fails the
// session ends at position or, within a long prompt, beyond it.
func (s *Session) Forward(ctx context.Context, tokens []int32, position int) ([]float32, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	return s.forward(ctx, tokens, position)
}

func (s *Session) forward(ctx context.Context, tokens []int32, position int) ([]float32, error) {
	if len(tokens) == 0 {
		return nil, errs.Errorf(errs.InvalidArgument, "engine: no tokens")
	}
	if err := s.checkPositions(position, len(tokens)); err != nil {
		return nil, err
	}
	s.truncate(position)
	if err := s.e.compute(ctx, s, tokens); err != nil {
		return nil, err
	}
	s.hasLogits = true
	return s.logits, nil
}

// TopLogits writes the IDs of the len(ids) tokens with the largest logits, of those that the session computed last, to
// ids, the largest first and of equals the one with the lower ID, and the logits to logits. It returns how many there
// are, which is fewer where the vocabulary is smaller. A NaN stands before all numbers.
func (s *Session) TopLogits(ids []int32, logits []float32) (int, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	if err := checkLen("logits", logits, len(ids)); err != nil {
		return 0, err
	}
	if !s.hasLogits {
		return 0, errs.Errorf(errs.InvalidArgument, "engine: the session has computed no logits")
	}
	// A model's output may have more rows than the vocabulary has tokens; those are never drawn.
	return kernel.Top(ids, logits, s.logits[:s.e.Tokenizer.VocabSize()]), nil
}

func (s *Session) checkPositions(position, n int) error {
	if end := s.Position(); position < 0 || position > end {
		return errs.Errorf(errs.InvalidArgument, "engine: position %d: the session ends at %d", position, end)
	}
	if limit := s.e.options.ContextLength; n > limit-position {
		return errs.Errorf(errs.ContextLength, "engine: %d tokens at position %d do not fit the context length of %d", n, position, limit)
	}
	return nil
}

// Resume makes the session hold exactly tokens and returns the logits of the last one, valid until the session's next
// call, and how many tokens it held already and did not compute again.
func (s *Session) Resume(ctx context.Context, tokens []int32) (logits []float32, reused int, err error) {
	if err := s.begin(); err != nil {
		return nil, 0, err
	}
	defer s.end()
	return s.resume(ctx, tokens)
}

func (s *Session) resume(ctx context.Context, tokens []int32) (logits []float32, reused int, err error) {
	// The last token is always computed: its logits are what is asked for.
	for reused < min(len(s.tokens), len(tokens)-1) && s.tokens[reused] == tokens[reused] {
		reused++
	}
	logits, err = s.forward(ctx, tokens[reused:], reused)
	return logits, reused, err
}

// Embed writes the hidden states, (tokens, hidden), of tokens before the first layer.
func (s *Session) Embed(tokens []int32, hidden []float32) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	if err := checkLen("hidden states", hidden, len(tokens)*s.e.Model.Config.Hidden); err != nil {
		return err
	}
	if err := s.e.prepare(context.Background(), nil); err != nil {
		return err
	}
	return s.e.Model.Embed(hidden, tokens)
}

// ForwardLayer runs one transformer layer on the hidden states, (tokens, hidden), of tokens at position, position+1, ...,
// in place. The layer's KV cache ends after them. A position beyond the layer's length fails.
func (s *Session) ForwardLayer(ctx context.Context, layer int, hidden []float32, position int) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	c := &s.e.Model.Config
	n := len(hidden) / c.Hidden
	switch {
	case layer < 0 || layer >= c.Layers:
		return errs.Errorf(errs.InvalidArgument, "engine: layer %d: the model has %d", layer, c.Layers)
	case n == 0 || len(hidden)%c.Hidden != 0:
		return errs.Errorf(errs.InvalidArgument, "engine: %d hidden values: not a multiple of the hidden size %d", len(hidden), c.Hidden)
	case position < 0 || n > s.e.options.ContextLength-position:
		return errs.Errorf(errs.ContextLength, "engine: %d tokens at position %d do not fit the context length of %d",
			n, position, s.e.options.ContextLength)
	}
	if err := (stopping{ctx, s}).Err(); err != nil {
		return errs.Wrap(model.ContextError(err), fmt.Sprintf("engine: layer %d", layer))
	}
	if err := s.e.prepare(stopping{ctx, s}, nil); err != nil {
		return err
	}
	s.e.step.Lock()
	defer s.e.step.Unlock()
	if err := s.e.state.ForwardLayer(layer, hidden, model.Segment{Seq: s.seq, Position: position, N: n}); err != nil {
		return err
	}
	s.tokens = s.tokens[:min(len(s.tokens), position)]
	return nil
}

// Logits writes the logits, (vocab), of one token's hidden state, (hidden), after the last layer.
func (s *Session) Logits(hidden, logits []float32) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	c := &s.e.Model.Config
	if err := checkLen("a hidden state", hidden, c.Hidden); err != nil {
		return err
	}
	if err := checkLen("logits", logits, c.Vocab); err != nil {
		return err
	}
	if err := s.e.prepare(context.Background(), nil); err != nil {
		return err
	}
	s.e.step.Lock()
	defer s.e.step.Unlock()
	s.e.state.Logits(logits, hidden)
	return nil
}

func checkLen(what string, x []float32, n int) error {
	if len(x) != n {
		return errs.Errorf(errs.InvalidArgument, "engine: %s: have room for %d values, want %d", what, len(x), n)
	}
	return nil
}
