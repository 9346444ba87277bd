package tokenizer

import (
	"testing"
	"unicode"
)

// TestTablesAgreeWithGo compares the tables with Go's own, which are a version of Unicode older: Unicode 15.1 adds
// ideographs and their description characters.
func TestTablesAgreeWithGo(t *testing.T) {
	if unicode.Version != "15.0.0" {
		t.Skipf("Go has Unicode %s", unicode.Version)
	}
	categories := []struct {
		table *unicode.RangeTable
		class class
	}{
		{unicode.N, isNumber},
		{unicode.L, isLetter},
		{unicode.M, isMark},
		{unicode.P, isPunct},
		{unicode.S, isSymbol},
		{unicode.Cc, isControl},
		{unicode.Cf, isControl},
		{unicode.Co, isControl},
		{unicode.Cs, isControl},
	}
	added := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		var want class
		for _, c := range categories {
			if unicode.Is(c.table, r) {
				want = c.class
			}
		}
		if unicode.Is(unicode.White_Space, r) {
			want |= isSpace
		}
		switch got := classOf(r); {
		case got == want:
		case want == 0 && got == isLetter && 0x2EBF0 <= r && r <= 0x2EE5D,
			want == 0 && got == isSymbol && 0x2FFC <= r && r <= 0x31EF:
			added++
		default:
			t.Errorf("U+%04X: class %#x, want %#x", r, got, want)
		}
		if got, want := toLower(r), unicode.ToLower(r); got != want {
			t.Errorf("U+%04X: lower case U+%04X, want U+%04X", r, got, want)
		}
	}
	if added != 627 {
		t.Errorf("%d characters that Unicode 15.0 does not have, want 627", added)
	}
}

func TestBaseOf(t *testing.T) {
	for r, want := range map[rune]rune{
		'a': 'a', 'é': 'e', 'Å': 'A', '\u212b': 'A', 'ệ': 'e', 'ß': 'ß', 'ﬁ': 'ﬁ', '각': '\u1100', '힣': '\u1112', 'が': 'か',
		'\u0344': '\u0308', '\U0002FA1D': '\U0002A600', '\U0010FFFF': '\U0010FFFF', 'ǖ': 'u',
	} {
		if got := baseOf(r); got != want {
			t.Errorf("%c U+%04X: got U+%04X, want U+%04X", r, r, got, want)
		}
	}
}

func TestWellFormed(t *testing.T) {
	for s, want := range map[string]string{
		"":                         "",
		"a\u00e9中\U0001F600":       "a\u00e9中\U0001F600",
		"\xff":                     "\ufffd",
		"\x80a":                    "\ufffda",
		"\xc3":                     "\ufffd",
		"\xc3a":                    "\ufffda",
		"\xe2\x82":                 "\ufffd\ufffd",
		"\xe2\x82a":                "\ufffd\ufffda",
		"\xf0\x9f\x98":             "\ufffd\ufffd\ufffd",
		"\xc1\x81":                 "A",                        // overlong
		"\xe0\x81\x81":             "A",                        // overlong
		"\xf0\x80\x81\x81":         "A",                        // overlong
		"\xed\xa0\x80":             "\xed\xa0\x80",             // a surrogate
		"\xf0\x8d\xa0\x80":         "\xed\xa0\x80",             // an overlong surrogate
		"\xf4\x90\x80\x80":         "\ufffd\ufffd\ufffd\ufffd", // beyond Unicode
		"\xf8\x88\x80\x80\x80":     "\ufffd\ufffd\ufffd\ufffd\ufffd",
		"\xef\xbf\xbd\xef\xbf\xbe": "\ufffd\ufffe",
	} {
		if got := wellFormed(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
		for i := 0; i < len(want); {
			r, n := runeAt(want, i)
			if n != lengthAt(want, i) || r > unicode.MaxRune {
				t.Errorf("%q at %d: U+%04X of %d bytes", want, i, r, n)
			}
			i += n
		}
	}
}
