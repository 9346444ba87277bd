package bridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// window is how many chunks of a stream may be under way to JavaScript: one more waits until some are acknowledged.
	window = 64
	// pace is the least time between two deliveries of a stream's chunks. Each takes the event loop's thread a processor
	// that computes the next token otherwise, some 150 microseconds at a time, so those of a fast model come a few at a
	// time. It is what a screen shows as one frame.
	pace = 16 * time.Millisecond
	// stall is how long a chunk is held where no other comes to take it along.
	stall = 2 * pace
)

// Operation is a call in progress whose caller has returned to the event loop.
type Operation struct {
	Context context.Context

	cancel context.CancelFunc
	posted atomic.Int64 // chunks
	credit *Credit
	room   chan struct{} // capacity 1: chunks were taken while Credit.Waits was set

	together bool // chunks may come all at once

	mu        sync.Mutex
	post      func(result any, last bool)
	held      []any     // not delivered yet
	delivered time.Time // when something was
	timer     *time.Timer
	over      bool
}

// Credit is what the two sides of an operation know of one another. It may lie in memory that is not Go's, so that a thread
// of JavaScript need not enter Go to say that it has taken chunks: Go would have to find it a processor.
type Credit struct {
	Taken atomic.Int64 // chunks
	Waits atomic.Int32 // not 0: more have to be taken before others come. Who changes Taken then calls Environment.Acknowledge
}

// Start runs f on a goroutine of its own and returns the operation's number. post is given what f posts, in lists, and, at
// last, what it returns; it must not wait long. credit may be nil; otherwise it has to stay until the last post.
func (e *Environment) Start(f func(*Operation) (any, error), post func(result any, last bool), credit *Credit) uintptr {
	if credit == nil {
		credit = new(Credit)
	}
	op := &Operation{credit: credit, room: make(chan struct{}, 1), post: post}
	op.Context, op.cancel = context.WithCancel(e.Context)
	number := e.operations.Add(op)
	e.work.Go(func() {
		result, err := Guard(func() (any, error) { return f(op) })
		e.operations.Remove(number)
		op.cancel()
		if err != nil {
			result = err
		}
		op.end(result)
	})
	return number
}

// Post hands a chunk to the operation's callback, perhaps with those that come next. It waits while too many are under way,
// and fails when ctx, or the operation's own context, has ended.
func (op *Operation) Post(ctx context.Context, chunk any) error {
	if err := op.wait(ctx); err != nil {
		return err
	}
	op.posted.Add(1)
	op.mu.Lock()
	defer op.mu.Unlock()
	op.held = append(op.held, chunk)
	switch now := time.Now(); {
	case op.together:
	case now.Sub(op.delivered) >= pace:
		op.deliver(now)
	case op.timer == nil:
		op.timer = time.AfterFunc(stall, op.Flush)
	case len(op.held) == 1:
		op.timer.Reset(stall)
	}
	return nil
}

// Together reads an argument that may be missing: nobody looks at a chunk before the operation is over, so that they may be
// delivered then.
func (c *Call) Together(i int) (err error) {
	c.Op.together, err = c.Bool(i, "whether chunks may come together")
	return err
}

// Tell hands something to the callback at once that is not counted among the chunks.
func (op *Operation) Tell(x any) {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.held = append(op.held, x)
	op.deliver(time.Now())
}

// Flush delivers what is held.
func (op *Operation) Flush() {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.deliver(time.Now())
}

// deliver posts what is held. op.mu is held, so that everything comes in its order.
func (op *Operation) deliver(now time.Time) {
	if op.timer != nil {
		op.timer.Stop()
	}
	if len(op.held) == 0 || op.over {
		return
	}
	op.post(op.held, false)
	op.held = nil
	op.delivered = now
}

// end delivers what is held and then the result.
func (op *Operation) end(result any) {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.deliver(time.Now())
	op.over = true
	op.post(result, true)
}

// full reports whether no more chunks may be under way.
func (op *Operation) full() bool { return op.posted.Load()-op.credit.Taken.Load() >= window }

// wait returns when a chunk can be posted, or with the error of a context that has ended. Only who posts may wait.
func (op *Operation) wait(ctx context.Context) error {
	if !op.full() {
		return nil
	}
	op.Flush() // or nobody could take what this waits for
	for {
		op.credit.Waits.Store(1)
		if !op.full() {
			op.credit.Waits.Store(0)
			return nil
		}
		select {
		case <-op.room:
		case <-ctx.Done():
			return ctx.Err()
		case <-op.Context.Done():
			return op.Context.Err()
		}
	}
}

// Room waits, for no longer than patience, until a chunk can be posted without waiting: then, or where ctx has ended, it
// returns true. Only who posts may ask.
func (op *Operation) Room(ctx context.Context, patience time.Duration) bool {
	if !op.full() {
		return true
	}
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return op.wait(brief) == nil || ctx.Err() != nil
}

// acknowledge(operation, n) says that n chunks of an operation were taken, so that as many more may come.
func acknowledge(c *Call) (any, error) {
	number, err := c.Number(0, "an operation's number", 1<<53)
	if err != nil {
		return nil, err
	}
	n, err := c.Number(1, "a number of chunks", window)
	if err != nil {
		return nil, err
	}
	if !c.Env.Acknowledge(uintptr(number), int(n)) {
		return nil, c.Invalid(1, "no more chunks than came")
	}
	return nil, nil
}

// Acknowledge takes n chunks of an operation as taken, and reports whether so many had come. Of one that is over it knows
// nothing.
func (e *Environment) Acknowledge(number uintptr, n int) bool {
	op := e.operations.Find(number)
	if op == nil {
		return true
	}
	if n < 0 || op.credit.Taken.Load()+int64(n) > op.posted.Load() {
		return false
	}
	op.credit.Taken.Add(int64(n))
	if op.credit.Waits.Swap(0) != 0 {
		select {
		case op.room <- struct{}{}:
		default:
		}
	}
	return true
}

// cancel(operation) ends an operation in progress. One that is over is none of its business.
func cancel(c *Call) (any, error) {
	number, err := c.Number(0, "an operation's number", 1<<53)
	if err != nil {
		return nil, err
	}
	c.Env.CancelOperation(uintptr(number))
	return nil, nil
}

// CancelOperation ends an operation in progress. Of one that is over it knows nothing.
func (e *Environment) CancelOperation(number uintptr) {
	if op := e.operations.Find(number); op != nil {
		op.cancel()
	}
}
