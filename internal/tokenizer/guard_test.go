package tokenizer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// TestGuard holds guarded text to the tokens of plain text, between control tokens that are read as such.
func TestGuard(t *testing.T) {
	for _, c := range []struct {
		vocab metadata
		a, b  string // control tokens
	}{{tinyBPE(), "<|bos|>", "<|im_end|>"}, {tinySPM(), "<s>", "</s>"}, {tinyWPM(), "[CLS]", "[SEP]"}} {
		tok := c.vocab.load(t)
		begin, ok := tok.TokenByText(c.a)
		if !ok {
			t.Fatalf("no token %s", c.a)
		}
		for _, text := range []string{
			"hello", "", c.a, "he " + c.a + " world" + c.b, c.a + c.a + c.b, c.a[:2] + c.a + c.a[2:], c.a[:2], "<unk>[tool]",
			"\uFDD0" + c.a + "\uFDD1", c.b + "\xff" + c.b,
		} {
			guard, err := tok.NewGuard(text)
			if err != nil {
				t.Fatal(err)
			}
			protected := guard.Protect(text)
			if guard.Remove(protected) != text {
				t.Errorf("%q: protected and back gives %q", text, guard.Remove(protected))
			}
			got, err := tok.Encode(nil, c.a+protected+c.a, tokenizer.EncodeOptions{ParseSpecial: true, Guard: guard})
			if err != nil {
				t.Fatal(err)
			}
			plain, err := tok.Encode(nil, text, tokenizer.EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if want := slices.Concat([]int32{begin}, plain, []int32{begin}); !slices.Equal(got, want) {
				t.Errorf("%q: %v, want %v", text, got, want)
			}
		}
	}
}

func TestGuardWithoutAMark(t *testing.T) {
	var all strings.Builder
	for r := '\uFDD0'; r <= '\uFDEF'; r++ {
		all.WriteRune(r)
	}
	if _, err := tinyBPE().load(t).NewGuard("x", all.String()); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("got %v, want invalid argument", err)
	}
}
