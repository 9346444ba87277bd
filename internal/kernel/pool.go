package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Pool spreads the items of one piece of work over a fixed number of threads. The items are the same whatever the
// number of threads, so results are too. One Run is in progress at a time; calls from several goroutines take turns.
type Pool struct {
	threads int
	mu      sync.Mutex // held for a Run, and by Close
	closed  bool

	work  atomic.Pointer[job] // the current job, seen by spinning workers
	sleep []sleeper
	wg    sync.WaitGroup
}

// job is one Run: workers take the next item until none is left.
type job struct {
	n    int64
	do   func(item int)
	next atomic.Int64 // the next item to take
	done atomic.Int64 // items finished
}

// sleeper is where one worker waits between jobs.
type sleeper struct {
	parked atomic.Bool
	wake   chan struct{} // capacity 1
}

// spin is how long a worker looks for another job before it parks. A decoded token is a hundred or more small jobs,
// microseconds apart, and waking a parked goroutine takes about as long as one of them.
const spin = 50 * time.Microsecond

// NewPool starts a pool of the given number of threads, the caller of Run being one of them. Zero means
// DefaultThreads.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = DefaultThreads()
	}
	p := &Pool{threads: threads, sleep: make([]sleeper, threads-1)}
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
	p.work.Store(nil)
	for i := range p.sleep {
		close(p.sleep[i].wake)
	}
	p.wg.Wait()
}

// Run calls do once for each item from 0 to n-1, in no given order and on several goroutines, and returns when all are
// done. do must not call Run.
func (p *Pool) Run(n int, do func(item int)) {
	if n <= 0 {
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
	j := &job{n: int64(n), do: do}
	p.work.Store(j)
	for i := range p.sleep {
		if s := &p.sleep[i]; s.parked.CompareAndSwap(true, false) {
			s.wake <- struct{}{}
		}
	}
	j.take()
	for i := 0; j.done.Load() < j.n; i++ {
		// The last items are running elsewhere. Yielding now and then matters where threads outnumber processors.
		if i%64 == 63 {
			runtime.Gosched()
		}
	}
	p.work.Store(nil)
}

// take works through items until none is left.
func (j *job) take() {
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.do(int(i))
		j.done.Add(1)
	}
}

func (p *Pool) worker(s *sleeper) {
	defer p.wg.Done()
	var last *job
	for {
		if j := p.find(last); j != nil {
			j.take()
			last = j
			continue
		}
		s.parked.Store(true)
		// A job that was posted between the search and the line above saw parked as false and sends no wake-up.
		if j := p.work.Load(); j != nil && j != last && s.parked.CompareAndSwap(true, false) {
			continue
		}
		if _, open := <-s.wake; !open {
			return
		}
	}
}

// find waits a short while for a job other than last.
func (p *Pool) find(last *job) *job {
	var deadline time.Time
	for i := 0; ; i++ {
		if j := p.work.Load(); j != nil && j != last {
			return j
		}
		if i%64 == 63 {
			now := time.Now()
			if deadline.IsZero() {
				deadline = now.Add(spin)
			} else if now.After(deadline) {
				return nil
			}
			runtime.Gosched()
		}
	}
}
