package tokenizer_test

import (
	"strings"
	"testing"
	"time"
)

// TestHostileTextsTakeLinearTime encodes texts that have made tokenizers slow before, at two sizes: twice the text may
// take little more than twice the time.
func TestHostileTextsTakeLinearTime(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures time")
	}
	const size = 1 << 20
	texts := map[string]string{
		"letters": "a", "capitals": "A", "spaces": " ", "tabs": "\t", "marks": "\u0301", "bytes": "\xff", "quotes": "'",
		"digits": "1", "lines": "\n", "lines and spaces": "\n ", "spaces and letter": "   a", "contractions": "'s",
		"dots": ".", "chinese": "中", "wide spaces": "\u3000", "lead bytes": "\xe2", "quote and digit": "'1", "grave": "`",
		"special": "<|", "end": "</s>", "user-defined": "ø", "mark": "▁", "two letters": "ab", "pieces": "##a", "emoji": "👩‍💻",
	}
	cases := []result{
		{Vocab: "llama-spm"},
		{Vocab: "phi-3"},
		{Vocab: "bert-bge"},
		{Vocab: "deepseek-llm"},
		{Vocab: "gpt-2"},
		{Vocab: "gpt-2", Pre: "default"},
		{Vocab: "gpt-2", Pre: "llama-bpe"},
		{Vocab: "gpt-2", Pre: "deepseek-coder"},
		{Vocab: "gpt-2", Pre: "falcon"},
		{Vocab: "gpt-2", Pre: "smollm"},
	}
	for _, r := range cases {
		t.Run(r.name(), func(t *testing.T) {
			tok := r.load(t)
			for name, unit := range texts {
				text := strings.Repeat(unit, size/len(unit))
				measure := func(text string) time.Duration {
					start := time.Now()
					encode(t, tok, text)
					return time.Since(start)
				}
				// A busy machine makes single measurements too long, never too short.
				half, whole := measure(text[:len(text)/2]), measure(text)
				for range 5 {
					if whole < half*5/2 {
						break
					}
					half, whole = min(half, measure(text[:len(text)/2])), min(whole, measure(text))
				}
				t.Logf("%-20s %v", name, whole)
				if whole > half*5/2 && whole > 50*time.Millisecond {
					t.Errorf("%s: %v for half a megabyte, %v for a whole one", name, half, whole)
				}
				if whole > 3*time.Second {
					t.Errorf("%s: %v for a megabyte", name, whole)
				}
			}
		})
	}
}
