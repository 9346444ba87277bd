package bridge

import (
	"context"
	"time"
)

// window is how many chunks of a stream may be under way to JavaScript: one more waits until some are acknowledged.
const window = 64

// Operation is a call in progress whose caller has returned to the event loop.
type Operation struct {
	Context context.Context

	cancel context.CancelFunc
	credit chan struct{} // holds an element for each chunk that is under way
	post   func(result any, last bool)
}

// Start runs f on a goroutine of its own and returns the operation's number. post is given what f posts and, at last, what
// it returns; it must not wait long.
func (e *Environment) Start(f func(*Operation) (any, error), post func(result any, last bool)) uintptr {
	op := &Operation{credit: make(chan struct{}, window), post: post}
	op.Context, op.cancel = context.WithCancel(e.Context)
	number := e.operations.Add(op)
	e.work.Go(func() {
		result, err := Guard(func() (any, error) { return f(op) })
		e.operations.Remove(number)
		op.cancel()
		if err != nil {
			result = err
		}
		post(result, true)
	})
	return number
}

// Post hands a chunk to the operation's callback. It waits while too many are under way, and fails when ctx, or the
// operation's own context, has ended.
func (op *Operation) Post(ctx context.Context, chunk any) error {
	select {
	case op.credit <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-op.Context.Done():
		return op.Context.Err()
	}
	op.post(chunk, false)
	return nil
}

// Tell hands something to the callback that is not counted among the chunks.
func (op *Operation) Tell(x any) { op.post(x, false) }

// Room waits, for no longer than patience, until a chunk can be posted without waiting: then, or where ctx has ended, it
// returns true. Only who posts may ask.
func (op *Operation) Room(ctx context.Context, patience time.Duration) bool {
	select {
	case op.credit <- struct{}{}:
		<-op.credit
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case op.credit <- struct{}{}:
		<-op.credit
		return true
	case <-ctx.Done():
		return true
	case <-timer.C:
		return false
	}
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
	for ; op != nil && n > 0; n-- {
		select {
		case <-op.credit:
		default:
			return false
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
