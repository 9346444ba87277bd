package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/tetratelabs/wazero/api"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// task is what a guest's code runs for: a request, or the preparation of an image. Its code runs in one goroutine.
type task struct {
	ctx     context.Context
	in      *instance
	request Request
	start   int64 // monotonic clock at its beginning

	models []granted
	budget *realm.CacheBudget

	limit     int64 // of fuel
	grantedTo int64 // fuel given to the counter so far
	slept     int64 // nanoseconds that the guest's clock is ahead of its fuel
	random    *rand.ChaCha8

	calls       []int64 // of host functions, by index in abi.Functions
	hostCalls   int64
	output      int64
	weightBytes int64
	warned      bool // a host call has said that the task is cancelled

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

// granted is a model that the task may use, with its sequences, of which 0 is made when it is first wanted.
type granted struct {
	Grant
	id        uint32
	sequences map[uint32]*realm.Session
	selected  uint32
	next      uint32
	vocab     []byte // its table, once asked for
}

type taskKey struct{}

// taskOf finds the task that a host function was called for.
func taskOf(ctx context.Context) *task { return ctx.Value(taskKey{}).(*task) }

// preparing is the request in whose place a guest starts and prepares itself: with much fuel, since that is done once.
var preparing = Request{Limits: Limits{Fuel: 1 << 36, CacheBytes: 64 << 20, OutputBytes: 1 << 20, HostCalls: 1 << 16}}

// newTask makes a task for an instance, whose fuel is counted from here.
func newTask(ctx context.Context, in *instance, r Request) *task {
	t := &task{ctx: ctx, in: in, request: r, limit: math.MaxInt64 / 4, calls: make([]int64, len(abi.Functions()))}
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
	in.fuel.Set(0)
	return t
}

// close frees the task's sequences.
func (t *task) close() {
	for _, m := range t.models {
		for _, s := range m.sequences {
			_ = s.Close()
		}
	}
}

// slice is the fuel that a guest gets at a time: some tens of microseconds of ordinary code, a few milliseconds of the
// slowest. Between slices the Go scheduler and its garbage collector can stop the goroutine, which in the guest they
// cannot.
const slice = 1 << 17

// refill is what the meter in a guest's code calls where its counter is below 0.
func refill(ctx context.Context, _ api.Module, stack []uint64) {
	t := taskOf(ctx)
	used := t.grantedTo - int64(stack[0])
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
	stack[0] = uint64(more)
}

// end stops the guest, whose code does not run on.
func (t *task) end(err error) {
	if t.ended == nil {
		t.ended = err
	}
	panic(t.ended)
}

// fuelUsed is what the task has used. Within functions that loop the counter is in a local, so it is exact in host calls
// and after the end.
func (t *task) fuelUsed() uint64 { return uint64(max(0, t.grantedTo-int64(t.in.fuel.Get()))) }

// monotonic is the guest's monotonic clock in nanoseconds.
func (t *task) monotonic() int64 { return t.start + t.slept + int64(t.fuelUsed()) }

// now is the guest's virtual time in nanoseconds since 1970.
func (t *task) now() int64 {
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
func (t *task) model(id uint32) (*granted, error) {
	for i := range t.models {
		if t.models[i].id == id {
			return &t.models[i], nil
		}
	}
	return nil, errorf(realm.CodePermissionDenied, "model %#x is not granted to the guest", id)
}

// session is the selected sequence of a model.
func (t *task) session(m *granted) (*realm.Session, error) {
	if s, ok := m.sequences[m.selected]; ok {
		return s, nil
	}
	s, err := m.Model.NewSessionWithin(t.budget)
	if err == nil {
		m.sequences[m.selected] = s
	}
	return s, err
}

// span is count elements of size bytes at an offset in the guest's memory, if that is all within it. The views that it
// gives stay valid during a host call, since a guest's memory grows only by its own code.
func (t *task) span(at uint32, count uint64, size uint32) ([]byte, error) {
	memory := t.in.bytes()
	n := count * uint64(size)
	if count > math.MaxUint32 || n > uint64(len(memory)) || uint64(at) > uint64(len(memory))-n {
		return nil, errorf(realm.CodeInvalidArgument, "%d elements of %d bytes at %#x reach beyond the guest's memory of %d",
			count, size, at, len(memory))
	}
	return memory[at : uint64(at)+n], nil
}

// spend counts bytes of output.
func (t *task) spend(n int) {
	t.output += int64(n)
	if limit := t.request.Limits.OutputBytes; limit > 0 && t.output > limit {
		t.end(errorf(realm.CodeOutputLimit, "the guest has put out more than %d bytes", limit))
	}
}
