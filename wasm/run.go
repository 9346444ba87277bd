package wasm

import (
	"context"
	"io"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/hostcall"
)

// Grant gives a guest the use of a model, which it knows by Model.ID.
type Grant struct {
	Model *realm.Model
	// Tensors lets the guest read the weights too.
	Tensors bool
	// Session, if not nil, is one of the model's to use as sequence 0, which the guest finds empty: see RunOptions.
	Session *realm.Session
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
	return Limits(hostcall.DefaultLimits())
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
	// OnForward, if not nil, is called after each realm_forward with its tokens, their position and the logits of the last
	// one, which it must not keep or change.
	OnForward func(tokens []int32, position int, logits []float32)
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
	// CachedTokens are those that the sessions of grants held already.
	CachedTokens int
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
	grants := make([]hostcall.Grant, len(r.Models))
	for i, m := range r.Models {
		grants[i] = hostcall.Grant{Model: m.Model, Tensors: m.Tensors, Kept: m.Session}
	}
	key, err := hostcall.Grants(ctx, grants)
	if err != nil {
		return Result{}, err
	}
	in, clock, err := g.instance(ctx, grants, key)
	if err != nil {
		return Result{}, err
	}
	defer in.close()
	t := hostcall.NewTask(ctx, in, hostcall.Request{
		Grants: grants, Limits: hostcall.Limits(r.Limits), Seed: r.Seed, Now: r.Now, Clock: clock, OnEmit: r.OnEmit, OnLog: r.OnLog,
		OnForward: r.OnForward,
	})
	defer t.Close()
	err = in.answer(ctx, t, r.Body)
	if r.DumpMemory != nil {
		if _, dumpErr := r.DumpMemory.Write(in.Memory()); dumpErr != nil && err == nil {
			err = errorf(realm.CodeIO, "dump of the guest's memory: %w", dumpErr)
		}
	}
	return Result(t.Result()), err
}

// answer hands a request to the guest and waits for it to be done.
func (in *instance) answer(ctx context.Context, t *hostcall.Task, body []byte) error {
	at, err := in.call(ctx, t, abi.ExportAlloc, uint64(len(body)))
	if err != nil {
		return err
	}
	if err := t.Put(at, body); err != nil {
		return err
	}
	result, err := in.call(ctx, t, abi.ExportGenerate, uint64(at), uint64(len(body)))
	if err != nil {
		return err
	}
	return t.Refusal(abi.ExportGenerate, int32(result))
}
