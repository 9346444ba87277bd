package tokenizer_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/realm-ai/realm/internal/tokenizer"
)

func TestDecode(t *testing.T) {
	type options = tokenizer.DecodeOptions
	tests := []struct {
		name string
		md   metadata
		ids  []int32
		opts options
		want string
	}{
		{"bpe", tinyBPE(), []int32{259, 264}, options{}, "hello world"},
		{"bpe hides control tokens", tinyBPE(), []int32{268, 259, 269}, options{}, "hello"},
		{"bpe shows control tokens", tinyBPE(), []int32{268, 259}, options{Special: true}, "<|bos|>hello"},
		{
			"bpe removes BOS", tinyBPE(),
			[]int32{268, 259, 269},
			options{Special: true, RemoveSpecial: true},
			"hello<|im_end|>",
		},
		{
			"bpe removes EOS", tinyBPE().with(metadata{"add_eos_token": true}),
			[]int32{268, 259, 269},
			options{Special: true, RemoveSpecial: true},
			"hello",
		},
		{"bpe shows user-defined tokens", tinyBPE(), []int32{270}, options{}, "[tool]"},
		{"bpe ignores what is no token", tinyBPE(), []int32{-1, 259, 1 << 30}, options{}, "hello"},
		{"bpe keeps spaces", tinyBPE(), []int32{259, ' ', '!'}, options{}, "hello !"},
		{"bpe cleans spaces", tinyBPE(), []int32{259, ' ', '!'}, options{CleanSpaces: true}, "hello!"},
		{
			"bpe cleans no spaces if told so", tinyBPE().with(metadata{"pre": "smollm"}),
			[]int32{259, ' ', '!'},
			options{CleanSpaces: true},
			"hello !",
		},
		{
			"bpe writes what stands for no byte", tinyBPE().with(tokensOnly("a中 Ġb", "x")),
			[]int32{0},
			options{},
			"a中  b",
		},

		{"spm removes the space of the start", tinySPM(), []int32{263, 268}, options{}, "hello world"},
		{"spm leaves the space after BOS", tinySPM(), []int32{1, 263}, options{RemoveSpecial: true}, " hello"},
		{
			"spm leaves the space if none was added", tinySPM().with(metadata{"add_space_prefix": false}),
			[]int32{263},
			options{},
			" hello",
		},
		{"spm joins bytes", tinySPM(), []int32{3 + 0xE4, 3 + 0xB8, 3 + 0xAD}, options{}, "中"},
		{"spm hides UNK", tinySPM(), []int32{0, 263}, options{}, " hello"},

		{"wpm", tinyWPM(), []int32{2, 5, 9, 6, 7, 3}, options{CleanSpaces: true}, " hello, world"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.md.load(t).Decode(test.ids, test.opts); got != test.want {
				t.Errorf("%v: got %q, want %q", test.ids, got, test.want)
			}
		})
	}
}

func TestCleanSpaces(t *testing.T) {
	tok := tinyBPE().load(t)
	for text, want := range map[string]string{
		"":                     "",
		" ":                    " ",
		" .":                   ".",
		"a , b ! c ?! . .":     "a, b! c?!..",
		"a ' b":                "a'b",
		"a ' ' b":              "a'' b",
		"a 's b 'm 're 've 't": "a's b'm're've 't",
		"a 'll 'd 'r '":        "a 'll 'd 'r '",
		"' a":                  "' a",
	} {
		if got := tok.Decode(encode(t, tok, text), tokenizer.DecodeOptions{CleanSpaces: true}); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPieces(t *testing.T) {
	spm := tinySPM().load(t)
	for id, want := range map[int32]string{0: "<unk>", 3 + '\n': "\n", 263: " hello", 278: "<tool>", -1: "", 1000: ""} {
		if got := string(spm.AppendPiece([]byte("x"), id, true)); got != "x"+want {
			t.Errorf("piece %d: got %q, want %q", id, got, "x"+want)
		}
	}
	// Byte tokens whose text is none, and types that are none, stand for nothing.
	odd := tinySPM().with(metadata{
		"tokens": []string{"<0x4g>", "<0x>", "<0x41>", "<0x4a>", "five", "seven"}, "scores": nil,
		"token_type": []int32{6, 6, 6, 6, 5, 7},
	}).load(t)
	if got := odd.Decode([]int32{0, 1, 2, 3, 4, 5}, tokenizer.DecodeOptions{Special: true}); got != "AJ" {
		t.Errorf("odd tokens: got %q", got)
	}
}

// TestDecoderReplacesInvalidBytes follows the examples of the Unicode Standard, section 3.9 (tables 3-8 to 3-11).
func TestDecoderReplacesInvalidBytes(t *testing.T) {
	tok := tinyBPE().load(t)
	const r = "\ufffd"
	for text, want := range map[string]string{
		"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82A": strings.Repeat(r, 8) + "A",
		"\xED\xA0\x80\xED\xBF\xBF\xED\xAFA": strings.Repeat(r, 8) + "A",
		"\xF4\x91\x92\x93\xFFA\x80\xBFB":    strings.Repeat(r, 5) + "A" + r + r + "B",
		"\xE1\x80\xE2\xF0\x91\x92\xF1\xBFA": strings.Repeat(r, 4) + "A",
		"\xE1\x80":                          r,
		"\xF0\x9F\x98\x80\xF0\x9F\x98":      "😀" + r,
		"\ufffd\xff":                        r + r,
	} {
		d := tok.NewDecoder(false)
		var got strings.Builder
		for i := range len(text) {
			got.Write(d.Push(int32(text[i]))) // tinyBPE has a token for each byte
		}
		got.Write(d.Flush())
		if got.String() != want {
			t.Errorf("%q: got %q, want %q", text, got.String(), want)
		}
		if rest := d.Flush(); len(rest) != 0 {
			t.Errorf("%q: a second Flush gives %q", text, rest)
		}
	}
}

// TestDecoderEqualsDecode cuts texts into tokens at random bytes: what the decoder returns is whole characters always,
// and all of the text in the end.
func TestDecoderEqualsDecode(t *testing.T) {
	tok := tinyBPE().load(t)
	rng := rand.New(rand.NewPCG(9, 10))
	for range 2000 {
		var text strings.Builder
		for range rng.IntN(20) {
			text.WriteRune([]rune{'a', ' ', 'é', 'ß', '中', '가', '😀', '\u200d', '\U0010FFFF', 0}[rng.IntN(10)])
		}
		var ids []int32
		for rest := text.String(); rest != ""; {
			n := 1 + rng.IntN(len(rest))
			ids = append(ids, encode(t, tok, "")...)
			for i := range n {
				ids = append(ids, int32(rest[i]))
			}
			rest = rest[n:]
		}
		d := tok.NewDecoder(false)
		var got strings.Builder
		for _, id := range ids {
			part := d.Push(id)
			if !utf8.Valid(part) {
				t.Fatalf("%q: Push returned %q", text.String(), part)
			}
			got.Write(part)
		}
		got.Write(d.Flush())
		if whole := tok.Decode(ids, tokenizer.DecodeOptions{}); got.String() != whole || whole != text.String() {
			t.Fatalf("%q: the decoder gives %q, Decode %q", text.String(), got.String(), whole)
		}
	}
}

// TestRoundTrip encodes and decodes mixed text with real vocabularies, at once and token by token.
func TestRoundTrip(t *testing.T) {
	text := mixedText(100_000)
	for _, r := range []result{{Vocab: "gpt-2"}, {Vocab: "llama-spm"}, {Vocab: "deepseek-llm"}, {Vocab: "model"}} {
		t.Run(r.name(), func(t *testing.T) {
			tok := r.load(t)
			ids := encode(t, tok, text)
			if got := tok.Decode(ids, tokenizer.DecodeOptions{}); got != text {
				t.Error("Decode gives another text")
			}
			d := tok.NewDecoder(false)
			var got strings.Builder
			for _, id := range ids {
				got.Write(d.Push(id))
			}
			got.Write(d.Flush())
			want := text
			if tok.Model() == tokenizer.SPM {
				want = " " + text // the decoder knows no start, and so leaves the space there that SPM adds
			}
			if got.String() != want {
				t.Error("the decoder gives another text")
			}
		})
	}
}
