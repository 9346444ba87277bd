package tokenizer_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// fuzzEncode fuzzes a small vocabulary, and the fixtures where there are any.
func fuzzEncode(f *testing.F, tiny []metadata, fixtures ...result) {
	var all []*tokenizer.Tokenizer
	for _, md := range tiny {
		all = append(all, md.load(f))
	}
	for _, r := range fixtures {
		// Without fixtures the small vocabularies are fuzzed alone.
		file, err := gguf.Open(strings.Replace(fixturePath, "NAME", r.Vocab, 1))
		if err != nil {
			continue
		}
		v, err := tokenizer.VocabFromMetadata(file, r.Pre)
		if err != nil {
			f.Fatal(err)
		}
		file.Close()
		tok, err := tokenizer.New(v)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, tok)
	}
	for _, text := range []string{
		"", "hello world", "<|im_end|>[tools]!<tool></s>[MASK]", "it's WE'LL 1234567", " \t\r\n\u3000 x", "\xff\xc1\x81\xed\xa0\x80\xf4\x90\x80\x80",
		"é e\u0301 中文 가 かな 😀\u200d", strings.Repeat("hello", 20), "▁ ▁▁ø",
	} {
		f.Add(text, byte(0))
		f.Add(text, byte(3))
	}
	f.Fuzz(func(t *testing.T, text string, flags byte) {
		opts := tokenizer.EncodeOptions{AddSpecial: flags&1 != 0, ParseSpecial: flags&2 != 0}
		for _, tok := range all {
			check(t, tok, text, opts)
		}
	})
}

// check encodes a text and checks what must hold for any text.
func check(t *testing.T, tok *tokenizer.Tokenizer, text string, opts tokenizer.EncodeOptions) {
	ids, err := tok.Encode(nil, text, opts)
	if err != nil {
		t.Fatal(err)
	}
	d := tok.NewDecoder(opts.ParseSpecial)
	var streamed []byte
	var raw []byte
	for _, id := range ids {
		if id < 0 || int(id) >= tok.VocabSize() {
			t.Fatalf("%q: token %d of %d", text, id, tok.VocabSize())
		}
		part := d.Push(id)
		if !utf8.Valid(part) {
			t.Fatalf("%q: the decoder returned %q", text, part)
		}
		streamed = append(streamed, part...)
		raw = tok.AppendPiece(raw, id, opts.ParseSpecial)
	}
	streamed = append(streamed, d.Flush()...)
	if !utf8.Valid(streamed) || utf8.Valid(raw) && string(streamed) != string(raw) {
		t.Fatalf("%q: the decoder gives %q, the pieces %q", text, streamed, raw)
	}
	whole := tok.Decode(ids, tokenizer.DecodeOptions{Special: opts.ParseSpecial, RemoveSpecial: opts.AddSpecial})
	// SPM adds a space after <tool>, for good.
	lossless := tok.Model() != tokenizer.WPM && opts == (tokenizer.EncodeOptions{}) && utf8.ValidString(text) &&
		!strings.Contains(text, "<tool>")
	if lossless && whole != strings.ReplaceAll(text, "▁", " ") && whole != text {
		t.Fatalf("%q: decoded to %q by %v", text, whole, ids)
	}
	again, _ := tok.Encode(nil, text, opts)
	if !slices.Equal(again, ids) {
		t.Fatalf("%q: got %v, then %v", text, ids, again)
	}
}

func FuzzEncodeBPE(f *testing.F) {
	tiny := []metadata{tinyBPE()}
	for _, pre := range []string{"default", "llama-bpe", "qwen2", "smollm", "falcon", "deepseek-llm", "deepseek-coder"} {
		tiny = append(tiny, tinyBPE().with(metadata{"pre": pre}))
	}
	fuzzEncode(f, tiny, result{Vocab: "gpt-2"}, result{Vocab: "deepseek-llm"}, result{Vocab: "gpt-2", Pre: "llama-bpe"})
}

func FuzzEncodeSPM(f *testing.F) {
	fuzzEncode(f, []metadata{tinySPM()}, result{Vocab: "llama-spm"})
}

func FuzzEncodeWPM(f *testing.F) {
	fuzzEncode(f, []metadata{tinyWPM()}, result{Vocab: "bert-bge"})
}

// FuzzVocab makes vocabularies from anything: an error or a tokenizer that works, never a panic.
func FuzzVocab(f *testing.F) {
	for i, md := range []metadata{tinyBPE(), tinySPM(), tinyWPM()} {
		tokens, _ := md.Strings("tokenizer.ggml.tokens")
		merges, _ := md.Strings("tokenizer.ggml.merges")
		f.Add(byte(i), strings.Join(tokens, "\n"), strings.Join(merges, "\n"), []byte{1, 3, 4}, "hello world")
	}
	f.Add(byte(0), "a\nb\n<|im_end|>\n\n</s>", "a b\n\n b", []byte{6, 0, 9}, "ab<|im_end|>")
	f.Fuzz(func(t *testing.T, kind byte, tokens, merges string, types []byte, text string) {
		list := strings.Split(tokens, "\n")
		md := metadata{}.with(metadata{
			"model": []string{"gpt2", "llama", "bert"}[kind%3], "tokens": list, "merges": strings.Split(merges, "\n"),
			"add_bos_token": kind&4 != 0, "add_space_prefix": kind&8 != 0,
		})
		var numbers []int32
		var scores []float32
		for i := range list {
			if len(types) > 0 {
				numbers = append(numbers, int32(types[i%len(types)])%8)
				scores = append(scores, float32(int8(types[i%len(types)])))
			}
		}
		if len(types) > 0 {
			md = md.with(metadata{"token_type": numbers, "scores": scores, "bos_token_id": int(types[0])})
		}
		if kind&16 != 0 {
			md["general.name"] = "phi-3"
		}
		v, err := tokenizer.VocabFromMetadata(md, "")
		if err != nil {
			return
		}
		tok, err := tokenizer.New(v)
		if err != nil {
			t.Fatalf("a vocabulary from metadata: %v", err)
		}
		for _, opts := range []tokenizer.EncodeOptions{{}, {AddSpecial: true, ParseSpecial: true}} {
			ids, err := tok.Encode(nil, text, opts)
			if err != nil {
				t.Fatal(err)
			}
			tok.Decode(ids, tokenizer.DecodeOptions{CleanSpaces: true})
		}
	})
}
