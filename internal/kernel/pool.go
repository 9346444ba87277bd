package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/realm-ai/realm/internal/cpu"
)

// Pool spreads the items of one piece of work over a fixed number of threads. The items are the same whatever the
// number of threads, so results are too. One Run is in progress at a time; calls from several goroutines take turns.
type Pool struct {
	threads int
	crowded bool       // more of them than Go has processors
	mu      sync.Mutex // held for a Run, and by Close
	closed  bool

	// left is the items of the current Run that nobody has taken yet, from first to end-1, with the number of the Run, so
	// that who takes an item cannot mistake a Run for the one before. An item taken keeps its Run, and with it n and do, in
	// place. The caller of Run takes items from the front and workers from the back, so that each knows beforehand which
	// will be its own: see Expect.
	left atomic.Uint64
	n    int
	do   func(item int)
	done atomic.Int64 // items finished

	// The matrix that the next products end with, and where in it a worker's first share is. Workers that wait bring it
	// nearer. They may see one of two matrices with the other's place, which costs time only.
	expected   atomic.Pointer[Matrix]
	expectedAt atomic.Int64

	waiting  atomic.Bool   // Run waits for the last item on finished
	finished chan struct{} // capacity 1

	sleep  []sleeper
	wg     sync.WaitGroup
	caller seat         // of who called Run, while it is in there
	parted atomic.Int64 // when a thread was moved, in nanoseconds since 1970
}

// itemBits are those of first and of end in Pool.left; the number of the Run has the rest.
const (
	itemBits = 20
	maxItems = 1<<itemBits - 1
)

// untaken returns the items that left stands for.
func untaken(left uint64) (first, end int) {
	return int(left >> itemBits & maxItems), int(left & maxItems)
}

// sleeper is where one worker waits between Runs.
type sleeper struct {
	parked atomic.Bool
	wake   chan struct{} // capacity 1
	seat   seat

	// The worker's own: how far it is with Pool.expected.
	nearing *Matrix
	near    int
}

const (
	// spin is how long a worker looks for another Run before it parks. A decoded token is a hundred or more of them,
	// microseconds apart, and waking a parked goroutine takes about as long as one of them. It is longer than a garbage
	// collection stops the others for, and than what is done between two tokens: where both processors are busy, Linux may
	// wake the worker's thread on the one where Run's is, and leave the other idle for milliseconds.
	spin = time.Millisecond
	// brief is how long a worker may look without letting the system's other threads have the processor: longer than what
	// is between two Runs of a token.
	brief = 20 * time.Microsecond
	// patience is how long Run looks for the end of items that run elsewhere before it parks. It is longer than an item
	// takes, unless the system has stopped its thread: then the processor is better left to that.
	patience = 200 * time.Microsecond
	// polls is how often a thread that waits looks before it asks for the time and, where they have no processor, lets other
	// goroutines run: some microseconds. With processors to spare that would wake a thread each time, which may go on with
	// the waiting goroutine itself, and wake its old thread again if the goroutine is tied to that, as in a call from C.
	polls = 1 << 12
)

// NewPool starts a pool of the given number of threads, the caller of Run being one of them. Zero means
// DefaultThreads.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = DefaultThreads()
	}
	processors := runtime.GOMAXPROCS(0)
	p := &Pool{
		threads: threads, crowded: threads > processors,
		sleep: make([]sleeper, threads-1), finished: make(chan struct{}, 1),
	}
	for i := range p.sleep {
		p.sleep[i].wake = make(chan struct{}, 1)
		p.wg.Add(1)
		go p.worker(&p.sleep[i])
	}
	return p
}

// DefaultThreads is the number of threads that Go runs: the processors this process may use, as limited by affinity
// and, since Go 1.25, by its cgroup.
func DefaultThreads() int { return runtime.GOMAXPROCS(0) }

// Threads returns the number of threads.
func (p *Pool) Threads() int { return p.threads }

// Close stops the workers after the Run in progress. A later Run does all its work on the calling goroutine.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for i := range p.sleep {
		close(p.sleep[i].wake)
	}
	p.wg.Wait()
}

// Run calls do once for each item from 0 to n-1, in no given order and on several goroutines, and returns when all are
// done. do must not call Run.
func (p *Pool) Run(n int, do func(item int)) { p.run(n, do, nil) }

// run is Run for products, after which others are expected if expect is not nil.
func (p *Pool) run(n int, do func(item int), expect *expectation) {
	if n <= 0 {
		return
	}
	if n > maxItems {
		several := ceil(n, maxItems)
		p.run(ceil(n, several), func(item int) {
			for i := item * several; i < min((item+1)*several, n); i++ {
				do(i)
			}
		}, expect)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.threads == 1 || n == 1 || p.closed {
		for i := range n {
			do(i)
		}
		return
	}
	p.n, p.do = n, do
	p.done.Store(0)
	p.left.Store((p.left.Load()>>(2*itemBits)+1)<<(2*itemBits) | uint64(n))
	if expect != nil {
		p.expectedAt.Store(int64(expect.at))
		p.expected.Store(expect.last)
	}
	for i := range p.sleep {
		if s := &p.sleep[i]; s.parked.CompareAndSwap(true, false) {
			s.wake <- struct{}{}
		}
	}
	p.work(&p.caller, false)
	p.wait()
	p.caller.leave()
	p.do = nil
}

// work takes items until none is left, those of a worker from the back.
func (p *Pool) work(seat *seat, worker bool) {
	for {
		seat.take()
		left := p.left.Load()
		item, end := untaken(left)
		if item == end {
			return
		}
		taken := left + 1<<itemBits
		if worker {
			item, taken = end-1, left-1
		}
		if !p.left.CompareAndSwap(left, taken) {
			continue
		}
		total := int64(p.n) // the next Run's, once the last item is done
		p.do(item)
		if p.done.Add(1) == total && p.waiting.CompareAndSwap(true, false) {
			p.finished <- struct{}{}
		}
	}
}

// wait returns when all items are done, of which the last may be running elsewhere.
func (p *Pool) wait() {
	var deadline time.Time
	for n := int64(p.n); ; {
		for range polls {
			if p.done.Load() == n {
				return
			}
		}
		now := time.Now()
		p.part(&p.caller, now)
		if deadline.IsZero() {
			deadline = now.Add(patience)
		} else if now.After(deadline) {
			p.waiting.Store(true)
			if p.done.Load() == n && p.waiting.CompareAndSwap(true, false) {
				return
			}
			p.caller.leave()
			<-p.finished // by this Run's last item, or by that of the one before it, late
		}
		if p.yields() {
			runtime.Gosched()
		}
	}
}

// yields reports whether no processor is left for other goroutines while all threads compute. A program may change how many
// Go has.
func (p *Pool) yields() bool { return p.threads >= runtime.GOMAXPROCS(0) }

func (p *Pool) anyLeft() bool {
	first, end := untaken(p.left.Load())
	return first < end
}

func (p *Pool) worker(s *sleeper) {
	defer p.wg.Done()
	for {
		if p.find(s) {
			p.work(&s.seat, true)
			continue
		}
		s.seat.leave()
		s.parked.Store(true)
		// A Run that began between the search and the line above saw parked as false and sends no wake-up.
		if p.anyLeft() && s.parked.CompareAndSwap(true, false) {
			continue
		}
		if _, open := <-s.wake; !open {
			return
		}
	}
}

// find waits a short while for items, and reports whether there are any.
func (p *Pool) find(s *sleeper) bool {
	var start time.Time
	for {
		for range polls {
			if p.anyLeft() {
				return true
			}
			s.approach(p)
		}
		now := time.Now()
		p.part(&s.seat, now)
		if start.IsZero() {
			start = now
		}
		waited := now.Sub(start)
		switch {
		case waited > spin:
			return false
		case p.yields():
			s.seat.leave()
			runtime.Gosched()
		case waited > brief:
			cpu.Yield()
		}
	}
}
