// Package bridge owns the functions by which JavaScript uses package realm: their arguments and results, operations that go
// on while the event loop turns, and what ends when a JavaScript environment does. The Node addon calls them with values of
// Node-API, package hostpipe with those of a pipe; both give the same results and the same errors.
//
// It must not know how values cross, nor run guests, which each of the two does in an engine of its own. Start at Functions.
package bridge

import (
	"context"
	"runtime"
	"sync"

	"github.com/realm-ai/realm"
)

// Function is one that JavaScript calls, at once or as an operation.
type Function struct {
	Name string
	Run  func(*Call) (any, error)
}

// Functions returns those that there are in every process. Their results are what Value's comment lists.
func Functions() []Function {
	return append([]Function{
		{"storeModel", storeModel},
		{"getModelInfo", getModelInfo},
		{"getTensor", getTensor},
		{"tensorLength", tensorLength},
		{"removeModel", removeModel},
		{"createSession", createSession},
		{"closeSession", closeSession},
		{"embedTokens", embedTokens},
		{"forwardLayer", forwardLayer},
		{"computeLogits", computeLogits},
		{"generate", generate},
		{"acknowledge", acknowledge},
		{"cancel", cancel},
	}, named()...)
}

// Models is the store that all environments of the process share.
//
// Go gets more processors than there are threads of arithmetic: a thread of JavaScript that calls, and who writes to a pipe,
// would have to wait for one otherwise, and Go's monitor, which takes the processor of a call that has returned if nobody
// else has one to spare, would look for that every 70 microseconds.
var Models = sync.OnceValue(func() *realm.Store {
	const spare = 2
	threads := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(threads + spare)
	return realm.NewStore(realm.StoreOptions{Model: realm.Options{Threads: threads}})
})

// Environment is a JavaScript environment, the main thread's or a worker's: what it has begun and made, which ends with it.
type Environment struct {
	Context context.Context // ends with the environment

	cancel     context.CancelFunc
	work       sync.WaitGroup // operations in progress
	operations Registry[*Operation]
	sessions   Registry[*session]
}

// NewEnvironment begins an environment.
func NewEnvironment() *Environment {
	e := &Environment{}
	e.Context, e.cancel = context.WithCancel(context.Background())
	return e
}

// Open counts the operations in progress and the sessions that are open.
func (e *Environment) Open() (operations, sessions int) {
	return e.operations.Size(), e.sessions.Size()
}

// Cancel ends the operations in progress, and those to come.
func (e *Environment) Cancel() { e.cancel() }

// Close ends the operations in progress and returns when the last has ended, so that nothing touches their buffers
// afterwards, nor posts.
func (e *Environment) Close() {
	e.cancel()
	e.work.Wait()
	for _, s := range e.sessions.Clear() {
		s.close()
	}
}
