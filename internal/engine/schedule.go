package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/model"
)

// A step is tokens that a session wants computed at its end: one of an answer, or a whole prompt. It waits in the
// engine's queue. Each turn of the scheduler takes what fits from the steps that wait and computes it as one batch: a
// row of weights that was read once serves them all. Which steps met in a batch, and how a prompt was cut, changes no
// bit of the result.
type step struct {
	s      *Session
	ctx    context.Context
	tokens []int32 // not computed yet
	err    error
	done   chan struct{} // closed when tokens is empty or err is set
}

// part is what one turn takes of a step.
type part struct {
	*step
	position, n int
}

// schedule is the queue of an engine and what its turns need.
type schedule struct {
	mu      sync.Mutex // guards queue and running
	queue   []*step    // in the order of arrival; one that was served in part goes to the end
	running bool       // a goroutine takes turns

	// What follows belongs to the goroutine that takes turns.
	chunk    int // prompt tokens of a turn, as adapt has found; 0 at first
	tokens   []int32
	segments []model.Segment
	want     []int
	logits   []float32
}

const (
	// turnTime is how long a turn with a prompt in it should take at most, so that who comes meanwhile does not wait long.
	turnTime = 90 * time.Millisecond
	// firstChunk is the number of prompt tokens in a turn before one was measured. It doubles up to maxChunk while turns
	// are short. It does not fall below minChunk: fewer tokens take hardly less time, since the weights are read all the
	// same.
	firstChunk, minChunk, maxChunk = 16, 8, 512
	// maxSteps bounds the steps of a turn, and with it the memory for their logits.
	maxSteps = 32
)

// compute adds tokens to the end of a session, and sets its logits to those of the last one. It returns when that is
// done, or with an error when what was computed before it stands in the session.
func (e *Engine) compute(ctx context.Context, s *Session, tokens []int32) error {
	if err := e.prepare(stopping{ctx, s}, nil); err != nil {
		return err
	}
	vocab := e.Model.Config.Vocab
	for i, t := range tokens {
		if t < 0 || int(t) >= vocab {
			return errs.Errorf(errs.InvalidArgument, "engine: token %d of %d: ID %d is not in the vocabulary of %d", i, len(tokens), t, vocab)
		}
	}
	st := &step{s: s, ctx: stopping{ctx, s}, tokens: tokens, done: make(chan struct{})}
	q := &e.schedule
	q.mu.Lock()
	q.queue = append(q.queue, st)
	if !q.running {
		q.running = true
		go e.turns()
	}
	q.mu.Unlock()
	select {
	case <-st.done:
		return st.err
	case <-ctx.Done():
	}
	// A step that waits is taken back; one that a turn has taken ends with it.
	q.mu.Lock()
	i := slices.Index(q.queue, st)
	if i >= 0 {
		q.queue = slices.Delete(q.queue, i, i+1)
	}
	q.mu.Unlock()
	if i >= 0 {
		return st.stopped()
	}
	<-st.done
	return st.err
}

// stopped is the error of a step whose context has ended, else nil.
func (st *step) stopped() error {
	if err := st.ctx.Err(); err != nil {
		return errs.Wrap(model.ContextError(err), "engine")
	}
	return nil
}

// turns serves the queue until it is empty.
func (e *Engine) turns() {
	q := &e.schedule
	for {
		q.mu.Lock()
		parts := e.pick()
		if len(parts) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		e.turn(parts)
		q.mu.Lock()
		for _, p := range parts {
			if p.err != nil || len(p.tokens) == 0 {
				close(p.done)
			} else {
				q.queue = append(q.queue, p.step)
			}
		}
		q.mu.Unlock()
	}
}

// pick takes the parts of the next turn from the queue, the single tokens of answers before those of prompts. Steps that
// ended while they waited are taken too; turn finds that out.
func (e *Engine) pick() []part {
	q := &e.schedule
	var parts []part
	room := e.promptTokens(len(q.queue) > 1)
	for _, prompts := range []bool{false, true} {
		q.queue = slices.DeleteFunc(q.queue, func(st *step) bool {
			if len(st.tokens) > 1 != prompts || len(parts) == maxSteps || (prompts && room <= 0) {
				return false
			}
			n := min(len(st.tokens), max(1, room))
			if prompts {
				room -= n
			}
			parts = append(parts, part{step: st, position: st.s.Position(), n: n})
			return true
		})
	}
	return parts
}

// promptTokens is how many tokens of prompts a turn takes. A chunk size that was asked for counts where nobody else
// waits.
func (e *Engine) promptTokens(shared bool) int {
	if e.options.ChunkSize > 0 && !shared {
		return e.options.ChunkSize
	}
	n := e.schedule.chunk
	if n == 0 {
		n = firstChunk
	}
	if e.options.ChunkSize > 0 {
		n = min(n, e.options.ChunkSize)
	}
	return n
}

// adapt changes the number of prompt tokens in a turn after one that had n of them took some time.
func (q *schedule) adapt(n int, took time.Duration) {
	if q.chunk == 0 {
		q.chunk = firstChunk
	}
	switch {
	case took > turnTime && n <= q.chunk:
		q.chunk = max(q.chunk/2, minChunk)
	case took < turnTime/3 && n >= q.chunk:
		q.chunk = min(q.chunk*2, maxChunk)
	}
}

// turn computes the parts as one batch and takes what is done from their steps.
func (e *Engine) turn(parts []part) {
	// A step fails alone: what only it can fail by is found out before the batch begins.
	live := parts[:0:0]
	for _, p := range parts {
		if p.err = p.stopped(); p.err == nil {
			p.err = e.Model.Reserve(p.s.seq, p.position, p.n)
		}
		if p.err != nil {
			p.s.truncate(p.position)
		} else {
			live = append(live, p)
		}
	}
	if len(live) == 0 {
		return
	}
	q := &e.schedule
	q.tokens, q.segments, q.want = q.tokens[:0], q.segments[:0], q.want[:0]
	for _, p := range live {
		q.tokens = append(q.tokens, p.tokens[:p.n]...)
		q.segments = append(q.segments, model.Segment{Seq: p.s.seq, Position: p.position, N: p.n})
		if p.n == len(p.tokens) {
			q.want = append(q.want, len(q.tokens)-1)
		}
	}
	vocab := e.Model.Config.Vocab
	q.logits = slices.Grow(q.logits[:0], len(q.want)*vocab)[:len(q.want)*vocab]
	start := time.Now()
	e.step.Lock()
	err := e.state.Forward(batchContext{context.Background(), live}, q.tokens, q.segments, q.want, q.logits)
	e.step.Unlock()
	if prompt := len(q.tokens) - len(live); err == nil && prompt > 0 {
		q.adapt(prompt+1, time.Since(start))
	}
	logits := q.logits
	for _, p := range live {
		if err != nil {
			if p.err = p.stopped(); p.err == nil {
				p.err = err
			}
			p.s.truncate(p.position) // layers that were computed are ahead of the others
			continue
		}
		if p.n == len(p.tokens) {
			copy(p.s.logits, logits[:vocab])
			logits = logits[vocab:]
		}
		if len(p.s.tokens) == p.position {
			p.s.tokens = append(p.s.tokens, p.tokens[:p.n]...)
		}
		p.tokens = p.tokens[p.n:]
	}
}

// batchContext ends when the contexts of all parts have: a batch goes on for those who still want it.
type batchContext struct {
	context.Context
	parts []part
}

func (c batchContext) Err() error {
	var err error
	for _, p := range c.parts {
		if err = p.ctx.Err(); err == nil {
			return nil
		}
	}
	return err
}
