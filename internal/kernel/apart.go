package kernel

import (
	"sync/atomic"
	"time"

	"github.com/realm-ai/realm/internal/cpu"
)

// Threads that compute together belong on processors of their own. Linux may wake one on the processor of another, when
// something else runs on the one that it had, and leaves it there for milliseconds after that one is free again. A thread
// that waits for another finds out: the processor on which that was last seen is the one that it is on itself, so the other
// is not running. Then it goes, if it may, to another processor.

// seat is the processor on which a thread of a pool computes, as far as is known.
type seat struct{ number atomic.Int64 } // plus one; 0 for none

func (s *seat) take()  { s.number.Store(int64(cpu.Processor()) + 1) }
func (s *seat) leave() { s.number.Store(0) }

// apart is how often threads of a pool may be moved: moving takes some 20 microseconds.
const apart = 500 * time.Microsecond

// part moves the calling thread, whose seat is given, away from another one of the pool's on the same processor.
func (p *Pool) part(own *seat, now time.Time) {
	own.take()
	n := own.number.Load()
	if n == 0 || p.crowded {
		return
	}
	with := p.caller.number.Load() == n && own != &p.caller
	for i := range p.sleep {
		s := &p.sleep[i].seat
		with = with || s.number.Load() == n && s != own
	}
	if !with {
		return
	}
	if last := p.parted.Load(); now.UnixNano()-last > int64(apart) && p.parted.CompareAndSwap(last, now.UnixNano()) {
		cpu.Leave(int(n - 1))
	}
}
