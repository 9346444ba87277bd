//go:build cgo && node_addon

package main

import (
	"context"
	"sync"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/bridge"
	"github.com/realm-ai/realm/internal/hostcall"
	"github.com/realm-ai/realm/internal/wasmpatch"
)

// Guests run under V8, each in a worker thread of its own; package hostcall does for them what it does for those of
// package wasm. Their modules, and the memory that they start from, are in module.go. An environment opens a sandbox and
// asks for answers; the environment of the sandbox's thread makes tasks of them and calls host functions (task.go).

// sandbox is a guest with a model.
type sandbox struct {
	owner  *environment
	ctx    context.Context
	cancel context.CancelFunc
	module *module
	model  *realm.Model
	limits hostcall.Limits

	// Of the prepared guest; set by the sandbox's thread, before the first request.
	image *image
	clock int64 // the monotonic one
}

var sandboxes bridge.Registry[*sandbox]

// close ends what the sandbox has in progress.
func (s *sandbox) close() {
	s.cancel()
	_ = s.model.Close()
}

// guestImport is a function that guests may import, for the module that binds it.
type guestImport struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Params string `json:"params"` // i for an i32, I for an i64, as is result
	Result string `json:"result"`
}

// guestNames is what binds a patched module to the addon.
type guestNames struct {
	Imports     []guestImport `json:"imports"` // by the number that hostCall takes
	Emit        string        `json:"emit"`
	MeterModule string        `json:"meterModule"`
	Refill      string        `json:"refill"`
	Fuel        string        `json:"fuel"`
	Denied      string        `json:"denied"`
	Start       []string      `json:"start"` // exports that start an instance, in this order, if there
	Version     string        `json:"version"`
	Prepare     string        `json:"prepare"`
	Alloc       string        `json:"alloc"`
	Generate    string        `json:"generate"`
	Memory      string        `json:"memory"`
	Globals     string        `json:"globals"` // the prefix of the exported globals
}

// getGuestNames() returns the names through which a patched module and its host meet.
func getGuestNames(*call) (any, error) {
	n := guestNames{
		Emit: abi.Emit, MeterModule: wasmpatch.MeterModule, Refill: wasmpatch.RefillName, Fuel: wasmpatch.FuelGlobal,
		Denied: wasmpatch.DeniedGlobal, Start: []string{wasmpatch.StartExport, abi.ExportStart}, Version: abi.ExportVersion,
		Prepare: abi.ExportPrepare, Alloc: abi.ExportAlloc, Generate: abi.ExportGenerate, Memory: abi.MemoryExport,
		Globals: wasmpatch.GlobalPrefix,
	}
	for _, f := range hostcall.Imports() {
		n.Imports = append(n.Imports, guestImport{f.Module, f.Name, f.Params, f.Result})
	}
	return n, nil
}

// openSandbox(modelId, module, limits) opens a sandbox and returns its number.
func openSandbox(c *call) (any, error) {
	id, err := c.ModelID(0)
	if err != nil {
		return nil, err
	}
	m, err := c.module(1)
	if err != nil {
		return nil, err
	}
	limits, err := c.Limits(2)
	if err != nil {
		return nil, err
	}
	model, err := bridge.Models().Model(c.Context(), id)
	if err != nil {
		return nil, err
	}
	s := &sandbox{owner: c.env, module: m, model: model, limits: limits}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return int(sandboxes.Add(s)), nil
}

func (c *call) sandbox(i int) (*sandbox, error) {
	number, err := c.Number(i, "a sandbox's number, as openSandbox returns it", 1<<53)
	if err != nil {
		return nil, err
	}
	if s := sandboxes.Find(uintptr(number)); s != nil {
		return s, nil
	}
	return nil, closedSandbox()
}

func closedSandbox() error {
	return &realm.Error{Code: realm.CodeClosed, Msg: "realm: the sandbox is closed"}
}

// closeSandbox(sandbox) ends what a sandbox has in progress, and the sandbox. It may be called again.
func closeSandbox(c *call) (any, error) {
	number, err := c.Number(0, "a sandbox's number, as openSandbox returns it", 1<<53)
	if err != nil {
		return nil, err
	}
	if s := sandboxes.Remove(uintptr(number)); s != nil {
		s.close()
	}
	return nil, nil
}

// request is one that waits for a sandbox's thread, or is answered by it.
type request struct {
	sandbox *sandbox
	request realm.Request // only its seed is set where raw is
	raw     bool          // the guest's own: what it emits is handed over as it is
	body    []byte
	logs    bool // the embedder wants log lines

	ready  chan struct{} // closed when op is set
	op     *bridge.Operation
	mu     sync.Mutex
	begun  bool // the sandbox's thread has it, or nobody wants it any more
	done   chan struct{}
	ending any // what the operation returns
	err    error
}

// requests are known to all environments.
var requests bridge.Registry[*request]

// requestAnswer(sandbox, request, logs) makes a request, an abi.Request in JSON whose model counts for nothing, and returns
// its number, for answer and, on the sandbox's thread, beginTask.
func requestAnswer(c *call) (any, error) {
	s, err := c.sandbox(0)
	if err != nil {
		return nil, err
	}
	text, err := c.Text(1, "a request in JSON")
	if err != nil {
		return nil, err
	}
	r, err := c.request(s, 2)
	if err != nil {
		return nil, err
	}
	if r.request, err = hostcall.ReadRequest(text); err != nil {
		return nil, err
	}
	// The body is written again, as the command line writes it: fuel depends on every byte.
	if r.body, err = hostcall.EncodeRequest(s.ctx, s.model, &r.request); err != nil {
		return nil, err
	}
	return int(requests.Add(r)), nil
}

// request begins a request. An argument says whether log lines are wanted.
func (c *call) request(s *sandbox, logs int) (*request, error) {
	r := &request{sandbox: s, ready: make(chan struct{}), done: make(chan struct{})}
	var err error
	r.logs, err = c.Bool(logs, "whether log lines are wanted")
	return r, err
}

// requestRaw(sandbox, body, seed, logs) makes a request of the guest's own shape, text or bytes, and returns its number, as
// requestAnswer does. seed is a decimal number of 64 bits.
func requestRaw(c *call) (any, error) {
	s, err := c.sandbox(0)
	if err != nil {
		return nil, err
	}
	seed, err := c.Seed(2)
	if err != nil {
		return nil, err
	}
	body, err := c.Body(1)
	if err != nil {
		return nil, err
	}
	r, err := c.request(s, 3)
	if err != nil {
		return nil, err
	}
	r.raw, r.body, r.request.Sampling = true, body, &realm.Sampling{Seed: seed}
	return int(requests.Add(r)), nil
}

// answer(request, together) is the operation in which a request is answered: its chunks are posted, its result is an ending.
func answer(c *call) (any, error) {
	number, err := c.Number(0, "a request's number", 1<<53)
	if err != nil {
		return nil, err
	}
	r := requests.Find(uintptr(number))
	if r == nil || c.Op == nil {
		return nil, c.Invalid(0, "a request's number, in an operation")
	}
	defer requests.Remove(uintptr(number))
	if err := c.Together(1); err != nil {
		return nil, err
	}
	defer bridge.Spare()()
	r.op = c.Op
	close(r.ready)
	select {
	case <-r.done:
	case <-c.Op.Context.Done():
	case <-r.sandbox.ctx.Done():
	}
	if r.begin() { // no thread has it, nor will
		if r.sandbox.ctx.Err() != nil {
			return nil, closedSandbox()
		}
		return nil, &realm.Error{Code: realm.CodeCanceled, Msg: "realm: the request was cancelled", Err: c.Op.Context.Err()}
	}
	<-r.done // the thread's next host call, or look at its fuel, ends the guest
	return r.ending, r.err
}

// begin reports whether the caller is the first to take the request.
func (r *request) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.begun
	r.begun = true
	return first
}
