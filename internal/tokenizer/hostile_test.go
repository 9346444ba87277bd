package tokenizer_test

import (
	"strings"
	"testing"
	"time"
)

// TestHostileTextsTakeLinearTime encodes a megabyte of what has made tokenizers slow before, and half of it: twice the
// text may take little more than twice the time, where quadratic time would be four times.
func TestHostileTextsTakeLinearTime(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures time")
	}
	const size = 1 << 20
	units := []string{"a", " ", "\u0301", "\xff", "'", "中", "\n ", "</s>", "ø"}
	for _, r := range []result{{Vocab: "llama-spm"}, {Vocab: "bert-bge"}, {Vocab: "deepseek-llm"}, {Vocab: "gpt-2"}} {
		t.Run(r.name(), func(t *testing.T) {
			tok := r.load(t)
			measure := func(text string) time.Duration {
				return threadTime(func() { encode(t, tok, text) })
			}
			for _, unit := range units {
				text := strings.Repeat(unit, size/len(unit))
				half, whole := measure(text[:len(text)/2]), measure(text)
				// A busy machine makes a measurement too long, never too short.
				for i := 0; i < 5 && whole > half*5/2; i++ {
					half, whole = min(half, measure(text[:len(text)/2])), min(whole, measure(text))
				}
				// 3 instead of 2: larger scratch memory fits the caches less well.
				if whole > 3*half && whole > 50*time.Millisecond {
					t.Errorf("%q: %v for half a megabyte, %v for a whole one", unit, half, whole)
				}
				if whole > 2*time.Second {
					t.Errorf("%q: %v for a megabyte", unit, whole)
				}
			}
		})
	}
}

// TestSpeed holds every vocabulary to 5 MB of mixed text per second and thread, which is a fraction of what
// BenchmarkEncode shows on an idle machine.
func TestSpeed(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures time")
	}
	text := mixedText(1 << 20)
	for _, name := range fixtureNames {
		t.Run(name, func(t *testing.T) {
			tok := load(t, fixture(t, name), "")
			best := time.Hour
			for range 5 {
				best = min(best, threadTime(func() { encode(t, tok, text) }))
			}
			speed := float64(len(text)) / 1e6 / best.Seconds()
			t.Logf("%.1f MB/s", speed)
			if speed < 5 {
				t.Error("under 5 MB/s")
			}
		})
	}
}
