package hostpipe

import (
	"context"
	"fmt"

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
	ctx    context.Context
	cancel context.CancelFunc
	module *module
	model  *realm.Model
	limits hostcall.Limits
	turn   chan struct{} // holds an element while an answer is given: they are given one after the other
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
	s := &sandbox{module: m, model: model, limits: limits, turn: make(chan struct{}, 1)}
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

// answer(sandbox, request, logs) lets the guest answer a request, an abi.Request in JSON whose model counts for nothing: its
// chunks are posted, its result is an ending.
func answer(c *call) (any, error) {
	number, err := c.Number(0, "a sandbox's number, as openSandbox returns it", 1<<53)
	if err != nil {
		return nil, err
	}
	text, err := c.Text(1, "a request in JSON")
	if err != nil {
		return nil, err
	}
	logs, err := c.Bool(2, "whether log lines are wanted")
	if err != nil {
		return nil, err
	}
	request, err := hostcall.ReadRequest(text)
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
	ending, err := s.answer(ctx, c.Op, request, logs)
	if err != nil && s.ctx.Err() != nil {
		err = closed()
	}
	return ending, err
}

func (s *sandbox) answer(ctx context.Context, op *bridge.Operation, request realm.Request, logs bool) (any, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	// The time limit holds for waiting on a reader too, so it is that of the context.
	limits := wasm.Limits(s.limits)
	if limits.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limits.Time)
		defer cancel()
		limits.Time = 0
	}
	var used wasm.Result
	o := wasm.RunOptions{Limits: limits, Result: &used}
	if logs {
		o.OnLog = func(line string) { op.Tell(bridge.LogLine{Log: line}) }
	}
	var last *bridge.Ending
	for step, err := range s.module.guest.Generate(ctx, s.model, request, o) {
		switch {
		case err != nil:
			return nil, err
		case step.Finish != "":
			ending := bridge.NewEnding(step)
			last = &ending
		case op.Post(ctx, bridge.NewChunk(step, request.Logprobs)) != nil:
			return nil, ended(ctx)
		}
	}
	if last == nil {
		return nil, &realm.Error{Code: realm.CodeInternal, Msg: "realm: the answer has no end"}
	}
	last.Guest = &bridge.GuestUse{
		Fuel: used.Fuel, MemoryBytes: used.MemoryBytes, WeightBytes: used.WeightBytes, CacheBytes: used.CacheBytes, HostCalls: used.HostCalls,
	}
	return *last, nil
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
