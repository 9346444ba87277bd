package chat

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ardanlabs/jinja"
)

// kindName is a value's type for messages.
func kindName(v jinja.Value) string {
	switch {
	case v.IsUndefined():
		return "an undefined value"
	case v.IsNone():
		return "none"
	case v.IsBool():
		return "a boolean"
	case v.IsInt():
		return "an integer"
	case v.IsFloat():
		return "a float"
	case v.IsString():
		return "a string"
	case v.IsList():
		return "a list"
	case v.IsDict():
		return "a dict"
	}
	return "a function"
}

// str is Python's str(v), where undefined is empty.
func (r *run) str(v jinja.Value) (string, error) {
	switch {
	case v.IsString():
		return v.AsString(), nil
	case v.IsUndefined():
		return "", nil
	}
	w := &writer{run: r}
	err := w.repr(v, 0)
	return w.String(), err
}

// writer builds a text and charges for it.
type writer struct {
	*run
	strings.Builder
}

func (w *writer) add(s string) error {
	w.WriteString(s)
	return w.charge(len(s) + 1)
}

// repr writes Python's repr(v).
func (w *writer) repr(v jinja.Value, depth int) error {
	if depth > MaxNesting {
		return limit("a value nested more than %d deep", MaxNesting)
	}
	switch {
	case v.IsNone():
		return w.add("None")
	case v.IsUndefined():
		return w.add("Undefined")
	case v.IsBool():
		if v.AsBool() {
			return w.add("True")
		}
		return w.add("False")
	case v.IsInt():
		return w.add(strconv.FormatInt(v.AsInt(), 10))
	case v.IsFloat():
		return w.add(floatText(v.AsFloat()))
	case v.IsString():
		return w.add(quoted(v.AsString()))
	case v.IsList():
		return w.sequence("[", "]", v.AsList().Len(), func(i int) error {
			return w.repr(v.AsList().Get(i), depth+1)
		})
	case v.IsDict():
		d := v.AsDict()
		opening, closing := "{", "}"
		if w.isNamespace(v) {
			opening, closing = "<Namespace {", "}>"
		}
		return w.sequence(opening, closing, d.Len(), func(i int) error {
			if err := w.repr(keyValue(d.Keys[i]), depth+1); err != nil {
				return err
			}
			w.WriteString(": ")
			return w.repr(d.Data[d.Keys[i]], depth+1)
		})
	}
	return notBuilt("printing a function")
}

// sequence writes n elements with commas between them.
func (w *writer) sequence(opening, closing string, n int, element func(int) error) error {
	err := w.add(opening)
	for i := 0; i < n && err == nil; i++ {
		if i > 0 {
			w.WriteString(", ")
		}
		err = element(i)
	}
	if err != nil {
		return err
	}
	return w.add(closing)
}

// floatText is Python's repr of a float: the shortest digits that give it back, with an exponent from 1e16 and below
// 1e-4.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == 0 || 1e-4 <= math.Abs(f) && math.Abs(f) < 1e16:
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}

// quoted is Python's repr of a string.
func quoted(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for _, c := range s {
		switch {
		case c == rune(quote) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

// jsonWriter writes JSON as Python's json.dumps does.
type jsonWriter struct {
	writer
	indent    string // one level of it; where newlines is false, all stands in one line
	newlines  bool
	item, key string // separators
	ascii     bool   // escape all that is not ASCII
	sorted    bool   // by key
}

func (w *jsonWriter) value(v jinja.Value, depth int) error {
	if depth > MaxNesting {
		return limit("JSON nested more than %d deep", MaxNesting)
	}
	switch {
	case v.IsNone():
		return w.add("null")
	case v.IsBool():
		return w.add(strconv.FormatBool(v.AsBool()))
	case v.IsInt():
		return w.add(strconv.FormatInt(v.AsInt(), 10))
	case v.IsFloat():
		f := v.AsFloat()
		switch {
		case math.IsNaN(f):
			return w.add("NaN")
		case math.IsInf(f, 0):
			return w.add(strings.ReplaceAll(floatText(f), "inf", "Infinity"))
		}
		return w.add(floatText(f))
	case v.IsString():
		return w.add(w.quote(v.AsString()))
	case v.IsList():
		return w.elements("[", "]", v.AsList().Len(), depth, func(i int) error {
			return w.value(v.AsList().Get(i), depth+1)
		})
	case v.IsDict() && !w.isNamespace(v):
		d := v.AsDict()
		keys := d.Keys
		if w.sorted {
			keys = sortedKeys(d)
		}
		return w.elements("{", "}", len(keys), depth, func(i int) error {
			key, err := w.str(keyValue(keys[i])) // JSON has no other keys than strings
			if err == nil {
				err = w.add(w.quote(key) + w.key)
			}
			if err != nil {
				return err
			}
			return w.value(d.Data[keys[i]], depth+1)
		})
	}
	return typeFault("%s is not JSON serializable", kindName(v))
}

func (w *jsonWriter) elements(opening, closing string, n, depth int, element func(int) error) error {
	if n == 0 {
		return w.add(opening + closing)
	}
	err := w.add(opening)
	for i := 0; i < n && err == nil; i++ {
		if i > 0 {
			w.WriteString(w.item)
		}
		if err = w.newline(depth + 1); err == nil {
			err = element(i)
		}
	}
	if err == nil {
		err = w.newline(depth)
	}
	if err != nil {
		return err
	}
	return w.add(closing)
}

func (w *jsonWriter) newline(depth int) error {
	if !w.newlines {
		return nil
	}
	if err := w.charge(len(w.indent) * depth); err != nil {
		return err
	}
	return w.add("\n" + strings.Repeat(w.indent, depth))
}

var jsonEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
}

func (w *jsonWriter) quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	from := 0
	for i, c := range s {
		escape, special := jsonEscapes[c]
		switch {
		case special:
		case c < 0x20 || w.ascii && 0x7f <= c && c < 0x10000:
			escape = fmt.Sprintf(`\u%04x`, c)
		case w.ascii && c >= 0x10000:
			escape = fmt.Sprintf(`\u%04x\u%04x`, 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		default:
			continue
		}
		b.WriteString(s[from:i])
		b.WriteString(escape)
		_, size := utf8.DecodeRuneInString(s[i:])
		from = i + size
	}
	b.WriteString(s[from:])
	b.WriteByte('"')
	return b.String()
}
