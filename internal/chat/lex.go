package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/realm-ai/realm/internal/errs"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokData
	tokOutputBegin // {{
	tokOutputEnd   // }}
	tokBlockBegin  // {%
	tokBlockEnd    // %}
	tokName
	tokString // text is unescaped
	tokInt
	tokFloat
	tokOp
)

type token struct {
	kind tokenKind
	text string
	line int
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokData:
		return "text"
	case tokString:
		return "a string"
	}
	return "'" + t.text + "'"
}

// lexer splits a template into tokens as jinja2's lexer does with trim_blocks and lstrip_blocks on, which is how
// transformers renders chat templates: the newline after a block or comment is dropped, and so is the indentation
// before one that stands first in its line. Lines are counted in the source as written.
type lexer struct {
	src       string
	pos, line int
	tokens    []token
	lineStart bool // the tag before ended with a newline, or none was before
}

func lex(source string) ([]token, error) {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	l := lexer{src: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.emit(tokEOF, "")
	return l.tokens, nil
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind, text, l.line})
}

// advance moves to byte offset pos and counts the lines passed.
func (l *lexer) advance(pos int) {
	l.line += strings.Count(l.src[l.pos:pos], "\n")
	l.pos = pos
}

func syntaxError(line int, format string, args ...any) error {
	return templateError(errs.InvalidFormat, line, format, args...)
}

func unsupported(line int, format string, args ...any) error {
	return templateError(errs.Unsupported, line, format, args...)
}

// next reads text up to the next tag, and that tag.
func (l *lexer) next() error {
	open := l.pos
	for {
		i := strings.IndexByte(l.src[open:], '{')
		if i < 0 || open+i+1 >= len(l.src) {
			l.emit(tokData, l.src[l.pos:])
			l.advance(len(l.src))
			return nil
		}
		open += i
		if c := l.src[open+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		open++
	}
	kind, inside := l.src[open+1], open+2
	var sign byte
	if inside < len(l.src) && (l.src[inside] == '-' || l.src[inside] == '+') {
		sign = l.src[inside]
		inside++
	}
	l.text(l.src[l.pos:open], sign, kind != '{')
	l.advance(open)
	switch kind {
	case '#':
		return l.comment(inside)
	case '{':
		l.emit(tokOutputBegin, "{{")
		l.advance(inside)
		return l.tag(tokOutputEnd)
	}
	if end := l.rawBegin(inside); end >= 0 {
		return l.raw(end)
	}
	l.emit(tokBlockBegin, "{%")
	l.advance(inside)
	return l.tag(tokBlockEnd)
}

// text emits the text before a tag whose opening has the given sign.
func (l *lexer) text(text string, sign byte, block bool) {
	if sign == '-' {
		text = strings.TrimRightFunc(text, isSpace)
	} else if sign == 0 && block {
		start := strings.LastIndexByte(text, '\n') + 1
		if (start > 0 || l.lineStart) && strings.TrimLeftFunc(text[start:], isSpace) == "" {
			text = text[:start]
		}
	}
	if text != "" {
		l.emit(tokData, text)
	}
}

// close moves behind the end of a tag, which is at pos and n bytes long, and behind what its sign has it strip.
func (l *lexer) close(pos, n int, sign byte, block bool) {
	end := pos + n
	switch {
	case sign == '-':
		end = len(l.src) - len(strings.TrimLeftFunc(l.src[end:], isSpace))
	case sign == 0 && block && strings.HasPrefix(l.src[end:], "\n"):
		end++
	}
	l.advance(end)
	l.lineStart = l.src[end-1] == '\n'
}

func (l *lexer) comment(inside int) error {
	i := strings.Index(l.src[inside:], "#}")
	if i < 0 {
		return syntaxError(l.line, "comment without end")
	}
	end := inside + i
	var sign byte
	if end > inside && (l.src[end-1] == '-' || l.src[end-1] == '+') {
		sign = l.src[end-1]
	}
	l.close(end, 2, sign, true)
	return nil
}

// word returns the offset behind word and the spaces around it at pos, or -1.
func (l *lexer) word(pos int, word string) int {
	rest := strings.TrimLeftFunc(l.src[pos:], isSpace)
	if !strings.HasPrefix(rest, word) {
		return -1
	}
	return len(l.src) - len(strings.TrimLeftFunc(rest[len(word):], isSpace))
}

// rawBegin returns the offset of the end, "-%}" or "%}", of a raw tag whose inside starts at pos, or -1.
func (l *lexer) rawBegin(pos int) int {
	if pos = l.word(pos, "raw"); pos >= 0 {
		if rest := l.src[pos:]; strings.HasPrefix(rest, "%}") || strings.HasPrefix(rest, "-%}") {
			return pos
		}
	}
	return -1
}

// raw emits the text between a raw tag, which ends at pos, and its endraw.
func (l *lexer) raw(pos int) error {
	line := l.line
	if l.src[pos] == '-' {
		l.close(pos, 3, '-', true)
	} else {
		l.close(pos, 2, '+', true) // jinja2 drops no newline here
	}
	for from := l.pos; ; {
		i := strings.Index(l.src[from:], "{%")
		if i < 0 {
			return syntaxError(line, "raw without endraw")
		}
		open := from + i
		inside := open + 2
		var sign, endSign byte
		if inside < len(l.src) && (l.src[inside] == '-' || l.src[inside] == '+') {
			sign = l.src[inside]
			inside++
		}
		end := l.word(inside, "endraw")
		if end >= 0 && end < len(l.src) && (l.src[end] == '-' || l.src[end] == '+') {
			endSign = l.src[end]
			end++
		}
		if end >= 0 && strings.HasPrefix(l.src[end:], "%}") {
			l.text(l.src[l.pos:open], sign, true)
			l.close(end, 2, endSign, true)
			return nil
		}
		from = inside
	}
}

// tag reads the tokens of a tag up to its end.
func (l *lexer) tag(end tokenKind) error {
	begun := l.line
	mark := "%}"
	if end == tokOutputEnd {
		mark = "}}"
	}
	var open []byte // the closing brackets that are due
	for {
		l.advance(len(l.src) - len(strings.TrimLeftFunc(l.src[l.pos:], isSpace)))
		rest := l.src[l.pos:]
		if rest == "" {
			return syntaxError(begun, "tag without end")
		}
		if len(open) == 0 {
			var sign byte
			if rest[0] == '-' || rest[0] == '+' && end == tokBlockEnd {
				sign = rest[0]
				rest = rest[1:]
			}
			if strings.HasPrefix(rest, mark) {
				l.emit(end, mark)
				l.close(len(l.src)-len(rest), 2, sign, end == tokBlockEnd)
				return nil
			}
		}
		tok, size, err := l.token()
		if err != nil {
			return err
		}
		if tok.kind == tokOp {
			switch tok.text {
			case "(":
				open = append(open, ')')
			case "[":
				open = append(open, ']')
			case "{":
				open = append(open, '}')
			case ")", "]", "}":
				if len(open) == 0 || open[len(open)-1] != tok.text[0] {
					return syntaxError(l.line, "unexpected '%s'", tok.text)
				}
				open = open[:len(open)-1]
			}
		}
		l.tokens = append(l.tokens, tok)
		l.advance(l.pos + size)
	}
}

var operators = []string{
	"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",",
}

// token reads the token at l.pos and returns its size in the source.
func (l *lexer) token() (token, int, error) {
	rest := l.src[l.pos:]
	switch c := rest[0]; {
	case c == '"' || c == '\'':
		return l.str(rest, c)
	case isDigit(c):
		return l.number(rest)
	case isNameByte(c):
		n := 1
		for n < len(rest) && isNameByte(rest[n]) {
			n++
		}
		return token{tokName, rest[:n], l.line}, n, nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			return token{tokOp, op, l.line}, len(op), nil
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	if unicode.IsLetter(r) {
		return token{}, 0, unsupported(l.line, "the name starting with %q: only ASCII letters are supported", r)
	}
	return token{}, 0, syntaxError(l.line, "unexpected character %q", r)
}

// number reads an integer or a float. After a dot, as in "messages.0.1", only an integer can stand.
func (l *lexer) number(rest string) (token, int, error) {
	digits := func(i int) int {
		for i < len(rest) && (isDigit(rest[i]) || rest[i] == '_' && i+1 < len(rest) && isDigit(rest[i+1])) {
			i++
		}
		return i
	}
	n, kind := digits(0), tokInt
	if l.src[l.pos-1] != '.' {
		if n+1 < len(rest) && rest[n] == '.' && isDigit(rest[n+1]) {
			n, kind = digits(n+1), tokFloat
		}
		if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
			exponent := n + 1
			if exponent < len(rest) && (rest[exponent] == '-' || rest[exponent] == '+') {
				exponent++
			}
			if exponent < len(rest) && isDigit(rest[exponent]) {
				n, kind = digits(exponent), tokFloat
			}
		}
	}
	if n < len(rest) && isNameByte(rest[n]) {
		return token{}, 0, unsupported(l.line, "the number starting with '%s'", rest[:n+1])
	}
	return token{kind, strings.ReplaceAll(rest[:n], "_", ""), l.line}, n, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameByte(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c)
}

// isSpace is Python's str.isspace.
func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }
