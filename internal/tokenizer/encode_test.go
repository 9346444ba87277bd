package tokenizer_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/tokenizer"
)

func TestEncode(t *testing.T) {
	plain, special := tokenizer.EncodeOptions{}, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true}
	add := tokenizer.EncodeOptions{AddSpecial: true}
	tests := []struct {
		name string
		md   metadata
		opts tokenizer.EncodeOptions
		text string
		want []int32
	}{
		{"bpe merges", tinyBPE(), plain, "hello world", []int32{259, 264}},
		{"bpe merges by rank", tinyBPE(), plain, "hell", []int32{258}},
		{"bpe empty", tinyBPE(), plain, "", nil},
		{"bpe adds BOS", tinyBPE(), add, "", []int32{268}},
		{
			"bpe adds EOS if told to", tinyBPE().with(metadata{"add_eos_token": true}),
			add, "hello",
			[]int32{268, 259, 269},
		},
		{"bpe adds nothing if told so", tinyBPE().with(metadata{"add_bos_token": false}), add, "hello", []int32{259}},
		{"bpe parses special tokens", tinyBPE(), special, "hello<|im_end|>hello", []int32{268, 259, 269, 259}},
		{"bpe reads special tokens as text", tinyBPE(), plain, "<|bos|>", []int32{'<', '|', 'b', 'o', 's', '|', '>'}},
		{"bpe finds user-defined tokens", tinyBPE(), plain, "[tool]hello[tools]", []int32{270, 259, 271}},
		{"bpe finds the longest first", tinyBPE(), plain, "[tools]!", []int32{271, '!'}},
		{
			"bpe ignores merges", tinyBPE().with(metadata{"pre": "llama-bpe", "merges": []string{}}),
			plain, "hello",
			[]int32{259},
		},
		{"bpe without a byte", tinyBPE().with(tokensOnly("a", "b")), plain, "abcba", []int32{0, 1, 1, 0}},

		{"spm adds a space", tinySPM(), plain, "hello world", []int32{263, 268}},
		{"spm adds BOS", tinySPM(), add, "hello", []int32{1, 263}},
		{
			"spm adds no space if told so", tinySPM().with(metadata{"add_space_prefix": false}),
			plain, "hello",
			[]int32{271, 260, 262},
		},
		{"spm merges by score", tinySPM(), plain, "  hello", []int32{269, 263}},
		{"spm falls back to bytes", tinySPM(), plain, "é\xff", []int32{270, 3 + 0xC3, 3 + 0xA9, 3 + 0xFF}},
		{
			"spm adds a space after special tokens", tinySPM(),
			special, "hello</s>hello<tool> hello",
			[]int32{1, 263, 2, 263, 278, 270, 263},
		},
		{"spm falls back to UNK", tinySPM().with(tokensOnly("<unk>", "a")), plain, "ab", []int32{0, 0, 0, 1, 0}},

		{"wpm", tinyWPM(), plain, "Hello  world", []int32{5, 6, 7}},
		{"wpm adds CLS and SEP", tinyWPM(), add, "hello", []int32{2, 5, 3}},
		{"wpm strips accents", tinyWPM(), plain, "H\u00e9ll\u00f3 E\u0301", []int32{5, 8}},
		{"wpm splits punctuation and Chinese", tinyWPM(), plain, "hello,中中", []int32{5, 9, 10, 10}},
		{"wpm does not know the word", tinyWPM(), plain, "hellx hello", []int32{1, 5}},
		{"wpm drops controls", tinyWPM(), plain, "he\x00l\u200dl\ufffdo", []int32{5}},
		{"wpm parses special tokens", tinyWPM(), special, "hello [MASK]", []int32{2, 5, 4, 3}},
		{
			"wpm keeps case", tinyWPM().with(metadata{"normalizer.lowercase": false}),
			plain, "Hello hello",
			[]int32{1, 5},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tok := test.md.load(t)
			got, err := tok.Encode(nil, test.text, test.opts)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%q: got %v, %v; want %v", test.text, got, err, test.want)
			}
			// Encode appends.
			got, _ = tok.Encode([]int32{7}, test.text, test.opts)
			if !slices.Equal(got, append([]int32{7}, test.want...)) {
				t.Errorf("%q after 7: got %v", test.text, got)
			}
		})
	}
}

func TestEncodeRefusesLongText(t *testing.T) {
	tok := tinyBPE().load(t)
	ids, err := tok.Encode([]int32{1}, strings.Repeat("a", tokenizer.MaxText+1), tokenizer.EncodeOptions{})
	if !errors.Is(err, errs.LimitExceeded) || len(ids) != 1 {
		t.Errorf("got %d tokens and %v", len(ids), err)
	}
}

// TestPartition compares the search for special tokens with llama.cpp's way: split the text at all places of the
// longest token, then what is left at the next.
func TestPartition(t *testing.T) {
	md := tinyBPE()
	tokens, _ := md.Strings("tokenizer.ggml.tokens")
	types, _ := md.Ints("tokenizer.ggml.token_type")
	for _, text := range []string{"abcab", "cabca", "bcab", "abab", "aaa", "caa", "aa", "bb", "b a", "a  ", "  "} {
		tokens, types = append(tokens, text), append(types, userDefined)
	}
	md = md.with(metadata{"tokens": tokens, "token_type": types, "merges": []string{}})
	v, err := tokenizer.VocabFromMetadata(md, "")
	if err != nil {
		t.Fatal(err)
	}
	for id := int32(273); int(id) < len(tokens); id++ {
		switch id % 4 {
		case 1:
			v.Attrs[id] |= tokenizer.StripAfter
		case 2:
			v.Attrs[id] |= tokenizer.StripBefore
		}
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		text := make([]byte, rng.IntN(30))
		for i := range text {
			text[i] = "aabbc  \n"[rng.IntN(8)]
		}
		want := partition(v, string(text))
		if got := encode(t, tok, string(text)); !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
	}
}

// partition encodes a text with a vocabulary of bytes and user-defined tokens.
func partition(v *tokenizer.Vocab, text string) []int32 {
	type fragment struct {
		text string
		id   int32
	}
	tokenText := func(id int32) string { return string(v.Bytes[v.Offsets[id]:v.Offsets[id+1]]) }
	var ids []int32
	for id, attr := range v.Attrs {
		if attr.Has(tokenizer.UserDefined) {
			ids = append(ids, int32(id))
		}
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return len(tokenText(b)) - len(tokenText(a)) })
	fragments := []fragment{{text, tokenizer.None}}
	for _, id := range ids {
		var next []fragment
		for _, f := range fragments {
			for f.id == tokenizer.None {
				before, after, found := strings.Cut(f.text, tokenText(id))
				if !found {
					break
				}
				if v.Attrs[id].Has(tokenizer.StripBefore) {
					before = strings.TrimRight(before, " \n")
				}
				if v.Attrs[id].Has(tokenizer.StripAfter) {
					after = strings.TrimLeft(after, " \n")
				}
				next = append(next, fragment{before, tokenizer.None}, fragment{"", id})
				f.text = after
			}
			next = append(next, f)
		}
		fragments = next
	}
	var out []int32
	for _, f := range fragments {
		if f.id != tokenizer.None {
			out = append(out, f.id)
		}
		for _, b := range []byte(f.text) {
			out = append(out, int32(b))
		}
	}
	return out
}

// TestMergesLikeTheDefinition compares merging, by scan and by heap, with a search for the best pair after every merge.
func TestMergesLikeTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 200 {
		letters := "ab"
		if round%2 == 0 {
			letters = "abcd"
		}
		tokens := strings.Split(letters, "")
		var merges []string
		ranks := map[string]int{}
		for range 20 {
			left, right := tokens[rng.IntN(len(tokens))], tokens[rng.IntN(len(tokens))]
			if len(left+right) > 12 {
				continue
			}
			merges = append(merges, left+" "+right)
			if _, known := ranks[left+" "+right]; !known {
				ranks[left+" "+right] = len(merges)
			}
			if !slices.Contains(tokens, left+right) {
				tokens = append(tokens, left+right)
			}
		}
		scores := make([]float32, len(tokens))
		for i := range scores {
			scores[i] = float32(rng.IntN(5) - 2)
		}
		bpe := metadata{}.with(metadata{"model": "gpt2", "tokens": tokens, "merges": merges}).load(t)
		spm := metadata{}.with(metadata{
			"model": "llama", "tokens": tokens, "scores": scores, "add_space_prefix": false,
		}).load(t)
		byRank := func(left, right string) (float64, bool) {
			rank, ok := ranks[left+" "+right]
			return -float64(rank), ok
		}
		byScore := func(left, right string) (float64, bool) {
			id := slices.Index(tokens, left+right)
			if id < 0 {
				return 0, false
			}
			return float64(scores[id]), true
		}
		for range 20 {
			text := make([]byte, 1+rng.IntN(100))
			for i := range text {
				text[i] = letters[rng.IntN(len(letters))]
			}
			got, want := pieces(bpe, encode(t, bpe, string(text))), mergeAll(string(text), byRank)
			if !slices.Equal(got, want) {
				t.Fatalf("bpe: %s with %q: got %q, want %q", text, merges, got, want)
			}
			got, want = pieces(spm, encode(t, spm, string(text))), mergeAll(string(text), byScore)
			if !slices.Equal(got, want) {
				t.Fatalf("spm: %s with %q %v: got %q, want %q", text, tokens, scores, got, want)
			}
		}
	}
}

func mergeAll(text string, value func(left, right string) (float64, bool)) []string {
	symbols := strings.Split(text, "")
	for {
		best, at := 0.0, -1
		for i := range len(symbols) - 1 {
			if v, ok := value(symbols[i], symbols[i+1]); ok && (at < 0 || v > best) {
				best, at = v, i
			}
		}
		if at < 0 {
			return symbols
		}
		symbols[at] += symbols[at+1]
		symbols = slices.Delete(symbols, at+1, at+2)
	}
}

func pieces(tok *tokenizer.Tokenizer, ids []int32) []string {
	var out []string
	for _, id := range ids {
		out = append(out, string(tok.AppendPiece(nil, id, true)))
	}
	return out
}

// TestHammer encodes and decodes on many goroutines at once.
func TestHammer(t *testing.T) {
	for name, md := range map[string]metadata{"bpe": tinyBPE(), "spm": tinySPM(), "wpm": tinyWPM()} {
		t.Run(name, func(t *testing.T) {
			tok := md.load(t)
			texts := []string{"hello world", strings.Repeat("hello", 100), "<tool>[tool]", "hello\xff中"}
			var want [][]int32
			for _, text := range texts {
				want = append(want, encode(t, tok, text))
			}
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					for i := range 400 {
						ids := encode(t, tok, texts[i%len(texts)])
						if !slices.Equal(ids, want[i%len(texts)]) {
							t.Errorf("%q: got %v", texts[i%len(texts)], ids)
							return
						}
						tok.Decode(ids, tokenizer.DecodeOptions{})
					}
				})
			}
			group.Wait()
		})
	}
}
