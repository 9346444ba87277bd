package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

// TestPick holds a turn to its composition: answers first, then prompts as far as their time goes.
func TestPick(t *testing.T) {
	for _, c := range []struct {
		name  string
		asked int // Options.ChunkSize
		chunk int // as adapted
		queue []int
		want  string // token counts that the turns take, in order
	}{
		{"a prompt alone, nothing measured", 0, 0, []int{100}, "[15] [15] [14] [14]"},
		{"a prompt alone", 0, 128, []int{300}, "[100] [100] [100]"},
		{"a prompt alone, chunk asked for", 512, 8, []int{600}, "[300] [300]"},
		{"answers go first", 0, 10, []int{25, 1, 1}, "[1 1 10] [8] [7]"},
		{"a chunk asked for is a limit with others", 4, 10, []int{25, 1}, "[1 4] [4] [4] [4]"},
		{"prompts share a turn", 0, 10, []int{4, 3, 9}, "[4 3 3] [6]"},
		{"prompts take turns", 0, 10, []int{25, 15}, "[10] [10] [10] [5 5]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := newEngine(t, "tiny-llama-q8_0", Options{ChunkSize: c.asked})
			e.schedule.chunk = c.chunk
			for _, n := range c.queue {
				e.schedule.queue = append(e.schedule.queue, &step{s: newSession(t, e), tokens: make([]int32, n)})
			}
			got := ""
			for range 4 {
				var counts []int
				e.pick()
				for _, p := range e.schedule.parts {
					counts = append(counts, p.n)
					if p.tokens = p.tokens[p.n:]; len(p.tokens) > 0 {
						e.schedule.queue = append(e.schedule.queue, p.step)
					}
				}
				if counts != nil {
					got += fmt.Sprint(counts) + " "
				}
			}
			if got != c.want+" " {
				t.Errorf("turns took %s, want %s", got, c.want)
			}
		})
	}
}

func TestAdapt(t *testing.T) {
	var q schedule
	for i, c := range []struct {
		n    int
		took time.Duration
		want int
	}{
		{16, turnTime / 100, 64}, // four times as many at the most
		{64, turnTime / 2, 128},
		{10, turnTime / 10, 128}, // a shorter prompt says little of longer ones
		{100, turnTime / 2, 200},
		{200, turnTime, 200},
		{200, turnTime * 2, 100},
		{512, turnTime * 8, 100}, // a chunk that was asked for
		{100, turnTime * 100, minChunk},
		{minChunk, turnTime * 2, minChunk},
		{minChunk, turnTime, minChunk},
	} {
		if q.adapt(c.n, c.took); q.chunk != c.want {
			t.Fatalf("turn %d: chunk %d, want %d", i, q.chunk, c.want)
		}
	}
	for range 20 {
		q.adapt(q.chunk, 0)
	}
	if q.chunk != maxChunk {
		t.Errorf("chunk %d, want %d at the most", q.chunk, maxChunk)
	}
}

func TestPickIsBounded(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q8_0", Options{})
	s := newSession(t, e)
	for range 3 * maxSteps {
		e.schedule.queue = append(e.schedule.queue, &step{s: s, tokens: []int32{1}})
	}
	e.pick()
	if n := len(e.schedule.parts); n != maxSteps || len(e.schedule.queue) != 2*maxSteps {
		t.Errorf("a turn took %d steps, %d wait", n, len(e.schedule.queue))
	}
}

// TestBatchedSessions runs sessions in step with one another, which is when they meet in batches, and fails some of
// them in the middle.
func TestBatchedSessions(t *testing.T) {
	e, _ := newEngine(t, "tiny-qwen3-q4_k", Options{})
	text := encode(t, e, story)
	const sessions, steps = 6, 12
	// Mostly single tokens, now and then a short prompt.
	input := func(session, step int) []int32 {
		n := 1
		if step%4 == 3 {
			n = 2 + 3*session
		}
		return text[session+step:][:n]
	}
	var want [sessions][steps]string
	for i := range sessions {
		s := newSession(t, e)
		for j := range steps {
			logits, err := s.Forward(t.Context(), input(i, j), s.Position())
			if err != nil {
				t.Fatal(err)
			}
			want[i][j] = bits(logits)
		}
	}
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			s, err := e.NewSession(nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for j := range steps {
				if i == sessions-1 && j == steps/2 {
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if _, err := s.Forward(ctx, text, s.Position()); !errors.Is(err, errs.Canceled) {
						t.Errorf("a cancelled step: %v", err)
					}
					if _, err := s.Forward(t.Context(), []int32{1 << 30}, s.Position()); !errors.Is(err, errs.InvalidArgument) {
						t.Errorf("a step with no token: %v", err)
					}
				}
				logits, err := s.Forward(t.Context(), input(i, j), s.Position())
				if err != nil || bits(logits) != want[i][j] {
					t.Errorf("session %d, step %d: other logits than alone (%v)", i, j, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestHammerTurns hands the taking of turns round between sessions that give up at any moment, also while they are to
// take turns. All must come back, and the engine must serve whoever comes then.
func TestHammerTurns(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q8_0", Options{Threads: 2})
	text := encode(t, e, story)
	want, err := newSession(t, e).Forward(t.Context(), text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		s := newSession(t, e)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for range 60 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(3000))*time.Microsecond)
				n := 1 + rng.IntN(len(text))
				logits, err := s.Forward(ctx, text[:n], 0)
				cancel()
				switch {
				case err != nil && !errors.Is(err, errs.DeadlineExceeded):
					t.Errorf("session %d: %v", i, err)
				case err == nil && n == len(text) && bits(logits) != bits(want):
					t.Errorf("session %d: other logits", i)
				}
			}
		})
	}
	wg.Wait()
	q := &e.schedule
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running || len(q.queue) != 0 || q.heir != nil {
		t.Errorf("after all: running %v, %d steps wait, heir %v", q.running, len(q.queue), q.heir)
	}
}
