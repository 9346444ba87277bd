package tokenizer

import (
	"strings"
	"unicode/utf8"
)

//go:generate go run gen_tables.go -src $LLAMA_CPP/src/unicode-data.cpp

// class says what kind of character a code point is. Besides isSpace at most one bit is set: none for unassigned code
// points.
type class uint8

const (
	isNumber  class = 1 << iota // general category N
	isLetter                    // L
	isMark                      // M
	isPunct                     // P
	isSymbol                    // S
	isControl                   // C, except Cn
	isSpace                     // the property White_Space; besides category C for the control characters
)

// is reports whether any of bits is set.
func (c class) is(bits class) bool { return c&bits != 0 }

// classOf is the class of a code point.
func classOf(r rune) class {
	if r < 128 {
		return asciiClass[r]
	}
	// The last row that starts at r or before it.
	low, high := 0, len(classRanges)
	for high-low > 1 {
		if mid := int(uint(low+high) / 2); rune(classRanges[mid]>>8) <= r {
			low = mid
		} else {
			high = mid
		}
	}
	return class(classRanges[low])
}

// toLower is the simple lower-case mapping of one code point.
func toLower(r rune) rune {
	low, high := 0, len(lowerRanges)
	for low < high {
		mid := int(uint(low+high) / 2)
		switch c := &lowerRanges[mid]; {
		case r < c.first:
			high = mid
		case r > c.last:
			low = mid + 1
		case (r-c.first)%c.step == 0:
			return r + c.delta
		default:
			return r
		}
	}
	return r
}

// baseOf is the first code point of r's canonical decomposition: the letter without its accents. Hangul syllables
// become their leading consonant, as they do in llama.cpp.
func baseOf(r rune) rune {
	low, high := 0, len(nfdRanges)
	for low < high {
		mid := int(uint(low+high) / 2)
		switch c := &nfdRanges[mid]; {
		case r < c.first:
			high = mid
		case r > c.last:
			low = mid + 1
		default:
			return c.base
		}
	}
	return r
}

// The scanners below read text that wellFormed has returned: the first byte of a sequence tells its length, and
// nothing needs checking but the end.

// runeAt decodes the code point that starts at s[i] and its length in bytes.
func runeAt(s string, i int) (r rune, n int) {
	c := s[i]
	switch {
	case c < 0x80:
		return rune(c), 1
	case c < 0xE0:
		_ = s[i+1]
		return rune(c&0x1F)<<6 | rune(s[i+1]&0x3F), 2
	case c < 0xF0:
		_ = s[i+2]
		return rune(c&0x0F)<<12 | rune(s[i+1]&0x3F)<<6 | rune(s[i+2]&0x3F), 3
	}
	_ = s[i+3]
	return rune(c&0x07)<<18 | rune(s[i+1]&0x3F)<<12 | rune(s[i+2]&0x3F)<<6 | rune(s[i+3]&0x3F), 4
}

// classAt is the class of the code point that starts at s[i] and its length in bytes; 0 and 0 at the end of s.
func classAt(s string, i int) (c class, n int) {
	if i >= len(s) {
		return 0, 0
	}
	if s[i] < 0x80 {
		return asciiClass[s[i]], 1
	}
	r, n := runeAt(s, i)
	return classOf(r), n
}

// wellFormed returns s as llama.cpp reads it. Each byte that starts no sequence becomes U+FFFD; overlong sequences
// become the shortest one for their code point; surrogates stay, as three bytes each. Sequences beyond U+10FFFF, which
// llama.cpp throws an exception at, become one U+FFFD per byte.
func wellFormed(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	for i := 0; i < len(s); {
		if s[i] < 0x80 {
			b.WriteByte(s[i])
			i++
			continue
		}
		r, n := decodeLoosely(s[i:])
		if 0xD800 <= r && r < 0xE000 { // WriteRune would replace the surrogate
			b.Write([]byte{0xE0 | byte(r>>12), 0x80 | byte(r>>6)&0x3F, 0x80 | byte(r)&0x3F})
		} else {
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// decodeLoosely decodes the first code point of s, which does not start with ASCII, checking only that as many
// continuation bytes follow as the first byte announces.
func decodeLoosely(s string) (r rune, n int) {
	switch c := s[0]; {
	case c >= 0xF8 || c < 0xC0:
		return utf8.RuneError, 1
	case c >= 0xF0:
		n = 4
	case c >= 0xE0:
		n = 3
	default:
		n = 2
	}
	if len(s) < n {
		return utf8.RuneError, 1
	}
	for i := 1; i < n; i++ {
		if s[i]&0xC0 != 0x80 {
			return utf8.RuneError, 1
		}
	}
	if r, n = runeAt(s, 0); r > utf8.MaxRune {
		return utf8.RuneError, 1
	}
	return r, n
}
