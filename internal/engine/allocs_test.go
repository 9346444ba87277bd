package engine

import (
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/realm-ai/realm/internal/sample"
)

// TestSteadyStateAllocatesNothing: to compute a token and to draw it costs no garbage. A session grows by pages of the KV
// cache, of 64 positions; here they stand already.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	skipRace(t)
	const tokens = 16 // of a run: AllocsPerRun rounds down
	for _, shape := range []string{"tiny-llama-q4_k", "tiny-llama-f32", "tiny-qwen3-q8_0"} {
		for _, threads := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d threads", shape, threads), func(t *testing.T) {
				e, _ := newEngine(t, shape, Options{Threads: threads})
				s := newSession(t, e)
				prompt := encode(t, e, story)
				sampler, err := sample.New(DefaultSampling(), e.Tokenizer.VocabSize())
				if err != nil {
					t.Fatal(err)
				}
				logits, err := s.Forward(t.Context(), prompt, 0)
				if err != nil {
					t.Fatal(err)
				}
				last := make([]int32, 1)
				run := func() {
					for at := range tokens {
						if last[0], err = sampler.Sample(logits[:e.Tokenizer.VocabSize()]); err != nil {
							t.Fatal(err)
						}
						sampler.Accept(last[0])
						if logits, err = s.Forward(t.Context(), last, len(prompt)+at); err != nil {
							t.Fatal(err)
						}
					}
				}
				// A collection empties pools of buffers, which then are made again: the least of some runs counts.
				least := math.Inf(1)
				for try := 0; try < 5 && least > 0; try++ {
					least = min(least, testing.AllocsPerRun(2, run))
				}
				if least > 0 {
					t.Errorf("%v allocations for %d tokens", least, tokens)
				}
			})
		}
	}
}

// TestAnswerAllocatesTextOnly: of a token of an answer only its text is garbage, which the caller gets.
func TestAnswerAllocatesTextOnly(t *testing.T) {
	skipRace(t)
	e, _ := newEngine(t, "tiny-llama-q4_k", Options{Threads: 2})
	prompt := encode(t, e, story)[:20]
	top40, all := DefaultSampling(), DefaultSampling()
	all.TopK, all.TopP = 0, 1
	for name, sampling := range map[string]Sampling{"greedy": {}, "of the top 40": top40, "of the whole vocabulary": all} {
		// From the 5th token on, when buffers have grown, to the 21st, all in one page of the KV cache. What the runtime
		// allocates meanwhile is not the answer's, so the least of some runs counts.
		const first, last = 4, 20
		least := uint64(math.MaxUint64)
		for try := 0; try < 5 && least > 0; try++ {
			var before, after runtime.MemStats
			texts, i := uint64(0), 0
			r := Request{Prompt: prompt, MaxTokens: last + 5, Sampling: sampling, IgnoreEndOfGeneration: true}
			for c, err := range newSession(t, e).Generate(t.Context(), r) {
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case i == first:
					runtime.ReadMemStats(&before)
				case i > first && i <= last && c.Text != "":
					texts++
				}
				if i == last {
					runtime.ReadMemStats(&after)
				}
				i++
			}
			mallocs := after.Mallocs - before.Mallocs
			least = min(least, mallocs-min(texts, mallocs))
		}
		if least > 0 {
			t.Errorf("%s: %d allocations for %d tokens beside their texts", name, least, last-first)
		}
	}
}

func skipRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("with the race detector sync.Pool drops what it is given now and then")
	}
}
