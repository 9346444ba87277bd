package tokenizer_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// throughTable makes a tokenizer as a guest does, from the table that a host writes of another.
func throughTable(tb testing.TB, tok *tokenizer.Tokenizer) *tokenizer.Tokenizer {
	tb.Helper()
	table, err := tok.VocabTable()
	if err != nil {
		tb.Fatal(err)
	}
	v, err := tokenizer.VocabFromTable(table)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := tokenizer.New(v)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func compareTokenizers(t *testing.T, want *tokenizer.Tokenizer) {
	t.Helper()
	got := throughTable(t, want)
	a, err := want.VocabTable()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := got.VocabTable(); err != nil || !bytes.Equal(a, b) {
		t.Errorf("a table made from a table differs: %v", err)
	}
	if got.Model() != want.Model() || got.Special() != want.Special() || got.AddsBOS() != want.AddsBOS() ||
		got.AddsEOS() != want.AddsEOS() || !slices.Equal(got.EndOfGeneration(), want.EndOfGeneration()) {
		t.Errorf("%+v, want %+v", got.Special(), want.Special())
	}
	text := mixedText(1<<14) + "<|im_start|>user\nHi <|im_end|></s><s> [MASK] \x00\xff"
	for _, opts := range []tokenizer.EncodeOptions{{}, {AddSpecial: true, ParseSpecial: true}} {
		ids, _ := want.Encode(nil, text, opts)
		if again, err := got.Encode(nil, text, opts); err != nil || !slices.Equal(ids, again) {
			t.Errorf("%+v: other ids, %v", opts, err)
		}
		for _, special := range []bool{false, true} {
			o := tokenizer.DecodeOptions{Special: special, RemoveSpecial: true, CleanSpaces: true}
			if got.Decode(ids, o) != want.Decode(ids, o) {
				t.Errorf("%+v: other text", o)
			}
		}
	}
}

func TestTableGivesTheSameTokenizer(t *testing.T) {
	for name, md := range map[string]metadata{"BPE": tinyBPE(), "SPM": tinySPM(), "WPM": tinyWPM()} {
		t.Run(name, func(t *testing.T) { compareTokenizers(t, md.load(t)) })
	}
	for _, name := range fixtureNames {
		t.Run(name, func(t *testing.T) { compareTokenizers(t, load(t, fixture(t, name), "")) })
	}
	t.Run("model", func(t *testing.T) { compareTokenizers(t, load(t, realModel(t), "")) })
}

// FuzzVocabFromTable makes tokenizers of tables with damaged bytes, each edit a place, in two bytes, and a value: they are
// refused, or encode and decode something.
func FuzzVocabFromTable(f *testing.F) {
	var tables [][]byte
	for _, md := range []metadata{tinyBPE(), tinySPM(), tinyWPM()} {
		table, err := md.load(f).VocabTable()
		if err != nil {
			f.Fatal(err)
		}
		tables = append(tables, table)
	}
	f.Add(uint8(0), []byte{0, 12, 2})
	f.Add(uint8(1), []byte{0, 84, 9, 0, 44, 255})
	f.Add(uint8(2), []byte{0, 16, 127})
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		table := slices.Clone(tables[int(which)%len(tables)])
		for ; len(edits) >= 3; edits = edits[3:] {
			table[(int(edits[0])<<8|int(edits[1]))%len(table)] = edits[2]
		}
		v, err := tokenizer.VocabFromTable(table)
		var tok *tokenizer.Tokenizer
		if err == nil {
			tok, err = tokenizer.New(v)
		}
		if err != nil {
			if code := errs.CodeOf(err); code != errs.InvalidFormat && code != errs.Unsupported && code != errs.LimitExceeded {
				t.Errorf("%v: %v", code, err)
			}
			return
		}
		ids, err := tok.Encode(nil, "Hello <s> wörld\x00", tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
		if err != nil {
			t.Error(err)
		}
		tok.Decode(ids, tokenizer.DecodeOptions{Special: true})
	})
}
