package synth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// TestVocabularies checks that each vocabulary is complete and agrees with itself.
func TestVocabularies(t *testing.T) {
	for _, s := range shapes {
		v := s.vocab()
		ids := map[string]bool{}
		for _, token := range v.tokens {
			if ids[token] {
				t.Errorf("%s: token %q stands twice", s.name, token)
			}
			ids[token] = true
		}
		if len(v.types) != len(v.tokens) || v.scores != nil && len(v.scores) != len(v.tokens) {
			t.Errorf("%s: %d tokens, %d types, %d scores", s.name, len(v.tokens), len(v.types), len(v.scores))
		}
		merged := map[string]bool{}
		for _, merge := range v.merges {
			left, right, ok := strings.Cut(merge, " ")
			if !ok || !ids[left] || !ids[right] || !ids[left+right] {
				t.Errorf("%s: merge %q is not of two tokens into a third", s.name, merge)
			}
			merged[left+right] = true
		}
		for i, token := range v.tokens {
			if v.types[i] == typeNormal && len([]rune(token)) > 1 && !merged[token] {
				t.Errorf("%s: no merge gives token %q", s.name, token)
			}
		}
	}
}

// TestTextWorks tokenizes with every vocabulary, through a file, and back.
func TestTextWorks(t *testing.T) {
	texts := []string{
		"The capital of France is Paris, isn't it?",
		" two  spaces, a tab\t and\r\n\r\nlines ",
		"Ärger, Ελλάδα, Привет, 東京 and 🙂",
		"for i := range 10 { sum += x[i] * 0.5 }",
	}
	tested := map[string]bool{}
	for _, s := range shapes {
		v := s.vocab()
		kind := fmt.Sprint(v.model, v.pre, len(v.tokens)) // the dtypes of an architecture share one
		if tested[kind] {
			continue
		}
		tested[kind] = true
		// The header is enough, and much smaller than the model.
		header := gguf.NewWriter()
		for _, p := range s.metadata(v, 1) {
			if err := header.Set(p.key, p.value); err != nil {
				t.Fatal(err)
			}
		}
		var data strings.Builder
		if _, err := header.WriteTo(&data); err != nil {
			t.Fatal(err)
		}
		file, err := gguf.Parse([]byte(data.String()))
		if err != nil {
			t.Fatal(err)
		}
		vocab, err := tokenizer.VocabFromMetadata(file, "")
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		tok, err := tokenizer.New(vocab)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		for i, text := range texts {
			ids, err := tok.Encode(nil, text, tokenizer.EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(ids, tokenizer.DecodeOptions{}); got != text {
				t.Errorf("%s: %q became %v and then %q", s.name, text, ids, got)
			}
			if i == 0 && len(ids) > len(text)*9/10 {
				t.Errorf("%s: %d tokens for %q: the merges are hardly used", s.name, len(ids), text)
			}
		}
	}
}
