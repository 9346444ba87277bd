package hostpipe

import (
	"context"
	"fmt"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/bridge"
	"github.com/realm-ai/realm/internal/hostcall"
	"github.com/realm-ai/realm/wasm"
)

// dropGuest(module) forgets a module; sandboxes that were opened with it go on.
func dropGuest(c *call) (any, error) {
	number, err := c.Number(0, "a module's number", 1<<53)
	if err != nil {
		return nil, err
	}
	if m := c.c.modules.Remove(uintptr(number)); m != nil {
		m.release()
	}
	return nil, nil
}

// sandbox is a guest with a model.
type sandbox struct {
	ctx       context.Context
	cancel    context.CancelFunc
	module    *module
	model     *realm.Model
	limits    hostcall.Limits
	answering chan struct{} // holds an element while an answer is given: they are given one after the other
}

// close ends what the sandbox has in progress.
func (s *sandbox) close() {
	s.cancel()
	_ = s.model.Close()
	s.module.release()
}

// openSandbox(modelId, module, limits) opens a sandbox and returns its number.
func openSandbox(c *call) (any, error) {
	id, err := c.ModelID(0)
	if err != nil {
		return nil, err
	}
	number, err := c.Number(1, "a module's number, as patchGuest returns it", 1<<53)
	if err != nil {
		return nil, err
	}
	limits, err := c.Limits(2)
	if err != nil {
		return nil, err
	}
	m := c.c.modules.Find(uintptr(number))
	if m == nil || !m.hold() {
		return nil, c.Invalid(1, "a module's number, as patchGuest returns it")
	}
	model, err := bridge.Models().Model(c.Context(), id)
	if err != nil {
		m.release()
		return nil, err
	}
	s := &sandbox{module: m, model: model, limits: limits, answering: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return int(c.c.sandboxes.Add(s)), nil
}

// closeSandbox(sandbox) ends what a sandbox has in progress, and the sandbox. It may be called again.
func closeSandbox(c *call) (any, error) {
	number, err := c.Number(0, "a sandbox's number, as openSandbox returns it", 1<<53)
	if err != nil {
		return nil, err
	}
	if s := c.c.sandboxes.Remove(uintptr(number)); s != nil {
		s.close()
	}
	return nil, nil
}

// answer(sandbox, request, logs, together) lets the guest answer a request, an abi.Request in JSON whose model counts for
// nothing: its chunks are posted, its result is an ending.
func answer(c *call) (any, error) {
	text, err := c.Text(1, "a request in JSON")
	if err != nil {
		return nil, err
	}
	request, err := hostcall.ReadRequest(text)
	if err != nil {
		return nil, err
	}
	if err := c.Together(3); err != nil {
		return nil, err
	}
	return c.inTurn(0, 2, func(t *turn) (any, error) {
		var used wasm.Result
		o := wasm.RunOptions{Limits: t.limits, OnLog: t.onLog, Result: &used}
		var last *bridge.Ending
		for step, err := range t.module.guest.Generate(t.ctx, t.model, request, o) {
			switch {
			case err != nil:
				return nil, err
			case step.Finish != "":
				ending := bridge.NewEnding(step)
				last = &ending
			case c.Op.Post(t.ctx, bridge.NewChunk(step, request.Logprobs)) != nil:
				return nil, ended(t.ctx)
			}
		}
		if last == nil {
			return nil, &realm.Error{Code: realm.CodeInternal, Msg: "realm: the answer has no end"}
		}
		last.Guest = bridge.NewGuestUse(hostcall.Result(used))
		return *last, nil
	})
}

// ask(sandbox, body, seed, logs) sends the guest a request of its own shape, text or bytes: what it emits is posted, its
// result is a raw ending. seed is a decimal number of 64 bits.
func ask(c *call) (any, error) {
	body, err := c.Body(1)
	if err != nil {
		return nil, err
	}
	seed, err := c.Seed(2)
	if err != nil {
		return nil, err
	}
	return c.inTurn(0, 3, func(t *turn) (any, error) {
		used, err := t.module.guest.Run(t.ctx, wasm.Request{
			Body: body, Models: []wasm.Grant{{Model: t.model}}, Limits: t.limits, Seed: seed, Now: time.Now(), OnLog: t.onLog,
			OnEmit: func(kind uint32, chunk []byte) error {
				out, err := bridge.NewEmitted(kind, chunk)
				if err != nil {
					return err
				}
				if c.Op.Post(t.ctx, out) != nil {
					return ended(t.ctx)
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
		return bridge.NewRawEnding(used.Body, bridge.NewGuestUse(hostcall.Result(used)))
	})
}

// turn is a sandbox's turn to answer.
type turn struct {
	*sandbox
	ctx    context.Context // ends with the call, with the sandbox, and by its time limit
	limits wasm.Limits     // the others
	onLog  func(line string)
}

// inTurn lets f answer when the turn of the sandbox has come that an argument names. Another says whether log lines are
// wanted.
func (c *call) inTurn(name, logs int, f func(*turn) (any, error)) (any, error) {
	number, err := c.Number(name, "a sandbox's number, as openSandbox returns it", 1<<53)
	if err != nil {
		return nil, err
	}
	wanted, err := c.Bool(logs, "whether log lines are wanted")
	if err != nil {
		return nil, err
	}
	s := c.c.sandboxes.Find(uintptr(number))
	if s == nil {
		return nil, closed()
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	t := &turn{sandbox: s, ctx: ctx, limits: wasm.Limits(s.limits)}
	if wanted {
		t.onLog = func(line string) { c.Op.Tell(bridge.LogLine{Log: line}) }
	}
	result, err := t.take(f)
	if err != nil && s.ctx.Err() != nil {
		err = closed()
	}
	return result, err
}

func (t *turn) take(f func(*turn) (any, error)) (any, error) {
	select {
	case t.answering <- struct{}{}:
		defer func() { <-t.answering }()
	case <-t.ctx.Done():
		return nil, ended(t.ctx)
	}
	// The time limit holds for waiting on a reader too, so it is that of the context.
	if t.limits.Time > 0 {
		var cancel context.CancelFunc
		t.ctx, cancel = context.WithTimeout(t.ctx, t.limits.Time)
		defer cancel()
		t.limits.Time = 0
	}
	return f(t)
}

func closed() error {
	return &realm.Error{Code: realm.CodeClosed, Msg: "realm: the sandbox is closed"}
}

// ended is the error of an answer that its context ended.
func ended(ctx context.Context) error {
	code := realm.CodeCanceled
	if ctx.Err() == context.DeadlineExceeded {
		code = realm.CodeDeadlineExceeded
	}
	return &realm.Error{Code: code, Msg: "realm: the answer: " + ctx.Err().Error(), Err: ctx.Err()}
}

func ioError(err error) error {
	return &realm.Error{Code: realm.CodeIO, Msg: fmt.Sprintf("hostpipe: %v", err), Err: err}
}
