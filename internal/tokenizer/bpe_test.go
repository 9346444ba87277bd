package tokenizer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// randomBPE makes a vocabulary of a few letters, a space, a letter of two bytes and merges in an order that no training
// gives them.
func randomBPE(t *testing.T, rng *rand.Rand) *Tokenizer {
	t.Helper()
	v := &Vocab{Model: BPE, Pre: "gpt-2", Offsets: []uint32{0}}
	ids := map[string]int32{}
	add := func(text string) int32 {
		if id, ok := ids[text]; ok {
			return id
		}
		id := int32(len(ids))
		ids[text] = id
		v.Bytes = append(v.Bytes, text...)
		v.Offsets = append(v.Offsets, uint32(len(v.Bytes)))
		v.Attrs = append(v.Attrs, Normal)
		return id
	}
	for _, letter := range []string{"a", "b", "c", "Ġ", "Ã"} {
		add(letter)
	}
	for range 60 {
		left, right := rng.Int32N(int32(len(ids))), rng.Int32N(int32(len(ids)))
		text := string(v.text(left)) + string(v.text(right))
		if len(text) <= 12 {
			add(text)
			v.Merges = append(v.Merges, left, right)
		}
	}
	for i := len(v.Merges)/2 - 1; i > 0; i-- {
		if rng.IntN(4) == 0 {
			j := rng.IntN(i + 1)
			a, b := v.Merges[2*i:2*i+2], v.Merges[2*j:2*j+2]
			a[0], a[1], b[0], b[1] = b[0], b[1], a[0], a[1]
		}
	}
	v.Special = Special{BOS: None, EOS: None, EOT: None, EOM: None, UNK: None, SEP: None, MASK: None, PAD: None}
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestWaysToMerge holds the way of short words, and what is remembered of whole words, to merging by list and heap.
func TestWaysToMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	remembered := 0
	for range 40 {
		tok := randomBPE(t, rng)
		e := &encoder{t: tok}
		for range 400 {
			word := make([]byte, 1+rng.IntN(scanLimit+4))
			if rng.IntN(2) == 0 {
				word = word[:1+len(word)/8]
			}
			for i := range word {
				word[i] = "abc \xc3?"[rng.IntN(6)] // the last of which has no token
			}
			e.out = nil
			e.mergeLong(string(word))
			want := e.out
			for turn := range 2 {
				e.out = nil
				e.encodeWord(string(word))
				if !slices.Equal(e.out, want) {
					t.Fatalf("turn %d: %q: %v, want %v", turn, word, e.out, want)
				}
			}
			if id := e.findWord(string(word)); id != None && tok.wholes.has(id) {
				remembered++
				if !slices.Equal(want, []int32{id}) {
					t.Fatalf("%q is remembered as token %d, and is %v", word, id, want)
				}
			}
		}
	}
	if remembered < 1000 {
		t.Errorf("%d words were remembered", remembered)
	}
}
