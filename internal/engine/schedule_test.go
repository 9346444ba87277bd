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
		long  int // likewise, of a long turn
		queue []int
		want  string // token counts that the turns take, in order
	}{
		{"a prompt alone, nothing measured", 0, 0, 0, []int{600}, "[200] [200] [200]"},
		{"a prompt alone", 0, 10, 128, []int{300}, "[100] [100] [100]"},
		{"a prompt alone, chunk asked for", 512, 8, 8, []int{600}, "[300] [300]"},
		{"answers go first", 0, 10, 16, []int{25, 1, 1}, "[1 1 10] [15]"},
		{"a chunk asked for is a limit with others", 4, 10, 16, []int{25, 1}, "[1 4] [4] [4] [4]"},
		{"prompts share a turn", 0, 10, 100, []int{4, 3, 9, 1, 1}, "[1 1 4 3 3] [6]"},
		{"prompts share a long turn", 0, 10, 20, []int{4, 9, 30}, "[4 9 6] [12] [12]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := newEngine(t, "tiny-llama-q8_0", Options{ChunkSize: c.asked})
			e.schedule.chunk = c.chunk
			if c.long > 0 {
				e.schedule.pace = layerTime / time.Duration(c.long)
			}
			for _, n := range c.queue {
				e.schedule.queue = append(e.schedule.queue, &step{s: newSession(t, e), tokens: make([]int32, n)})
			}
			got := ""
			for range 4 {
				var counts []int
				q := &e.schedule
				turn, room := &q.long, e.longTokens()
				if q.answers() {
					turn, room = &q.short, e.promptTokens(len(q.queue) > 1)
				}
				e.pick(turn, room, turn == &q.long)
				for _, p := range turn.parts {
					counts = append(counts, p.n)
					if p.tokens = p.tokens[p.n:]; len(p.tokens) > 0 {
						e.schedule.queue = append(e.schedule.queue, p.step)
					}
				}
				turn.parts = turn.parts[:0]
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
	e.pick(&e.schedule.short, 1, false)
	if n := len(e.schedule.short.parts); n != maxSteps || len(e.schedule.queue) != 2*maxSteps {
		t.Errorf("a turn took %d steps, %d wait", n, len(e.schedule.queue))
	}
}

// TestLongTurn holds a long turn to letting others through, within its layers, and to the same logits for all.
func TestLongTurn(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q4_k", Options{})
	text := encode(t, e, story+story)
	long, short := text[:150], text[20:50]
	want := make([]string, 3)
	alone := newSession(t, e)
	for i, tokens := range [][]int32{long, short, text[50:51]} {
		position := 0
		if i == 2 {
			position = len(short)
		}
		logits, err := alone.Forward(t.Context(), tokens, position)
		if err != nil {
			t.Fatal(err)
		}
		want[i] = bits(logits)
	}
	other := newSession(t, e)
	served := make(chan error, 1)
	calls, done := 0, 0
	q := &e.schedule
	q.long.state.Between = func() {
		if calls++; calls == 2 {
			go func() {
				for i, tokens := range [][]int32{short, text[50:51]} {
					logits, err := other.Forward(t.Context(), tokens, other.Position())
					if err == nil && bits(logits) != want[1+i] {
						err = fmt.Errorf("%d tokens in between: other logits", len(tokens))
					}
					if err != nil {
						served <- err
						return
					}
				}
				served <- nil
			}()
		}
		// Until the other session has been served, or a layer is over.
		for range 1000 {
			e.between()
			if calls < 2 || done > 0 {
				return
			}
			select {
			case err := <-served:
				if done++; err != nil {
					t.Error(err)
				}
			default:
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
	logits, err := newSession(t, e).Forward(t.Context(), long, 0)
	if err != nil || bits(logits) != want[0] {
		t.Errorf("the long prompt: error %v, or other logits", err)
	}
	if calls < 6 || done != 1 {
		t.Errorf("a layer lets others through %d times, who were served %d times", calls, done)
	}
}

// TestLongTurnGoesOn holds short turns within a long one to leaving it as much time as they take: with answers that always
// have another token to compute, it would not end before they do.
func TestLongTurnGoesOn(t *testing.T) {
	e, _ := newEngine(t, "tiny-llama-q4_k", Options{})
	text := encode(t, e, story)
	q := &e.schedule
	calls, served := 0, 0
	q.long.state.Between = func() {
		waiting := newSession(t, e)
		st := &step{s: waiting, ctx: stopping{t.Context(), waiting}, tokens: text[:1], wake: make(chan bool, 1)}
		q.mu.Lock()
		q.queue = append(q.queue, st)
		q.mu.Unlock()
		if calls++; calls > 1 {
			q.resumed, q.respite = time.Now(), time.Hour
		}
		e.between()
		q.mu.Lock()
		served += 1 - len(q.queue)
		clear(q.queue)
		q.queue = q.queue[:0]
		q.mu.Unlock()
	}
	if _, err := newSession(t, e).Forward(t.Context(), text, 0); err != nil {
		t.Fatal(err)
	}
	if calls < 3 || served != 1 {
		t.Errorf("%d short turns in %d parts of layers, want the first alone", served, calls)
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
