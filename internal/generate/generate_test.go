package generate

import (
	"errors"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// letters is a tokenizer whose tokens are the letters a to y, and z, which ends an answer.
func letters(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	none := tokenizer.None
	v := &tokenizer.Vocab{
		Model: tokenizer.SPM, Offsets: []uint32{0}, EndOfGeneration: []int32{25},
		Special: tokenizer.Special{BOS: none, EOS: none, EOT: none, EOM: none, UNK: none, SEP: none, MASK: none, PAD: none},
	}
	for b := byte('a'); b <= 'z'; b++ {
		v.Bytes = append(v.Bytes, b)
		v.Offsets = append(v.Offsets, uint32(len(v.Bytes)))
		v.Attrs = append(v.Attrs, tokenizer.Normal)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// script is a model that goes on with a text, whatever came before, and then ends the answer.
type script struct {
	text   string
	resume [][]int32 // what Resume was given
	err    error
}

func (s *script) Resume(tokens []int32, top int) (Logits, int, error) {
	s.resume = append(s.resume, slices.Clone(tokens))
	return s.logits(top), 0, s.err
}

func (s *script) Append(_ int32, _, top int) (Logits, error) { return s.logits(top), s.err }

func (s *script) logits(top int) Logits {
	next := int32(25)
	if s.text != "" {
		next, s.text = int32(s.text[0]-'a'), s.text[1:]
	}
	if top == 1 {
		return Logits{IDs: []int32{next}, Top: []float32{1}}
	}
	all := make([]float32, 30) // more rows than the vocabulary has tokens
	all[next], all[29] = 1, 2
	return Logits{All: all}
}

func run(t *testing.T, m Model, contextLength int, r Request) (text string, tokens int, last Chunk, err error) {
	t.Helper()
	if r.Prompt == nil {
		r.Prompt = []int32{1, 2, 3}
	}
	l, err := New(m, letters(t), contextLength, r)
	if err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		last, more, err = l.Next()
		text += last.Text
		if last.Token >= 0 {
			tokens++
		}
	}
	return text, tokens, last, err
}

func TestLoop(t *testing.T) {
	for name, tc := range map[string]struct {
		text   string
		r      Request
		want   string
		tokens int
		finish FinishReason
		code   errs.Code
	}{
		"to the end":      {text: "hello", want: "hello", tokens: 5, finish: FinishStop},
		"all logits":      {text: "hello", r: Request{OnLogits: func([]float32) {}}, want: "hello", tokens: 5, finish: FinishStop},
		"length":          {text: "hello", r: Request{MaxTokens: 3}, want: "hel", tokens: 3, finish: FinishLength},
		"stop text":       {text: "hello", r: Request{Stop: []string{"", "lo", "xx"}}, want: "hel", tokens: 5, finish: FinishStop},
		"first stop text": {text: "abcdef", r: Request{Stop: []string{"cd", "bcd"}}, want: "a", tokens: 4, finish: FinishStop},
		"held back":       {text: "aab", r: Request{Stop: []string{"bc"}}, want: "aab", tokens: 3, finish: FinishStop},
		"ignored end":     {text: "az", r: Request{IgnoreEndOfGeneration: true, MaxTokens: 4}, want: "azzz", tokens: 4, finish: FinishLength},
		"context length":  {text: "abcdefghij", want: "abcdef", tokens: 6, finish: FinishLength},
		"past it":         {text: "abcdefghij", r: Request{MaxTokens: 9}, want: "abcdef", tokens: 6, code: errs.ContextLength},
		"shift":           {text: "abcdefghij", r: Request{Shift: true, Keep: 1}, want: "abcdefghij", tokens: 10, finish: FinishStop},
		"draw": {
			text: "hello", r: Request{MaxTokens: 2, Draw: func([]float32) (int32, error) { return 7, nil }},
			want: "hh", tokens: 2, finish: FinishLength,
		},
		"draw nothing": {r: Request{Draw: func([]float32) (int32, error) { return 29, nil }}, code: errs.InvalidArgument},
		"draw fails":   {r: Request{Draw: func([]float32) (int32, error) { return 0, errs.NotFound }}, code: errs.NotFound},
	} {
		text, tokens, last, err := run(t, &script{text: tc.text}, 8, tc.r)
		if text != tc.want || tokens != tc.tokens || last.Finish != tc.finish || errs.CodeOf(err) != tc.code {
			t.Errorf("%s: %q of %d tokens, finish %q, %v", name, text, tokens, last.Finish, err)
		}
		if err == nil && last.Usage != (Usage{PromptTokens: 3, CompletionTokens: tc.tokens}) {
			t.Errorf("%s: usage %+v", name, last.Usage)
		}
	}
}

// TestShift looks at what is computed anew: what is kept, and the newer half of the rest.
func TestShift(t *testing.T) {
	m := &script{text: "abcdefghij"}
	if _, _, _, err := run(t, m, 8, Request{Shift: true, Keep: 1}); err != nil {
		t.Fatal(err)
	}
	want := [][]int32{{1, 2, 3}, {1, 2, 3, 4, 5}}
	if len(m.resume) < 2 || !slices.Equal(m.resume[0], want[0]) || !slices.Equal(m.resume[1], want[1]) {
		t.Errorf("resumed %v, want %v", m.resume, want)
	}
}

func TestPromptIsOneOfThree(t *testing.T) {
	for _, p := range []Prompt{{}, {Text: "a", Tokens: []int32{1}}} {
		if _, err := p.Encode(letters(t), nil); !errors.Is(err, errs.InvalidArgument) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	p := Prompt{Text: "abc"}
	if tokens, err := p.Encode(letters(t), nil); err != nil || !slices.Equal(tokens, []int32{0, 1, 2}) {
		t.Errorf("%v, %v", tokens, err)
	}
}
