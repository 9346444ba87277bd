package tokenizer_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/tokenizer"
)

// metadata is a tokenizer.Metadata made by hand.
type metadata map[string]any

func get[T any](m metadata, key string) (T, bool) {
	value, ok := m[key].(T)
	return value, ok
}

func (m metadata) String(key string) (string, bool)    { return get[string](m, key) }
func (m metadata) Bool(key string) (bool, bool)        { return get[bool](m, key) }
func (m metadata) Strings(key string) ([]string, bool) { return get[[]string](m, key) }
func (m metadata) Floats(key string) ([]float32, bool) { return get[[]float32](m, key) }
func (m metadata) Ints(key string) ([]int32, bool)     { return get[[]int32](m, key) }
func (m metadata) Uint(key string) (value uint64, ok bool) {
	n, ok := m[key].(int)
	return uint64(n), ok
}

// with is a copy with other values; nil removes a key.
func (m metadata) with(changes metadata) metadata {
	m = maps.Clone(m)
	for key, value := range changes {
		if value == nil {
			delete(m, "tokenizer.ggml."+key)
		} else {
			m["tokenizer.ggml."+key] = value
		}
	}
	return m
}

func (m metadata) load(tb testing.TB) *tokenizer.Tokenizer {
	tb.Helper()
	v, err := tokenizer.VocabFromMetadata(m, "")
	if err != nil {
		tb.Fatal(err)
	}
	t, err := tokenizer.New(v)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// tokensOnly changes a vocabulary to one of these tokens, all normal.
func tokensOnly(tokens ...string) metadata {
	return metadata{"tokens": tokens, "token_type": nil, "scores": nil}
}

// The types of tokens in a GGUF file.
const (
	normal, unknown, control, userDefined, byteToken = 1, 2, 3, 4, 6
)

// tinyBPE has a token for each byte, at 0 to 255, and a few more.
func tinyBPE() metadata {
	var tokens []string
	var types []int32
	for b := range 256 {
		tokens, types = append(tokens, string(byteRune(byte(b)))), append(types, normal)
	}
	for _, text := range []string{"he", "ll", "hell", "hello", "Ġw", "or", "Ġwor", "ld", "Ġworld", "ĠĠ", "ĠĠĠĠ", "12"} {
		tokens, types = append(tokens, text), append(types, normal)
	}
	tokens = append(tokens, "<|bos|>", "<|im_end|>", "[tool]", "[tools]", "ools]!")
	types = append(types, control, control, userDefined, userDefined, userDefined)
	return metadata{}.with(metadata{
		"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "token_type": types,
		"merges": []string{
			"h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "Ġ Ġ", "ĠĠ ĠĠ", "1 2",
			"h x", "1 2", "nothing at_all", "", " ",
		},
		"bos_token_id": 268, "eos_token_id": 269, "add_bos_token": true,
	})
}

// byteRune is the character that stands for a byte in BPE vocabularies.
func byteRune(b byte) rune {
	next := rune(0x100)
	for c := range 256 {
		printable := '!' <= c && c <= '~' || 0xA1 <= c && c <= 0xFF && c != 0xAD
		switch {
		case byte(c) == b && printable:
			return rune(c)
		case byte(c) == b:
			return next
		case !printable:
			next++
		}
	}
	return 0
}

// tinySPM has byte tokens from 3 to 258, then a few pieces.
func tinySPM() metadata {
	tokens, types, scores := []string{"<unk>", "<s>", "</s>"}, []int32{unknown, control, control}, []float32{0, 0, 0}
	for b := range 256 {
		tokens, types, scores = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(types, byteToken), append(scores, 0)
	}
	for i, text := range []string{
		"▁h", "el", "▁hel", "lo", "▁hello", "▁w", "or", "▁wor", "ld", "▁world", "▁▁", "▁", "h", "e", "l", "o", "w",
		"r", "d",
	} {
		tokens, types, scores = append(tokens, text), append(types, normal), append(scores, float32(-i))
	}
	tokens, types, scores = append(tokens, "<tool>"), append(types, userDefined), append(scores, 0)
	return metadata{}.with(metadata{"model": "llama", "tokens": tokens, "token_type": types, "scores": scores})
}

// tinyWPM has the special tokens first.
func tinyWPM() metadata {
	tokens := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	types := slices.Repeat([]int32{control}, len(tokens))
	for _, text := range []string{"▁hello", "▁wor", "ld", "▁e", "▁,", "▁中", "▁straße", "▁h", "ell"} {
		tokens, types = append(tokens, text), append(types, normal)
	}
	return metadata{}.with(metadata{
		"model": "bert", "tokens": tokens, "token_type": types, "unknown_token_id": 1, "bos_token_id": 2,
		"seperator_token_id": 3, "padding_token_id": 0, "mask_token_id": 4,
	})
}
