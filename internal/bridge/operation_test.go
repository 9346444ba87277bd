package bridge

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// deliveries is what an operation posted.
type deliveries struct {
	mu     sync.Mutex
	lists  [][]any
	result any
	ended  chan struct{}
}

func (d *deliveries) post(result any, last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last {
		d.result = result
		close(d.ended)
		return
	}
	d.lists = append(d.lists, result.([]any))
}

func (d *deliveries) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lists)
}

func run(t *testing.T, f func(*Operation, *deliveries) (any, error)) *deliveries {
	t.Helper()
	d := &deliveries{ended: make(chan struct{})}
	e := NewEnvironment()
	e.Start(func(op *Operation) (any, error) { return f(op, d) }, d.post, nil)
	select {
	case <-d.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the operation does not end")
	}
	e.Close()
	return d
}

// TestChunksOfAFastModel come a few at a time, the first at once and all in order, before the result.
func TestChunksOfAFastModel(t *testing.T) {
	const n = 40
	start := time.Now()
	d := run(t, func(op *Operation, d *deliveries) (any, error) {
		for i := range n {
			if err := op.Post(op.Context, i); err != nil {
				return nil, err
			}
			if i == 0 && d.count() != 1 {
				t.Error("the first chunk was held")
			}
			time.Sleep(pace / 8)
		}
		return "end", nil
	})
	most := int(time.Since(start)/pace) + 2 // the first, and what is left at the end
	if len(d.lists) > most {
		t.Errorf("%d chunks came in %d lists, want at most %d", n, len(d.lists), most)
	}
	var all []any
	for i := range n {
		all = append(all, i)
	}
	if got := slices.Concat(d.lists...); !slices.Equal(got, all) || d.result != "end" {
		t.Errorf("came %v and %v", got, d.result)
	}
}

// TestChunksOfASlowModel come one at a time, and one that no other follows comes soon.
func TestChunksOfASlowModel(t *testing.T) {
	run(t, func(op *Operation, d *deliveries) (any, error) {
		for i := range 3 {
			time.Sleep(pace + time.Millisecond)
			if err := op.Post(op.Context, i); err != nil || d.count() != i+1 {
				t.Errorf("chunk %d was held, or failed: %v", i, err)
			}
		}
		if err := op.Post(op.Context, 3); err != nil {
			return nil, err
		}
		for deadline := time.Now().Add(5 * time.Second); d.count() < 4; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				return nil, errors.New("the last chunk stays")
			}
		}
		return nil, nil
	})
}

// TestTold is never held, and does not overtake chunks.
func TestTold(t *testing.T) {
	d := run(t, func(op *Operation, d *deliveries) (any, error) {
		for _, chunk := range []string{"a", "b", "c"} {
			if err := op.Post(op.Context, chunk); err != nil {
				return nil, err
			}
		}
		before := d.count()
		op.Tell("told")
		if d.count() != before+1 {
			t.Error("it was held")
		}
		return nil, nil
	})
	if got := slices.Concat(d.lists...); !slices.Equal(got, []any{"a", "b", "c", "told"}) {
		t.Errorf("came %v", got)
	}
}

// TestTogether has chunks come when there is no room for more, or at the end.
func TestTogether(t *testing.T) {
	d := run(t, func(op *Operation, d *deliveries) (any, error) {
		call := &Call{Op: op, Args: []Argument{{Kind: Bool, Number: 1}}}
		if err := call.Together(0); err != nil {
			return nil, err
		}
		for i := range window {
			if err := op.Post(op.Context, i); err != nil {
				return nil, err
			}
		}
		if d.count() != 0 {
			t.Error("chunks came before there was need")
		}
		full, cancel := context.WithTimeout(op.Context, 20*time.Millisecond)
		defer cancel()
		if err := op.Post(full, window); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a chunk more than there is room for: %v", err)
		}
		if d.count() != 1 {
			t.Error("nobody was told that there is no room")
		}
		op.credit.Taken.Add(window)
		return nil, op.Post(op.Context, window)
	})
	if len(d.lists) != 2 || len(d.lists[0]) != window || len(d.lists[1]) != 1 {
		t.Errorf("came in %d lists", len(d.lists))
	}
}

// TestCredit lets chunks come as others are taken, whether that is told by a call or in memory that both sides have.
func TestCredit(t *testing.T) {
	const n = 10 * window
	for name, told := range map[string]bool{"by a call": true, "in memory": false} {
		t.Run(name, func(t *testing.T) {
			e := NewEnvironment()
			defer e.Close()
			credit := new(Credit)
			came, ended := make(chan int, n), make(chan any, 1)
			number := e.Start(func(op *Operation) (any, error) {
				for i := range n {
					if err := op.Post(op.Context, i); err != nil {
						return nil, err
					}
					if underWay := int64(i+1) - credit.Taken.Load(); underWay > window {
						t.Errorf("%d chunks are under way", underWay)
					}
				}
				return "end", nil
			}, func(result any, last bool) {
				if last {
					ended <- result
					return
				}
				for _, chunk := range result.([]any) {
					came <- chunk.(int)
				}
			}, credit)
			if e.Acknowledge(number, n) || e.Acknowledge(number, -1) {
				t.Error("more chunks were taken than can have come, or fewer than none")
			}
			for want := range n {
				select {
				case chunk := <-came:
					if chunk != want {
						t.Fatalf("chunk %d came for %d", chunk, want)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("chunk %d does not come", want)
				}
				switch {
				case told:
					e.Acknowledge(number, 1)
				default:
					credit.Taken.Add(1)
					if credit.Waits.Load() != 0 {
						e.Acknowledge(number, 0)
					}
				}
			}
			if result := <-ended; result != "end" {
				t.Errorf("it ended with %v", result)
			}
		})
	}
}

// TestRoom is reported when there is some, and where there is none after a while that there is not.
func TestRoom(t *testing.T) {
	run(t, func(op *Operation, _ *deliveries) (any, error) {
		for i := range window {
			if !op.Room(op.Context, time.Hour) {
				t.Errorf("no room for chunk %d", i)
			}
			if err := op.Post(op.Context, i); err != nil {
				return nil, err
			}
		}
		if op.Room(op.Context, 5*time.Millisecond) {
			t.Error("room for too many chunks")
		}
		over, cancel := context.WithCancel(op.Context)
		cancel()
		if !op.Room(over, time.Hour) {
			t.Error("who has left waits for room")
		}
		op.credit.Taken.Add(1)
		if !op.Room(op.Context, 0) {
			t.Error("no room where a chunk was taken")
		}
		return nil, nil
	})
}

// TestSpare has processors to spare while anybody wants them.
func TestSpare(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	first := Spare()
	with := runtime.GOMAXPROCS(0)
	second := Spare()
	first()
	if still := runtime.GOMAXPROCS(0); with <= before || still != with {
		t.Errorf("%d processors, %d for one who wants more, and %d for another", before, with, still)
	}
	second()
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("%d processors, and %d afterwards", before, after)
	}
}
