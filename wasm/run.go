package wasm

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// Grant gives a guest the use of a model, which it knows by Model.ID.
type Grant struct {
	Model *realm.Model
	// Tensors lets the guest read the weights too.
	Tensors bool
}

// Limits bound a request. What is 0 is not limited.
type Limits struct {
	Fuel        uint64        // units, about one for each instruction: realm.CodeFuelExhausted
	Time        time.Duration // on the clock: realm.CodeDeadlineExceeded
	CacheBytes  int64         // KV cache of all models and sequences: realm.CodeCacheLimit
	OutputBytes int64         // of chunks and log lines: realm.CodeOutputLimit
	HostCalls   int64         // realm.CodeHostCallLimit
}

// DefaultLimits returns limits that no honest request comes near, but for very long ones: a tera-unit of fuel, 10
// minutes, 4 GiB of KV cache, 64 MiB of output and 10 million host calls.
func DefaultLimits() Limits {
	return Limits{Fuel: 1e12, Time: 10 * time.Minute, CacheBytes: 4 << 30, OutputBytes: 64 << 20, HostCalls: 1e7}
}

// The kinds of chunks that Request.OnEmit is given.
const (
	EmitText  = abi.EmitText  // text of the answer, in whole UTF-8 characters
	EmitToken = abi.EmitToken // a token that was drawn, with log-probabilities, as docs/abi.md has it
)

// Request is what a guest is to do.
type Request struct {
	// Body is what the guest reads: for the guest that ships with Realm the JSON of docs/abi.md.
	Body []byte
	// Models are those that the guest may use. It was prepared for them in this order.
	Models []Grant
	Limits Limits
	// Seed is where the guest's random bytes come from, and Now where its clock starts. Beyond that the clock shows the
	// fuel that was used, a nanosecond for each unit.
	Seed uint64
	Now  time.Time
	// OnEmit, if not nil, is called with the chunks of the answer as they come, which it must not keep. An error from it
	// ends the request.
	OnEmit func(kind uint32, chunk []byte) error
	// OnLog, if not nil, is called with lines that the guest logs or writes to its standard output and error.
	OnLog func(line string)
	// DumpMemory, if not nil, is given the guest's memory at the end.
	DumpMemory io.Writer
}

// Result is what came of a request. Where the request failed, it says how far that was.
type Result struct {
	// Body is the result that the guest emitted, for the guest that ships with Realm the JSON of docs/abi.md.
	Body []byte
	// Fuel is what the request used. The same request uses the same, if nothing from outside ends it.
	Fuel uint64
	// HostCalls counts calls of host functions by name, those of WASI not included.
	HostCalls map[string]int64
	// MemoryBytes is the size of the linear memory at the end.
	MemoryBytes int64
	// WeightBytes counts the bytes of tensors that entered the guest.
	WeightBytes int64
	// CacheBytes is the KV cache at the end.
	CacheBytes int64
}

// Run lets the guest answer a request, in an instance of its own. Cancelling ctx ends it, in a host call within a layer of
// the model, elsewhere within a slice of fuel. A guest that fails gives the code that it returned, one that breaks a limit
// that of the limit, and one that traps or exits realm.CodeGuestFailed.
func (g *Guest) Run(ctx context.Context, r Request) (Result, error) {
	g.use.RLock()
	defer g.use.RUnlock()
	if g.closed {
		return Result{}, errorf(realm.CodeClosed, "the guest is closed")
	}
	if r.Limits.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Limits.Time)
		defer cancel()
	}
	models, key, err := grants(ctx, r.Models)
	if err != nil {
		return Result{}, err
	}
	in, clock, err := g.instance(ctx, models, key)
	if err != nil {
		return Result{}, err
	}
	defer in.close()
	t := newTask(ctx, in, r)
	defer t.close()
	t.start, t.models = clock, models
	err = t.answer()
	if len(t.line) > 0 && r.OnLog != nil {
		r.OnLog(printable(t.line)) // what a guest that failed began to write
	}
	if r.DumpMemory != nil {
		if _, dumpErr := r.DumpMemory.Write(in.bytes()); dumpErr != nil && err == nil {
			err = errorf(realm.CodeIO, "dump of the guest's memory: %w", dumpErr)
		}
	}
	return t.outcome(), err
}

// grants finds the ids of models, and a key that says which they are, whatever the realm.Model that stands for them.
func grants(ctx context.Context, models []Grant) (list []granted, key string, err error) {
	for i, g := range models {
		if g.Model == nil {
			return nil, "", errorf(realm.CodeInvalidArgument, "grant %d has no model", i)
		}
		id, err := g.Model.ID(ctx)
		if err != nil {
			return nil, "", err
		}
		for _, other := range list {
			if other.id == id {
				return nil, "", errorf(realm.CodeConflict, "two grants are of models with the id %#x", id)
			}
		}
		digest, err := g.Model.Digest(ctx, nil)
		if err != nil {
			return nil, "", err
		}
		key += fmt.Sprintf("%s %d,", digest, g.Model.Info().ContextLength)
		list = append(list, granted{Grant: g, id: id, sequences: map[uint32]*realm.Session{}, next: 1})
	}
	return list, key, nil
}

// answer hands the request to the guest and waits for it to be done.
func (t *task) answer() error {
	body := t.request.Body
	at, err := t.in.call(t, abi.ExportAlloc, uint64(len(body)))
	if err != nil {
		return err
	}
	room, err := t.span(at, uint64(len(body)), 1)
	if err != nil || at == 0 {
		return errorf(realm.CodeGuestFailed, "%s(%d) returned %#x, with a memory of %d bytes",
			abi.ExportAlloc, len(body), at, t.in.memory.Size())
	}
	copy(room, body)
	result, err := t.in.call(t, abi.ExportGenerate, uint64(at), uint64(len(body)))
	if err != nil {
		return err
	}
	return t.refusal(abi.ExportGenerate, int32(result))
}

// refusal is the error of an export that returned minus a code, nil where it is not below 0.
func (t *task) refusal(name string, result int32) error {
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

// outcome sums the task up.
func (t *task) outcome() Result {
	out := Result{
		Body: t.result, Fuel: t.fuelUsed(), HostCalls: map[string]int64{}, MemoryBytes: int64(t.in.memory.Size()),
		WeightBytes: t.weightBytes, CacheBytes: t.budget.Used(),
	}
	for i, f := range abi.Functions() {
		if t.calls[i] > 0 {
			out.HostCalls[f.Name] = t.calls[i]
		}
	}
	return out
}
