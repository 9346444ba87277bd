//go:build cgo && node_addon

package main

import (
	"context"
	"math"
	"time"
	"unsafe"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/bridge"
	"github.com/realm-ai/realm/internal/hostcall"
)

// task is what an instance of a guest runs for, on its sandbox's thread.
type task struct {
	*hostcall.Task
	machine machine
	sandbox *sandbox
	ctx     context.Context
	cancel  func()
	err     error // why a call of an export failed

	// Of a request, nil while the guest is prepared.
	request *request
	answer  *hostcall.Answer // nil where the request is raw
}

// machine is an instance under V8. JavaScript passes its memory and a cell with each call, in which Go works in place, and
// which it must not keep.
type machine struct {
	memory []byte
	cell   []int64 // the fuel counter, and room for a result of 64 bits
}

func (m *machine) Memory() []byte { return m.memory }
func (m *machine) Fuel() int64    { return m.cell[0] }

func (m *machine) SetFuel(fuel int64) {
	if m.cell != nil { // a new instance has none used, as its counter says
		m.cell[0] = fuel
	}
}

// enter takes the memory and the cell from a call's arguments, until leave.
func (t *task) enter(c *call, memory, cell int) error {
	var err error
	if t.machine.memory, err = c.Buffer(memory, "an instance's memory"); err != nil {
		return err
	}
	b, err := c.Buffer(cell, "a BigInt64Array of 2")
	if err != nil {
		return err
	}
	if len(b) != 16 || uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
		return c.Invalid(cell, "a BigInt64Array of 2")
	}
	t.machine.cell = unsafe.Slice((*int64)(unsafe.Pointer(&b[0])), 2)
	return nil
}

func (t *task) leave() { t.machine.memory, t.machine.cell = nil, nil }

func (c *call) task(i int) (*task, error) {
	number, err := c.Number(i, "a task's number", 1<<53)
	if err != nil {
		return nil, err
	}
	if t := c.env.tasks.Find(uintptr(number)); t != nil {
		return t, nil
	}
	return nil, c.Invalid(i, "the number of a task of this thread")
}

// prepareTask(sandbox, withModel) makes a task in which an instance starts or, with the model, prepares itself.
func prepareTask(c *call) (any, error) {
	s, err := c.sandbox(0)
	if err != nil {
		return nil, err
	}
	var grants []hostcall.Grant
	if c.Is(1, bridge.Bool) && c.Args[1].Number != 0 {
		if grants, err = s.grants(); err != nil {
			return nil, err
		}
	}
	t := &task{sandbox: s}
	t.ctx, t.cancel = context.WithCancel(s.ctx)
	t.Task = hostcall.NewPreparation(t.ctx, &t.machine, grants)
	return int(c.env.tasks.Add(t)), nil
}

func (s *sandbox) grants() ([]hostcall.Grant, error) {
	grants := []hostcall.Grant{{Model: s.model}}
	_, err := hostcall.Grants(s.ctx, grants)
	return grants, err
}

// begun is a task of a request.
type begun struct {
	Task  int `json:"task"`
	Bytes int `json:"bytes"` // of the request's body
}

// beginTask(request) makes a task of a request. It returns nothing where nobody waits for it any more.
func beginTask(c *call) (any, error) {
	number, err := c.Number(0, "a request's number", 1<<53)
	if err != nil {
		return nil, err
	}
	r := requests.Find(uintptr(number))
	if r == nil {
		return nil, nil
	}
	select {
	case <-r.ready:
	case <-c.env.Context.Done():
		return nil, nil
	case <-r.sandbox.ctx.Done():
		return nil, nil
	}
	if !r.begin() {
		return nil, nil
	}
	s := r.sandbox
	t := &task{sandbox: s, request: r}
	grants, err := s.grants()
	if err != nil {
		t.err = err
		t.finish()
		return nil, nil
	}
	if s.limits.Time > 0 {
		t.ctx, t.cancel = context.WithTimeout(r.op.Context, s.limits.Time)
	} else {
		t.ctx, t.cancel = context.WithCancel(r.op.Context)
	}
	cancel, forget := t.cancel, context.AfterFunc(s.ctx, t.cancel)
	t.cancel = func() {
		forget()
		cancel()
	}
	o := hostcall.Request{Grants: grants, Limits: s.limits, Seed: hostcall.Seed(&r.request), Now: time.Now(), Clock: s.clock}
	if r.raw {
		o.OnEmit = t.emitted
	} else {
		t.answer = hostcall.NewAnswer(&r.request, t.post)
		o.Now, o.OnEmit, o.OnForward = t.answer.Start, t.answer.Emitted, t.answer.Forwarded
	}
	if r.logs {
		o.OnLog = func(text string) { r.op.Tell(bridge.LogLine{Log: text}) }
	}
	t.Task = hostcall.NewTask(t.ctx, &t.machine, o)
	return begun{int(c.env.tasks.Add(t)), len(r.body)}, nil
}

// post hands a chunk of the answer over. The thread has waited for room.
func (t *task) post(step realm.Chunk) bool {
	if step.Finish != "" {
		t.request.ending = bridge.NewEnding(step)
		return true
	}
	return t.request.op.Post(t.ctx, bridge.NewChunk(step, t.request.request.Logprobs)) == nil
}

// emitted hands over what the guest emitted. The thread has waited for room.
func (t *task) emitted(kind uint32, chunk []byte) error {
	out, err := bridge.NewEmitted(kind, chunk)
	if err != nil {
		return err
	}
	if t.request.op.Post(t.ctx, out) != nil {
		return hostcall.ErrLeft
	}
	return nil
}

// conclude makes what the operation returns.
func (t *task) conclude(result hostcall.Result) error {
	use := bridge.NewGuestUse(result)
	if t.request.raw {
		ending, err := bridge.NewRawEnding(result.Body, use)
		t.request.ending = ending
		return err
	}
	if err := t.answer.Finish(result); err != nil {
		return err
	}
	if e, ok := t.request.ending.(bridge.Ending); ok {
		e.Guest = use
		t.request.ending = e
	}
	return nil
}

// patience is how long a thread waits for a reader in one call. Between two of them it can be terminated.
const patience = 20 * time.Millisecond

// taskRoom(task) waits until a chunk can be posted. Where that takes long it returns false, and is to be called again.
func taskRoom(c *call) (any, error) {
	t, err := c.task(0)
	if err != nil {
		return nil, err
	}
	if t.request == nil {
		return true, nil
	}
	return t.request.op.Room(t.ctx, patience), nil
}

// putBody(task, at, memory) writes the request to the guest's memory, where realm_alloc said.
func putBody(c *call) (any, error) {
	t, err := c.task(0)
	if err != nil {
		return nil, err
	}
	at, err := c.int32(1)
	if err != nil {
		return nil, err
	}
	if t.machine.memory, err = c.Buffer(2, "an instance's memory"); err != nil {
		return nil, err
	}
	defer t.leave()
	if err := t.Put(at, t.request.body); err != nil {
		t.err = err
	}
	return t.err == nil, nil
}

// int32 returns an argument that WebAssembly passed as an i32, signed or not.
func (c *call) int32(i int) (uint32, error) {
	if c.Is(i, bridge.Number) {
		if v := c.Args[i].Number; v == math.Trunc(v) && v >= math.MinInt32 && v <= math.MaxUint32 {
			return uint32(int64(v)), nil
		}
	}
	return 0, c.Invalid(i, "an i32")
}

// hostCall(task, function, memory, cell, ...params) calls a function that guests import. A param that is an i64 may be
// anything: no function looks at one. A result of 64 bits is in the cell. Where the guest is stopped it throws.
func hostCall(c *call) (result any, err error) {
	t, err := c.task(0)
	if err != nil {
		return nil, err
	}
	imports := hostcall.Imports()
	function, err := c.Number(1, "a function's number", uint64(len(imports)-1))
	if err != nil {
		return nil, err
	}
	if err := t.enter(c, 2, 3); err != nil {
		return nil, err
	}
	defer t.leave()
	f := imports[function]
	var params [16]uint64
	for i, letter := range f.Params {
		if 4+i >= len(c.Args) || letter == 'I' {
			continue
		}
		v, err := c.int32(4 + i)
		if err != nil {
			return nil, err
		}
		params[i] = uint64(v)
	}
	defer stopped(&err)
	out := t.Call(int(function), params[:len(f.Params)])
	if f.Result == "I" {
		t.machine.cell[1] = int64(out)
		return nil, nil
	}
	return int(int32(out)), nil
}

// refillTask(task, cell) is what the meter calls: the cell has the counter, and then what it shall be.
func refillTask(c *call) (result any, err error) {
	t, err := c.task(0)
	if err != nil {
		return nil, err
	}
	if err := t.enter(c, 1, 1); err != nil {
		return nil, err
	}
	defer t.leave()
	defer stopped(&err)
	t.machine.cell[0] = t.Refill(t.machine.cell[0])
	return nil, nil
}

// stopped makes an error of the panic with which a function stops the guest. A panic with no typed error is a bug.
func stopped(err *error) {
	switch v := recover().(type) {
	case nil:
	case *realm.Error:
		*err = v
	case error:
		if realm.CodeOf(v) == realm.CodeInternal && v != hostcall.ErrLeft {
			panic(v)
		}
		*err = v
	default:
		panic(v)
	}
}

// failTask(task, export, text, stackOverflow, memoryDenied, memory, cell) notes that a call of an export did not return.
func failTask(c *call) (any, error) {
	t, err := c.task(0)
	if err != nil {
		return nil, err
	}
	name, err := c.Text(1, "an export's name")
	if err != nil {
		return nil, err
	}
	text, err := c.Text(2, "an error's text")
	if err != nil {
		return nil, err
	}
	if err := t.enter(c, 5, 6); err != nil {
		return nil, err
	}
	defer t.leave()
	t.err = t.Failure(name, hostcall.Fault{
		Text: text, StackOverflow: c.Args[3].Number != 0, MemoryDenied: c.Args[4].Number != 0, MemoryLimit: t.sandbox.module.memoryLimit(),
	})
	return nil, nil
}

// refuseTask(task, export, result) notes what an export returned, and returns whether that was no error.
func refuseTask(c *call) (any, error) {
	t, err := c.task(0)
	if err != nil {
		return nil, err
	}
	name, err := c.Text(1, "an export's name")
	if err != nil {
		return nil, err
	}
	result, err := c.int32(2)
	if err != nil {
		return nil, err
	}
	t.err = t.Refusal(name, int32(result))
	return t.err == nil, nil
}

// checkVersion(version) refuses a guest that was built for another version of the ABI.
func checkVersion(c *call) (any, error) {
	version, err := c.int32(0)
	if err != nil {
		return nil, err
	}
	return nil, hostcall.CheckVersion(version)
}

// endTask(task, memory, cell) ends a task. A preparation that failed throws; how a request ended its operation tells.
func endTask(c *call) (any, error) {
	t, err := c.task(0)
	if err != nil {
		return nil, err
	}
	if err := t.enter(c, 1, 2); err != nil {
		return nil, err
	}
	defer t.leave()
	c.env.tasks.Remove(uintptr(c.Args[0].Number))
	if t.request == nil {
		t.sandbox.clock = t.Clock()
		t.finish()
		return nil, t.err
	}
	if t.err == nil {
		t.err = t.conclude(t.Result())
	}
	t.finish()
	return nil, nil
}

// finish frees the task and lets its request's operation end.
func (t *task) finish() {
	if t.Task != nil {
		t.Close()
		t.cancel()
	}
	if t.request == nil {
		return
	}
	if t.err != nil && t.sandbox.ctx.Err() != nil {
		t.err = closedSandbox()
	}
	t.request.err = t.err
	close(t.request.done)
}
