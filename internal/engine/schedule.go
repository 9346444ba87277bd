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
//
// There is no goroutine for turns. Who comes when nobody takes turns does so, until its own step is done, and then wakes
// one of those who wait to go on: a session that is alone never waits for another goroutine.
type step struct {
	s      *Session
	ctx    stopping
	tokens []int32 // not computed yet
	err    error
	wake   chan bool // capacity 1: true to take turns, false when the step is done
}

// part is what one turn takes of a step.
type part struct {
	*step
	position, n int
}

func (p part) segment() model.Segment {
	return model.Segment{Seq: p.s.seq, Position: p.position, N: p.n}
}

// done reports whether the step needs no further turn.
func (st *step) done() bool { return st.err != nil || len(st.tokens) == 0 }

// schedule is the queue of an engine and what its turns need.
type schedule struct {
	mu      sync.Mutex // guards queue, running and heir
	queue   []*step    // in the order of arrival; one that was served in part goes to the end
	running bool       // somebody takes turns
	heir    *step      // it was woken to take turns, and has not begun
	wanted  int        // as many steps are waited for by who takes turns; 0 for none

	gathered chan struct{} // capacity 1: as many are there as were wanted

	// What follows belongs to who takes turns.
	timer    *time.Timer   // of gather
	own      *step         // of whom that is
	expected int           // steps that are likely to be there soon: those that waited or were done after the last turn
	ended    time.Time     // when the last turn did
	took     time.Duration // and how long it took; 0 for a long one
	chunk    int           // prompt tokens of a short turn, as adapt has found; 0 at first
	pace     time.Duration // of a prompt token in one layer of a long turn; 0 at first
	inner    time.Duration // what short turns took within the long one
	respite  time.Duration // what the last of them took
	resumed  time.Time     // and when the long one went on after it

	short, long turn
}

// init readies a schedule whose turns compute with the states given.
func (q *schedule) init(short, long *model.State) {
	q.short.init(short)
	q.long.init(long)
	q.gathered = make(chan struct{}, 1)
	q.timer = time.NewTimer(0)
	q.timer.Stop()
}

// turn is the steps that are computed together, and the memory for that.
//
// A short turn has every answer that waits, and as many tokens of prompts as keep it short. A long turn has tokens of
// prompts only, as many as are fast, and is begun where no answer waits; whoever comes in the meantime is served by
// short turns within its layers (Engine.between).
type turn struct {
	state    *model.State
	parts    []part // that pick took
	live     batch  // those of them that are computed
	tokens   []int32
	segments []model.Segment
	want     []int
	done     []*Session  // those that get logits
	logits   []float32   // theirs, where there are several
	gives    func(i int) // method give, made once
}

func (t *turn) init(state *model.State) {
	t.state = state
	t.gives = t.give
}

const (
	// turnTime is how long a short turn with a prompt in it should take, so that who comes meanwhile does not wait long.
	turnTime = 75 * time.Millisecond
	// firstChunk is the number of prompt tokens in a short turn before one was measured. It does not rise above maxChunk,
	// nor fall below minChunk: fewer tokens take hardly less time, since the weights are read all the same.
	firstChunk, minChunk, maxChunk = 16, 16, 512
	// layerTime is how long a layer of a long turn should take: who comes meanwhile waits for half of it at the most.
	layerTime = 80 * time.Millisecond
	// mostRespite is how long a long turn goes on at the most before others are served again, but for a part of a layer.
	mostRespite = 40 * time.Millisecond
	// maxLong is the most tokens of a long turn. More would be no faster, and take more memory.
	maxLong = 256
	// firstLong bounds the multiply-adds of a layer of a long turn before one was measured: milliseconds with assembly.
	firstLong = 2e9
	// maxSteps bounds the steps of a turn, and with it the memory for their logits.
	maxSteps = 32
	// gatherShare is the part of a turn's time that is waited for the sessions of the last turn to come back.
	gatherShare = 8
)

// compute adds tokens to the end of a session, and sets its logits to those of the last one. It returns when that is
// done, or with an error when what was computed before it stands in the session.
func (e *Engine) compute(ctx context.Context, s *Session, tokens []int32) error {
	st := &s.step
	st.s, st.ctx, st.tokens, st.err = s, stopping{ctx, s}, tokens, nil
	if err := e.prepare(&st.ctx, nil); err != nil {
		return err
	}
	vocab := e.Model.Config.Vocab
	for i, t := range tokens {
		if t < 0 || int(t) >= vocab {
			return errs.Errorf(errs.InvalidArgument, "engine: token %d of %d: ID %d is not in the vocabulary of %d", i, len(tokens), t, vocab)
		}
	}
	q := &e.schedule
	q.mu.Lock()
	q.queue = append(q.queue, st)
	if q.wanted > 0 && len(q.queue) >= q.wanted {
		q.wanted = 0
		q.gathered <- struct{}{}
	}
	lead := !q.running
	q.running = true
	q.mu.Unlock()
	if !lead {
		select {
		case lead = <-st.wake:
		case <-ctx.Done():
			if q.remove(st) {
				return st.stopped()
			}
			lead = <-st.wake // with the turn that has taken the step, or to take turns
		}
	}
	if lead {
		e.turns(st)
	}
	return st.err
}

// remove takes a step back that waits, unless it is to take turns.
func (q *schedule) remove(st *step) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.queue, st)
	if i < 0 || q.heir == st {
		return false
	}
	q.queue = slices.Delete(q.queue, i, i+1)
	return true
}

// stopped is the error of a step whose context has ended, else nil.
func (st *step) stopped() error {
	if err := st.ctx.Err(); err != nil {
		return errs.Wrap(model.ContextError(err), "engine")
	}
	return nil
}

// turns takes turns until the step of who calls it is done, and lets another step go on with the rest of the queue.
func (e *Engine) turns(own *step) {
	q := &e.schedule
	for {
		q.gather()
		q.mu.Lock()
		q.heir, q.own = nil, own
		t := &q.short
		if q.answers() {
			e.pick(t, e.promptTokens(len(q.queue) > 1), false)
		} else {
			t = &q.long
			e.pick(t, e.longTokens(), true)
		}
		q.mu.Unlock()
		start := time.Now()
		e.run(t)
		q.ended = time.Now()
		q.took = q.ended.Sub(start)
		if t == &q.long {
			q.took = 0
		}
		q.mu.Lock()
		q.expected = len(q.queue) + len(t.parts)
		q.finish(t)
		if own.done() {
			if q.running = len(q.queue) > 0; q.running {
				q.heir = q.queue[0]
				q.heir.wake <- true
			}
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
	}
}

// answers says whether a single token waits. q.mu is held.
func (q *schedule) answers() bool {
	return slices.ContainsFunc(q.queue, func(st *step) bool { return len(st.tokens) == 1 })
}

// finish wakes the steps that a turn was the last for, and puts the others back. q.mu is held.
func (q *schedule) finish(t *turn) {
	for _, p := range t.parts {
		switch {
		case !p.done():
			q.queue = append(q.queue, p.step)
		case p.step != q.own:
			p.wake <- false
		}
	}
	clear(t.parts)
	t.parts = t.parts[:0]
}

// between serves those who came during a long turn with a short one. In between the long turn gets as much time as a short
// one takes, or its sessions would wait until the others need nothing any more.
func (e *Engine) between() {
	q := &e.schedule
	if time.Since(q.resumed) < min(q.respite, mostRespite) {
		return
	}
	q.mu.Lock()
	if len(q.queue) == 0 {
		q.mu.Unlock()
		return
	}
	e.pick(&q.short, e.promptTokens(true), false)
	q.mu.Unlock()
	start := time.Now()
	e.run(&q.short)
	q.resumed = time.Now()
	q.respite = q.resumed.Sub(start)
	q.inner += q.respite
	q.mu.Lock()
	q.finish(&q.short)
	q.mu.Unlock()
}

// gather waits a little for the sessions of the last turn: while their next tokens are drawn they would miss the turn, and
// a turn for some of them takes nearly as long as one for all.
func (q *schedule) gather() {
	patience := time.Until(q.ended.Add(q.took / gatherShare))
	q.mu.Lock()
	most := min(q.expected, maxSteps)
	if len(q.queue) >= most || patience <= 0 {
		q.mu.Unlock()
		return
	}
	q.wanted = most
	q.mu.Unlock()
	q.timer.Reset(patience)
	select {
	case <-q.gathered:
		q.timer.Stop()
	case <-q.timer.C:
		q.mu.Lock()
		if q.wanted == 0 {
			<-q.gathered // they came at the same moment
		}
		q.wanted = 0
		q.mu.Unlock()
	}
}

// pick moves the parts of a turn from the queue to it, the single tokens of answers before those of prompts, of which
// there is room for some. Steps that ended while they waited are taken too; run finds that out. Where parts are to be
// equal, a prompt that does not fit is cut into equal ones: a token takes longer in a small one, as would be left over.
// q.mu is held.
func (e *Engine) pick(t *turn, room int, equal bool) {
	q := &e.schedule
	for _, prompts := range []bool{false, true} {
		kept := q.queue[:0]
		for _, st := range q.queue {
			if len(st.tokens) > 1 != prompts || len(t.parts) == maxSteps || (prompts && room <= 0) {
				kept = append(kept, st)
				continue
			}
			n := len(st.tokens)
			if prompts {
				turns := 1
				if equal {
					turns = (n + room - 1) / room
				}
				n = min(room, (n+turns-1)/turns)
				room -= n
			}
			t.parts = append(t.parts, part{step: st, position: st.s.Position(), n: n})
		}
		clear(q.queue[len(kept):])
		q.queue = kept
	}
}

// promptTokens is how many tokens of prompts a short turn takes. A chunk size that was asked for counts where nobody else
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

// longTokens is how many tokens of prompts a long turn takes.
func (e *Engine) longTokens() int {
	if e.options.ChunkSize > 0 {
		return e.options.ChunkSize
	}
	n := float64(maxLong)
	if pace := e.schedule.pace; pace > 0 {
		n = float64(layerTime / pace)
	} else {
		n = firstLong / float64(e.Model.Config.LayerProducts())
	}
	return int(min(max(n, minChunk), maxLong))
}

// adapt changes the number of prompt tokens in a turn after one that had n of them took some time.
func (q *schedule) adapt(n int, took time.Duration) {
	if q.chunk == 0 {
		q.chunk = firstChunk
	}
	// As many as take turnTime at this pace, which is faster with more tokens.
	most := min(4*n, maxChunk)
	if float64(took)*float64(most) > float64(turnTime)*float64(n) {
		most = int(float64(turnTime) / float64(took) * float64(n))
	}
	if most > q.chunk || (took > turnTime && n <= q.chunk) {
		q.chunk = max(most, minChunk)
	}
}

// run computes the parts of a turn as one batch and takes what is done from their steps.
func (e *Engine) run(t *turn) {
	q := &e.schedule
	// A step fails alone: what only it can fail by is found out before the batch begins.
	live := t.live.parts[:0]
	for _, p := range t.parts {
		if p.err = p.stopped(); p.err == nil {
			p.err = t.state.Reserve(p.segment())
		}
		if p.err != nil {
			p.s.truncate(p.position)
		} else {
			live = append(live, p)
		}
	}
	t.live.parts = live
	defer clear(live)
	if len(live) == 0 {
		return
	}
	t.tokens, t.segments, t.want, t.done = t.tokens[:0], t.segments[:0], t.want[:0], t.done[:0]
	prompts := 0 // their tokens
	for _, p := range live {
		t.tokens = append(t.tokens, p.tokens[:p.n]...)
		t.segments = append(t.segments, p.segment())
		if p.n == len(p.tokens) {
			t.want = append(t.want, len(t.tokens)-1)
			t.done = append(t.done, p.s)
		}
		if p.n > 1 {
			prompts += p.n
		}
	}
	vocab := e.Model.Config.Vocab
	// The logits of a single session go where they belong at once.
	var logits []float32
	if len(t.done) == 1 {
		logits = t.done[0].logits
	} else {
		t.logits = slices.Grow(t.logits[:0], len(t.want)*vocab)[:len(t.want)*vocab]
		logits = t.logits
	}
	start := time.Now()
	var err error
	if t == &q.long {
		q.inner, q.respite = 0, 0
		err = t.state.Forward(&t.live, t.tokens, t.segments, t.want, logits)
		if err == nil && (q.pace == 0 || len(t.tokens) >= e.longTokens()/2) { // a short prompt says little of long ones
			q.pace = (time.Since(start) - q.inner) / time.Duration(len(t.tokens)*e.Model.Config.Layers)
		}
	} else {
		e.step.Lock()
		err = t.state.Forward(&t.live, t.tokens, t.segments, t.want, logits)
		e.step.Unlock()
		if err == nil && prompts > 0 {
			q.adapt(prompts, time.Since(start))
		}
	}
	if err == nil && len(t.done) > 1 {
		e.pool.Run(len(t.done), t.gives)
	}
	clear(t.done)
	for _, p := range live {
		if err != nil {
			if p.err = p.stopped(); p.err == nil {
				p.err = err
			}
			p.s.truncate(p.position) // layers that were computed are ahead of the others
			continue
		}
		if len(p.s.tokens) == p.position {
			p.s.tokens = append(p.s.tokens, p.tokens[:p.n]...)
		}
		p.tokens = p.tokens[p.n:]
	}
}

// give is the work item that copies a session's logits to it: for sixteen sessions they can be megabytes.
func (t *turn) give(i int) {
	to := t.done[i].logits
	copy(to, t.logits[i*len(to):])
}

// batch is the parts that are computed together. As a context it ends when the contexts of all of them have: it goes on
// for those who still want it.
type batch struct {
	parts []part
}

func (*batch) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*batch) Done() <-chan struct{}       { return nil }
func (*batch) Value(any) any               { return nil }

// Err asks every part.
func (b *batch) Err() error {
	var err error
	for _, p := range b.parts {
		if err = p.ctx.Err(); err == nil {
			return nil
		}
	}
	return err
}
