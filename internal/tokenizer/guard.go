package tokenizer

import (
	"strings"
	"unicode/utf8"

	"github.com/realm-ai/realm/internal/errs"
)

// A Guard keeps the texts of control tokens inside a message plain text, while those that a chat template writes around
// it are read as the tokens. Protect breaks each such text with a mark, the template puts the message into the prompt,
// and Encode with EncodeOptions.Guard looks for control tokens before it takes the marks away. The zero Guard does
// nothing.
type Guard struct {
	mark string
	t    *Tokenizer
}

// NewGuard makes a guard for messages with the given texts. Its mark is a noncharacter, U+FDD0 to U+FDEF, that none of
// them has; where they have them all it fails with errs.InvalidArgument.
func (t *Tokenizer) NewGuard(texts ...string) (Guard, error) {
	for r := '\uFDD0'; r <= '\uFDEF'; r++ {
		used := false
		for _, text := range texts {
			used = used || strings.ContainsRune(text, r)
		}
		if !used {
			return Guard{string(r), t}, nil
		}
	}
	return Guard{}, errs.Errorf(errs.InvalidArgument, "tokenizer: the text has every noncharacter from U+FDD0 to U+FDEF")
}

// Protect returns text with a mark inside each occurrence of a control token's text, overlapping ones included.
func (g Guard) Protect(text string) string {
	if g.t == nil {
		return text
	}
	e := g.t.encoders.Get().(*encoder)
	defer e.release()
	for {
		e.findSpans(g.t.special, text)
		var b strings.Builder
		start := 0
		for _, span := range e.spans {
			if span.id == None || g.t.v.Attrs[span.id].Has(UserDefined) {
				continue
			}
			_, n := utf8.DecodeRuneInString(text[span.from:])
			if span.from+n >= span.to {
				continue // a single character has no inside
			}
			b.WriteString(text[start : span.from+n])
			b.WriteString(g.mark)
			start = span.from + n
		}
		if start == 0 {
			return text
		}
		b.WriteString(text[start:])
		text = b.String()
	}
}

// Remove returns text without marks.
func (g Guard) Remove(text string) string {
	if g.mark == "" {
		return text
	}
	return strings.ReplaceAll(text, g.mark, "")
}
