package chat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// str reads a string literal and undoes its escapes, which are those of Python.
func (l *lexer) str(rest string, quote byte) (token, int, error) {
	end := 1
	for end < len(rest) && rest[end] != quote {
		if rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(rest) {
		return token{}, 0, syntaxError(l.line, "string without end")
	}
	text, ok := unescape(rest[1:end])
	if !ok {
		return token{}, 0, unsupported(l.line, "an escape in the string %s", rest[:end+1])
	}
	return token{tokString, text, l.line}, end + 1, nil
}

var simpleEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v",
	'\n': "",
}

// hexEscapes says how many digits follow.
var hexEscapes = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// unescape undoes Python's escapes. It reports false for one that is malformed or not built: surrogates and \N{...}.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i] // there is one: the literal does not end behind a backslash
		if text, ok := simpleEscapes[c]; ok {
			b.WriteString(text)
			continue
		}
		digits, base := 0, 16
		switch {
		case hexEscapes[c] > 0:
			digits = hexEscapes[c]
			i++
		case '0' <= c && c <= '7':
			for base = 8; digits < 3 && i+digits < len(s) && '0' <= s[i+digits] && s[i+digits] <= '7'; {
				digits++
			}
		case c == 'N':
			return "", false
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
			continue
		}
		if i+digits > len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i:i+digits], base, 32)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		b.WriteRune(rune(n))
		i += digits - 1
	}
	return b.String(), true
}
