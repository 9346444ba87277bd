package bridge

import (
	"context"
	"errors"
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
	e.Start(func(op *Operation) (any, error) { return f(op, d) }, d.post)
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
		for range window {
			<-op.credit // acknowledged
		}
		return nil, op.Post(op.Context, window)
	})
	if len(d.lists) != 2 || len(d.lists[0]) != window || len(d.lists[1]) != 1 {
		t.Errorf("came in %d lists", len(d.lists))
	}
}
