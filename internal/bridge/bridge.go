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

// threads is how many threads of arithmetic there are: all processors that Go had at first.
var threads = sync.OnceValue(func() int { return runtime.GOMAXPROCS(0) })

// Models is the store that all environments of the process share.
var Models = sync.OnceValue(func() *realm.Store {
	return realm.NewStore(realm.StoreOptions{Model: realm.Options{Threads: threads()}})
})

// Spare has Go run more processors than there are threads of arithmetic, until the function that it returns is called. A
// thread of JavaScript that computes by calls has one of them from its first call on, and Go's monitor looks every 70
// microseconds for those to take back that others wait for. Who streams only does better without: a goroutine that has
// computed for 10 milliseconds changes threads where there is a processor to spare, which costs 1%.
func Spare() (release func()) {
	spare.add(1)
	return func() { spare.add(-1) }
}

var spare spares

type spares struct {
	sync.Mutex
	users int
}

func (s *spares) add(n int) {
	const processors = 2
	s.Lock()
	defer s.Unlock()
	switch s.users += n; {
	case s.users == 0:
		runtime.GOMAXPROCS(threads())
	case s.users == n: // the first
		runtime.GOMAXPROCS(threads() + processors)
	}
}

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
