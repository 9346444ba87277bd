package hostcall

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// Task is what a guest's code runs for: a request, or the preparation of an instance. It is used from one goroutine at a
// time.
type Task struct {
	ctx     context.Context
	machine Machine
	request Request
	grants  []Grant
	budget  *realm.CacheBudget

	limit     int64 // of fuel
	grantedTo int64 // fuel given to the counter so far
	slept     int64 // nanoseconds that the guest's clock is ahead of its fuel
	random    *rand.ChaCha8

	calls        []int64 // of host functions, by index in abi.Functions
	hostCalls    int64
	output       int64
	weightBytes  int64
	cachedTokens int
	warned       bool // a host call has said that the task is cancelled

	line      []byte // of standard output or error, up to its end
	result    []byte
	hasResult bool
	errorText string // from the guest
	lastError error  // of a host function
	ended     error  // why the host has ended the guest

	// Scratch space of host functions.
	tokens []int32
	floats []float32
}

// NewTask makes a task for a machine, whose fuel is counted from here. Its end is that of ctx.
func NewTask(ctx context.Context, m Machine, r Request) *Task {
	t := &Task{ctx: ctx, machine: m, request: r, limit: math.MaxInt64 / 4, calls: make([]int64, len(abi.Functions()))}
	if r.Limits.Fuel > 0 && r.Limits.Fuel < uint64(t.limit) {
		t.limit = int64(r.Limits.Fuel)
	}
	cache := r.Limits.CacheBytes
	if cache <= 0 {
		cache = math.MaxInt64
	}
	t.budget = realm.NewCacheBudget(cache)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], r.Seed)
	t.random = rand.NewChaCha8(seed)
	for _, g := range r.Grants {
		t.grants = append(t.grants, Grant{
			Model: g.Model, ID: g.ID, Tensors: g.Tensors, Kept: g.Kept, sequences: map[uint32]*realm.Session{}, next: 1,
		})
	}
	m.SetFuel(0)
	return t
}

// NewPreparation makes a task in which a guest starts, or prepares itself for models: without their weights, since others
// may begin with what it leaves.
func NewPreparation(ctx context.Context, m Machine, grants []Grant) *Task {
	t := NewTask(ctx, m, Request{Grants: grants, Limits: preparing})
	for i := range t.grants {
		t.grants[i].Tensors, t.grants[i].Kept = false, nil
	}
	return t
}

// Close frees the task's sequences, and logs the line that a guest which failed began to write.
func (t *Task) Close() {
	if len(t.line) > 0 && t.request.OnLog != nil {
		t.request.OnLog(printable(t.line))
		t.line = nil
	}
	for _, m := range t.grants {
		for _, s := range m.sequences {
			if s != m.Kept {
				_ = s.Close()
			}
		}
	}
}

// slice is the fuel that a guest gets at a time: some tens of microseconds of ordinary code, a few milliseconds of the
// slowest. Between slices the Go scheduler and its garbage collector can stop the goroutine, which in the guest they
// cannot.
const slice = 1 << 17

// Refill is what the meter in a guest's code calls where its counter is below 0: it is given the counter and returns what
// that shall be. Where fuel or time is used up it panics, as Call does.
func (t *Task) Refill(counter int64) int64 {
	used := t.grantedTo - counter
	if err := t.ctx.Err(); err != nil {
		t.grantedTo = used
		t.end(contextError(err))
	}
	if used > t.limit {
		t.grantedTo = used
		t.end(errorf(realm.CodeFuelExhausted, "the guest has used up its fuel of %d units", t.limit))
	}
	more := min(slice, t.limit-used)
	t.grantedTo = used + more
	return more
}

// end stops the guest, whose code does not run on.
func (t *Task) end(err error) {
	if t.ended == nil {
		t.ended = err
	}
	panic(t.ended)
}

// fuelUsed is what the task has used. Within functions that loop the counter is in a local, so it is exact in host calls
// and after the end.
func (t *Task) fuelUsed() uint64 { return uint64(max(0, t.grantedTo-t.machine.Fuel())) }

// Clock is the guest's monotonic clock in nanoseconds.
func (t *Task) Clock() int64 { return t.request.Clock + t.slept + int64(t.fuelUsed()) }

// now is the guest's virtual time in nanoseconds since 1970.
func (t *Task) now() int64 {
	epoch := int64(0)
	if !t.request.Now.IsZero() {
		epoch = t.request.Now.UnixNano()
	}
	return epoch + t.slept + int64(t.fuelUsed())
}

func contextError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errorf(realm.CodeDeadlineExceeded, "the time limit has passed: %w", err)
	}
	return errorf(realm.CodeCanceled, "the request was cancelled: %w", err)
}

// model finds a model that was granted to the task.
func (t *Task) model(id uint32) (*Grant, error) {
	for i := range t.grants {
		if t.grants[i].ID == id {
			return &t.grants[i], nil
		}
	}
	return nil, errorf(realm.CodePermissionDenied, "model %#x is not granted to the guest", id)
}

// session is the selected sequence of a model.
func (t *Task) session(m *Grant) (*realm.Session, error) {
	if s, ok := m.sequences[m.selected]; ok {
		return s, nil
	}
	if m.selected == 0 && m.Kept != nil {
		err := m.Kept.Truncate(0)
		if err == nil {
			m.sequences[0] = m.Kept
		}
		return m.Kept, err
	}
	s, err := m.Model.NewSessionWithin(t.budget)
	if err == nil {
		m.sequences[m.selected] = s
	}
	return s, err
}

// forward computes tokens at a position of the selected sequence. The first ones of a kept session may be there already.
func (t *Task) forward(m *Grant, tokens []int32, position int) ([]float32, error) {
	if _, used := m.sequences[0]; !used && m.selected == 0 && m.Kept != nil && position == 0 && len(tokens) > 0 {
		m.sequences[0] = m.Kept
		logits, cached, err := m.Kept.Resume(t.ctx, tokens)
		t.cachedTokens += cached
		return logits, err
	}
	s, err := t.session(m)
	if err != nil {
		return nil, err
	}
	return s.Forward(t.ctx, tokens, position)
}

// span is count elements of size bytes at an offset in the guest's memory, if that is all within it. The views that it
// gives stay valid during a host call, since a guest's memory grows only by its own code.
func (t *Task) span(at uint32, count uint64, size uint32) ([]byte, error) {
	memory := t.machine.Memory()
	n := count * uint64(size)
	if count > math.MaxUint32 || n > uint64(len(memory)) || uint64(at) > uint64(len(memory))-n {
		return nil, errorf(realm.CodeInvalidArgument, "%d elements of %d bytes at %#x reach beyond the guest's memory of %d",
			count, size, at, len(memory))
	}
	return memory[at : uint64(at)+n], nil
}

// spend counts bytes of output.
func (t *Task) spend(n int) {
	t.output += int64(n)
	if limit := t.request.Limits.OutputBytes; limit > 0 && t.output > limit {
		t.end(errorf(realm.CodeOutputLimit, "the guest has put out more than %d bytes", limit))
	}
}

// Put writes a request's body to where realm_alloc said that it may.
func (t *Task) Put(at uint32, body []byte) error {
	room, err := t.span(at, uint64(len(body)), 1)
	if err != nil || at == 0 {
		return errorf(realm.CodeGuestFailed, "%s(%d) returned %#x, with a memory of %d bytes",
			abi.ExportAlloc, len(body), at, len(t.machine.Memory()))
	}
	copy(room, body)
	return nil
}

// Refusal is the error of an export that returned minus a code, nil where it is not below 0.
func (t *Task) Refusal(name string, result int32) error {
	if result >= 0 {
		return nil
	}
	code := abi.ErrorCode(result)
	if t.errorText != "" {
		return errorf(code, "guest: %s", t.errorText)
	}
	if realm.CodeOf(t.lastError) == code {
		return errorf(code, "guest: %s: %w", name, t.lastError)
	}
	return errorf(code, "guest: %s: %w", name, code)
}

// Fault is how a call of an export ended that did not return.
type Fault struct {
	Text          string // of the engine's error
	StackOverflow bool
	MemoryDenied  bool // the memory could not grow at some time before
	MemoryLimit   int64
}

// Failure says why a call of an export did not return.
func (t *Task) Failure(name string, f Fault) error {
	switch {
	case t.ended != nil && realm.CodeOf(t.ended) != realm.CodeGuestFailed:
		return t.ended
	case f.MemoryDenied:
		return errorf(realm.CodeOutOfMemory, "%s: the guest failed after its memory of %d bytes could not grow: the limit is %d",
			name, len(t.machine.Memory()), f.MemoryLimit)
	case t.ended != nil:
		return t.ended
	case f.StackOverflow:
		return errorf(realm.CodeStackOverflow, "%s: the guest's calls went too deep", name)
	}
	return errorf(realm.CodeGuestFailed, "%s: %s", name, f.Text)
}
