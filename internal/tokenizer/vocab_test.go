package tokenizer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/tokenizer"
)

func TestMetadataErrors(t *testing.T) {
	tests := []struct {
		name string
		md   metadata
		pre  string
		code errs.Code
		says string
	}{
		{"empty", metadata{}, "", errs.InvalidFormat, "model"},
		{"t5", tinySPM().with(metadata{"model": "t5"}), "", errs.Unsupported, `"t5"`},
		{"rwkv", tinySPM().with(metadata{"model": "rwkv"}), "", errs.Unsupported, `"rwkv"`},
		{"plamo2", tinySPM().with(metadata{"model": "plamo2"}), "", errs.Unsupported, `"plamo2"`},
		{"unknown model", tinySPM().with(metadata{"model": "x"}), "", errs.Unsupported, `"x"`},
		{"unknown pre-tokenizer", tinyBPE().with(metadata{"pre": "x"}), "", errs.Unsupported, `"x"`},
		{"unknown override", tinyBPE(), "y", errs.Unsupported, `"y"`},
		{"no tokens", tinyBPE().with(metadata{"tokens": nil}), "", errs.InvalidFormat, "tokens"},
		{"no token", tinyBPE().with(metadata{"tokens": []string{}}), "", errs.InvalidFormat, "no tokens"},
		{"tokens of another type", tinyBPE().with(metadata{"tokens": []int32{1}}), "", errs.InvalidFormat, "tokens"},
		{"no merges", tinyBPE().with(metadata{"merges": nil}), "", errs.InvalidFormat, "merges"},
		{"few types", tinyBPE().with(metadata{"token_type": []int32{1, 1}}), "", errs.InvalidFormat, "2 token types"},
		{"few scores", tinySPM().with(metadata{"scores": []float32{1}}), "", errs.InvalidFormat, "1 scores"},
		{"the same token twice", tinyBPE().with(tokensOnly("a", "b", "a")), "", errs.InvalidFormat, "0 and 2"},
		{"an empty token's name", tinyBPE().with(tokensOnly("[EMPTY_1]", "")), "", errs.InvalidFormat, "0 and 1"},
		{"a giant token", tinyBPE().with(tokensOnly(strings.Repeat("a", 1<<16+1))), "", errs.LimitExceeded, "65537"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v, err := tokenizer.VocabFromMetadata(test.md, test.pre)
			if v != nil || !errors.Is(err, test.code) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %s and %q", err, test.code.Name(), test.says)
			}
		})
	}
}

func TestUnknownPreTokenizer(t *testing.T) {
	md := tinyBPE().with(metadata{"pre": "from-the-future"})
	_, err := tokenizer.VocabFromMetadata(md, "")
	for _, name := range []string{
		"from-the-future", "default", "gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-llm", "deepseek-coder", "falcon",
		"starcoder", "refact", "command-r", "mpt",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	v, err := tokenizer.VocabFromMetadata(md, "qwen2")
	if err != nil || v.Pre != "qwen2" {
		t.Fatalf("override: got %v", err)
	}
	if _, err := tokenizer.New(v); err != nil {
		t.Error(err)
	}
}

// TestOddMetadata has a defined outcome for what is wrong but harmless.
func TestOddMetadata(t *testing.T) {
	tok := tinyBPE().with(metadata{
		"bos_token_id": 1 << 20, "eos_token_id": 5, "add_bos_token": "yes", "scores": []int32{},
		"merges": []string{"h e", "l l", "zz top", "he ll", "no-space", " ", "", "h  e", "q q"},
	})
	tok["tokenizer.ggml.scores"] = nil
	loaded := tok.load(t)
	if s := loaded.Special(); s.BOS != 11 || s.EOS != 5 || s.PAD != tokenizer.None {
		t.Errorf("special tokens: %+v", s)
	}
	if got := encode(t, loaded, "hellqq"); !slices.Equal(got, []int32{258, 'q', 'q'}) {
		t.Errorf("got %v", got)
	}
	if id, ok := tinyBPE().with(tokensOnly("a", "", "b")).load(t).TokenByText("[EMPTY_1]"); !ok || id != 1 {
		t.Errorf("the empty token: got %d, %v", id, ok)
	}
	integers := tinySPM().with(metadata{"scores": slices.Repeat([]int32{3}, 300)})
	if got := encode(t, integers.load(t), "hello"); len(got) == 0 {
		t.Error("integer scores: got nothing")
	}
}

// TestNewRefuses breaks a vocabulary in each way that a table written by someone else could be.
func TestNewRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*tokenizer.Vocab){
		"model":            func(v *tokenizer.Vocab) { v.Model = 9 },
		"no tokens":        func(v *tokenizer.Vocab) { *v = tokenizer.Vocab{Model: tokenizer.BPE} },
		"few offsets":      func(v *tokenizer.Vocab) { v.Offsets = v.Offsets[:7] },
		"offsets descend":  func(v *tokenizer.Vocab) { v.Offsets[7] = 1 },
		"an empty text":    func(v *tokenizer.Vocab) { v.Offsets[7] = v.Offsets[8] },
		"offsets too far":  func(v *tokenizer.Vocab) { v.Offsets[len(v.Offsets)-1] = 1 << 31 },
		"few bytes":        func(v *tokenizer.Vocab) { v.Bytes = v.Bytes[:9] },
		"few scores":       func(v *tokenizer.Vocab) { v.Scores = []float32{1} },
		"half a merge":     func(v *tokenizer.Vocab) { v.Merges = v.Merges[:3] },
		"a merge too far":  func(v *tokenizer.Vocab) { v.Merges[2] = 1 << 20 },
		"a negative merge": func(v *tokenizer.Vocab) { v.Merges[2] = -1 },
		"an end too far":   func(v *tokenizer.Vocab) { v.EndOfGeneration = []int32{1 << 20} },
		"a BOS too far":    func(v *tokenizer.Vocab) { v.Special.BOS = 1 << 20 },
		"a PAD below none": func(v *tokenizer.Vocab) { v.Special.PAD = -2 },
		"a pre-tokenizer":  func(v *tokenizer.Vocab) { v.Pre = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			v, err := tokenizer.VocabFromMetadata(tinyBPE(), "")
			if err != nil {
				t.Fatal(err)
			}
			spoil(v)
			if _, err := tokenizer.New(v); !errors.Is(err, errs.InvalidFormat) && !errors.Is(err, errs.Unsupported) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestVocabIsATable makes a tokenizer from the exported arrays alone, as a guest does.
func TestVocabIsATable(t *testing.T) {
	for name, md := range map[string]metadata{"bpe": tinyBPE(), "spm": tinySPM(), "wpm": tinyWPM()} {
		v, err := tokenizer.VocabFromMetadata(md, "")
		if err != nil {
			t.Fatal(err)
		}
		table := tokenizer.Vocab{
			Model: v.Model, Pre: v.Pre, Offsets: v.Offsets, Bytes: v.Bytes, Scores: v.Scores, Attrs: v.Attrs,
			Merges: v.Merges, Special: v.Special, EndOfGeneration: v.EndOfGeneration, AddBOS: v.AddBOS, AddEOS: v.AddEOS,
			AddSpacePrefix: v.AddSpacePrefix, IgnoreMerges: v.IgnoreMerges, CleanSpaces: v.CleanSpaces,
			Lowercase: v.Lowercase, StripAccents: v.StripAccents,
		}
		tok, err := tokenizer.New(&table)
		if err != nil {
			t.Fatal(err)
		}
		const text = "Hello world, hello 中 <tool>"
		if got, want := encode(t, tok, text), encode(t, md.load(t), text); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestPurposes(t *testing.T) {
	vocab := func(special ...string) metadata {
		tokens := append([]string{"a", "b", "c"}, special...)
		return metadata{}.with(metadata{"model": "gpt2", "tokens": tokens, "merges": []string{}})
	}
	tests := []struct {
		name string
		md   metadata
		eot  string
		ends []string
	}{
		{
			"chatml", vocab("<|endoftext|>", "<|im_end|>", "<|im_start|>").with(metadata{"eos_token_id": 4}),
			"<|im_end|>",
			[]string{"<|endoftext|>", "<|im_end|>"},
		},
		{
			"llama 3", vocab("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>").with(metadata{"eos_token_id": 5}),
			"<|eot_id|>",
			[]string{"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"},
		},
		{
			"named by the file", vocab("<|im_end|>", "stop").with(metadata{"eot_token_id": 4}),
			"stop",
			[]string{"<|im_end|>", "stop"},
		},
		{"gemma 4", vocab("</s>", "<|tool_response>", "<turn|>"), "", []string{"<|tool_response>", "<turn|>"}},
		{
			"harmony", vocab("<|end|>", "<|return|>", "<|call|>", "<|channel|>"),
			"<|end|>",
			[]string{"<|return|>", "<|call|>"},
		},
		{
			"fill-in", vocab("<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|fim_prefix|>"),
			"",
			[]string{"<|fim_pad|>", "<|file_sep|>", "<|repo_name|>"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tok := test.md.load(t)
			if got := strings.Join(pieces(tok, []int32{tok.Special().EOT}), ""); got != test.eot {
				t.Errorf("end of turn: got %q, want %q", got, test.eot)
			}
			if got := pieces(tok, tok.EndOfGeneration()); !slices.Equal(got, test.ends) {
				t.Errorf("ends: got %q, want %q", got, test.ends)
			}
			for _, id := range tok.EndOfGeneration() {
				if !tok.IsEndOfGeneration(id) {
					t.Errorf("%d does not end an answer", id)
				}
			}
			if tok.IsEndOfGeneration(0) || tok.IsEndOfGeneration(tokenizer.None) {
				t.Error("a token that is none ends an answer")
			}
		})
	}
	harmony := tests[4].md.load(t)
	if attr := harmony.Attr(6); attr != tokenizer.UserDefined {
		t.Errorf("<|channel|>: attributes %b", attr)
	}
	if attr := tests[5].md.load(t).Attr(6); !attr.Has(tokenizer.Control) {
		t.Errorf("<|fim_prefix|>: attributes %b", attr)
	}
	if harmony.Attr(-1) != 0 || harmony.Attr(100) != 0 {
		t.Error("ids that are no tokens have attributes")
	}
}

// TestStrips marks the tokens that take spaces along by the names of the models whose tokens do.
func TestStrips(t *testing.T) {
	phi := tinySPM()
	phi["general.name"] = "Phi-3 mini"
	special := tokenizer.EncodeOptions{ParseSpecial: true}
	got, _ := phi.load(t).Encode(nil, "hello</s>  \nhello<s> hello", special)
	if want := []int32{263, 2, 263, 1, 270, 263}; !slices.Equal(got, want) {
		t.Errorf("phi-3: got %v, want %v", got, want)
	}
	bert := tinyWPM()
	bert["general.name"] = "modern-bert"
	if attr := bert.load(t).Attr(4); !attr.Has(tokenizer.StripBefore) {
		t.Errorf("modern-bert: [MASK] has attributes %b", attr)
	}
	jina := tinyBPE().with(metadata{"pre": "jina-v2-de", "tokens": []string{"a", "<mask>"}, "token_type": nil})
	if attr := jina.load(t).Attr(1); !attr.Has(tokenizer.StripBefore) {
		t.Errorf("jina: <mask> has attributes %b", attr)
	}
}
