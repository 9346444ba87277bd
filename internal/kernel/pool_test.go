package kernel

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolRunsEveryItemOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := NewPool(threads)
		for n := range 40 {
			counts := make([]atomic.Int32, n)
			p.Run(n, func(i int) { counts[i].Add(1) })
			for i := range counts {
				if c := counts[i].Load(); c != 1 {
					t.Fatalf("%d threads: item %d of %d ran %d times", threads, i, n, c)
				}
			}
			if n%8 == 7 {
				time.Sleep(4 * spin) // lets the workers park
			}
		}
		p.Close()
	}
}

// TestPoolRunsManyItems runs more of them than Pool.left counts.
func TestPoolRunsManyItems(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	const n = maxItems + maxItems/2
	var sum, count atomic.Int64
	p.Run(n, func(i int) { sum.Add(int64(i)); count.Add(1) })
	if count.Load() != n || sum.Load() != n*(n-1)/2 {
		t.Errorf("ran %d items with the sum %d, want %d and %d", count.Load(), sum.Load(), n, n*(n-1)/2)
	}
}

func TestPoolHammer(t *testing.T) {
	p := NewPool(3)
	var sum atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				p.Run(5, func(i int) { sum.Add(int64(i)) })
			}
		})
	}
	wg.Wait()
	p.Close()
	if got, want := sum.Load(), int64(8*500*10); got != want {
		t.Errorf("sum %d, want %d", got, want)
	}
}

// TestPoolWaitsLong ends a Run whose last item takes longer than Run looks for its end.
func TestPoolWaitsLong(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var done atomic.Int64
	for range 20 {
		var taken atomic.Int64
		p.Run(2, func(int) {
			// Whoever comes second, the caller or the worker, ends first.
			if taken.Add(1) == 1 {
				time.Sleep(3 * patience)
			}
			done.Add(1)
		})
	}
	if done.Load() != 40 {
		t.Errorf("%d items done, want 40", done.Load())
	}
}

func TestPoolAfterClose(t *testing.T) {
	p := NewPool(4)
	p.Close()
	p.Close()
	n := 0
	p.Run(3, func(int) { n++ })
	if n != 3 {
		t.Errorf("ran %d items after Close, want 3", n)
	}
}

func BenchmarkPoolRun(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	for b.Loop() {
		p.Run(2, func(int) {})
	}
}

// TestPoolAllocatesNothing holds a Run to the memory that the pool has.
func TestPoolAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var sum atomic.Int64
	do := func(i int) { sum.Add(int64(i)) }
	if n := testing.AllocsPerRun(100, func() { p.Run(10, do) }); n > 0 {
		t.Errorf("a Run makes %v allocations", n)
	}
}
