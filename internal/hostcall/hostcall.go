// Package hostcall owns what guests may import: the host functions of the ABI's table and those of WASI, with the grants,
// limits, sequences and counters of the request that calls them. Package wasm binds them to wazero, the Node addon to V8,
// so that a guest finds the same functions, the same clock and the same errors under both, and burns the same fuel.
//
// It must know no engine: it sees a Machine, a guest's memory and its fuel counter. A function that stops the guest
// panics with an error, which an engine turns into the end of the guest's code; Task.Failure then says why it ended.
// Start at Imports and Task.Call.
package hostcall

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// Limits of a module.
const (
	PageBytes     = 65_536
	DefaultMemory = 64 << 20 // of its linear memory, where nobody says otherwise
	MaxModule     = 64 << 20 // bytes, before it is looked at
	maxMemory     = 2 << 30
	// maxTable bounds the entries of a guest's tables: functions that are called through pointers, of which Go's compiler
	// makes one of every function.
	maxTable = 1 << 18
)

// Machine is an instance of a guest in some engine.
type Machine interface {
	// Memory is the whole linear memory, valid until the guest runs on.
	Memory() []byte
	// Fuel is the counter of the meter, which SetFuel sets. Both are called only while the guest does not run.
	Fuel() int64
	SetFuel(int64)
}

// Limits bound a request; those of package wasm. What is 0 is not limited.
type Limits struct {
	Fuel        uint64
	Time        time.Duration // of the context: whoever makes that applies it
	CacheBytes  int64
	OutputBytes int64
	HostCalls   int64
}

// DefaultLimits are those of package wasm.
func DefaultLimits() Limits {
	return Limits{Fuel: 1e12, Time: 10 * time.Minute, CacheBytes: 4 << 30, OutputBytes: 64 << 20, HostCalls: 1e7}
}

// preparing are the limits for a guest that starts and prepares itself: with much fuel, since that is done once.
var preparing = Limits{Fuel: 1 << 36, CacheBytes: 64 << 20, OutputBytes: 1 << 20, HostCalls: 1 << 16}

// Grant is a model that a guest may use. Only its own task uses it.
type Grant struct {
	Model   *realm.Model
	ID      uint32
	Tensors bool // it may read the weights too
	// Kept, which may be nil, is a session of the embedder's to use as sequence 0. What it holds of another request saves
	// computing the same tokens again, which changes no bit; a guest finds the sequence empty all the same.
	Kept *realm.Session

	sequences map[uint32]*realm.Session // of which 0 is made when it is first wanted
	selected  uint32
	next      uint32
	vocab     []byte // its table, once asked for
}

// Grants finds the ids of models, which must differ, and a key of all that a guest could find out about them while it
// prepares itself: of the file, and of the options with which the realm.Model was opened.
func Grants(ctx context.Context, grants []Grant) (key string, err error) {
	for i := range grants {
		g := &grants[i]
		if g.Model == nil {
			return "", errorf(realm.CodeInvalidArgument, "grant %d has no model", i)
		}
		if g.Kept != nil && g.Kept.Model() != g.Model {
			return "", errorf(realm.CodeInvalidArgument, "grant %d has a session of another model", i)
		}
		if g.ID, err = g.Model.ID(ctx); err != nil {
			return "", err
		}
		for _, other := range grants[:i] {
			if other.ID == g.ID {
				return "", errorf(realm.CodeConflict, "two grants are of models with the id %#x", g.ID)
			}
		}
		digest, err := g.Model.Digest(ctx, nil)
		if err != nil {
			return "", err
		}
		info := g.Model.Info()
		// The bytes of a token tell the number format of the KV cache, and so the logits' bits.
		key += fmt.Sprintf("%s %d %d %q,", digest, info.ContextLength, info.CacheBytesPerToken, info.PreTokenizer)
	}
	return key, nil
}

// Request is what a task is for.
type Request struct {
	Grants []Grant
	Limits Limits
	Seed   uint64    // of random bytes
	Now    time.Time // where the clock starts, for the zero value at 1970
	// Clock is where the monotonic clock starts: that of the task which prepared the instance goes on.
	Clock  int64
	OnEmit func(kind uint32, chunk []byte) error // may be nil
	OnLog  func(line string)                     // may be nil
	// OnForward, which may be nil, is given the tokens of each realm_forward, their position and the logits.
	OnForward func(tokens []int32, position int, logits []float32)
}

// Result is what came of a request; that of package wasm.
type Result struct {
	Body        []byte
	Fuel        uint64
	HostCalls   map[string]int64
	MemoryBytes int64
	WeightBytes int64
	CacheBytes  int64
	// CachedTokens are those that kept sessions held already.
	CachedTokens int
}

// Result sums the task up.
func (t *Task) Result() Result {
	out := Result{
		Body: t.result, Fuel: t.fuelUsed(), HostCalls: map[string]int64{}, MemoryBytes: int64(len(t.machine.Memory())),
		WeightBytes: t.weightBytes, CacheBytes: t.budget.Used(), CachedTokens: t.cachedTokens,
	}
	for i, f := range abi.Functions() {
		if t.calls[i] > 0 {
			out.HostCalls[f.Name] = t.calls[i]
		}
	}
	return out
}

// errorf makes an error with a code. A %w verb sets the cause.
func errorf(code realm.Code, format string, args ...any) error {
	err := fmt.Errorf("hostcall: "+format, args...)
	return &realm.Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}
