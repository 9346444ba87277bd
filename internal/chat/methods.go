package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ardanlabs/jinja"
)

// opMethod calls a method of a value: one of Python's, or a callable that stands in a dict, such as loop.cycle.
func opMethod(c *call) (jinja.Value, error) {
	v := c.args[0]
	var methods map[string]function
	switch {
	case v.IsString():
		methods = stringMethods
	case v.IsList():
		methods = listMethods
	case v.IsDict():
		if !c.isNamespace(v) {
			methods = dictMethods
		}
		if item, ok := v.AsDict().Get(c.name); ok && item.IsCallable() {
			return c.invoke(item, c.args[1:])
		}
	case v.IsUndefined():
		return v, typeFault(".%s() of an undefined value", c.name)
	}
	if c.name == "format" && v.IsString() {
		return c.format(v.AsString())
	}
	m, ok := methods[c.name]
	if !ok {
		return v, notBuilt("the method .%s() of %s", c.name, kindName(v))
	}
	return c.apply(&m, c.args)
}

// on makes a method of a function of the string alone.
func on(f func(string) string) function {
	return function{do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.onText(a, f) }}
}

// strip makes a method that removes white space or the given characters.
func strip(left, right bool) function {
	return function{params: []string{"chars"}, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		return r.onText(a, func(s string) string { return stripped(s, a[1], left, right) })
	}}
}

// affix makes the methods startswith and endswith, which take a string or several.
func affix(has func(s, part string) bool) function {
	return function{params: []string{"part"}, required: 1, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		parts := []jinja.Value{a[1]}
		if a[1].IsList() {
			parts = a[1].AsList().Items
		}
		for _, part := range parts {
			if !part.IsString() {
				return part, typeFault("an end of a string that is %s", kindName(part))
			}
			if err := r.charge(opCost); err != nil {
				return part, err
			}
			if has(a[0].AsString(), part.AsString()) {
				return jinja.NewBool(true), nil
			}
		}
		return jinja.NewBool(false), nil
	}}
}

// search makes a method of a function of two strings that gives a number.
func search(f func(s, part string) (int, error)) function {
	return function{params: []string{"part"}, required: 1, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		if !a[1].IsString() {
			return a[1], typeFault("searching a string for %s", kindName(a[1]))
		}
		n, err := f(a[0].AsString(), a[1].AsString())
		if err == nil {
			err = r.charge(len(a[0].AsString()))
		}
		return jinja.NewInt(int64(n)), err
	}}
}

// find returns how many characters stand before part, or -1.
func find(s, part string) (int, error) {
	i := strings.Index(s, part)
	if i < 0 {
		return -1, nil
	}
	return utf8.RuneCountInString(s[:i]), nil
}

// class makes a method that tests whether all of a string's characters, of which it has some, are of a kind.
func class(is func(rune) bool) function {
	return function{do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		s := a[0].AsString()
		other := func(c rune) bool { return !is(c) }
		return jinja.NewBool(s != "" && strings.IndexFunc(s, other) < 0), r.charge(len(s))
	}}
}

// splitter makes the methods split and rsplit.
func splitter(fromRight bool) function {
	return function{params: []string{"sep", "maxsplit"}, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		return r.split(a, fromRight)
	}}
}

// pythonTitle is str.title: a letter behind anything but a letter is made upper case, every other lower case.
func pythonTitle(s string) string {
	inWord := false
	return strings.Map(func(c rune) rune {
		was := inWord
		inWord = unicode.IsLetter(c)
		if was {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

var stringMethods = map[string]function{
	"strip": strip(true, true), "lstrip": strip(true, false), "rstrip": strip(false, true),
	"upper": on(strings.ToUpper), "lower": on(strings.ToLower), "capitalize": on(capitalized), "title": on(pythonTitle),
	"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
	"removeprefix": {params: []string{"prefix"}, required: 1, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		part, err := r.str(a[1])
		return jinja.NewString(strings.TrimPrefix(a[0].AsString(), part)), err
	}},
	"removesuffix": {params: []string{"suffix"}, required: 1, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		part, err := r.str(a[1])
		return jinja.NewString(strings.TrimSuffix(a[0].AsString(), part)), err
	}},
	"replace":    {params: []string{"old", "new", "count"}, required: 2, do: replaceText},
	"split":      splitter(false),
	"rsplit":     splitter(true),
	"splitlines": {do: splitLines},
	"join": {params: []string{"items"}, required: 1, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		return join(r, []jinja.Value{a[1], a[0], jinja.None()})
	}},
	"find": search(find),
	"index": search(func(s, part string) (int, error) {
		n, err := find(s, part)
		if n < 0 {
			err = typeFault("the text to find is not in the string")
		}
		return n, err
	}),
	"count":   search(func(s, part string) (int, error) { return strings.Count(s, part), nil }),
	"isdigit": class(unicode.IsDigit),
	"isalpha": class(unicode.IsLetter),
	"isalnum": class(func(c rune) bool { return unicode.IsDigit(c) || unicode.IsLetter(c) }),
	"isspace": class(isSpace),
}

var listMethods = map[string]function{
	// jinja2's sandbox, which transformers uses, forbids these two; llama.cpp has them and templates use them.
	"append": {params: []string{"item"}, required: 1, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		a[0].AsList().Append(a[1])
		return jinja.None(), r.charge(valueCost)
	}},
	"pop": {params: []string{"index"}, do: pop},
}

var dictMethods = map[string]function{
	"get": {params: []string{"key", "default"}, required: 1, do: func(_ *run, a []jinja.Value) (jinja.Value, error) {
		if key, ok := dictKey(a[1]); ok {
			if item, ok := a[0].AsDict().Get(key); ok {
				return item, nil
			}
		}
		if a[2].IsUndefined() {
			return jinja.None(), nil
		}
		return a[2], nil
	}},
	"items": {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.pairs(a[0]) }},
	"keys":  {do: list},
	"values": {do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		var items []jinja.Value
		for _, key := range a[0].AsDict().Keys {
			items = append(items, a[0].AsDict().Data[key])
		}
		return r.newList(items)
	}},
}

// pop takes an item out of a list, the last one where no index is given.
func pop(r *run, a []jinja.Value) (jinja.Value, error) {
	l := a[0].AsList()
	at := jinja.NewInt(-1)
	if !a[1].IsUndefined() {
		at = a[1]
	}
	i, ok := index(at, l.Len())
	if !ok {
		return at, typeFault("pop of an item that a list of %d does not have", l.Len())
	}
	item := l.Get(i)
	if err := r.charge(valueCost * l.Len()); err != nil {
		return item, err
	}
	l.Items = slices.Concat(l.Items[:i], l.Items[i+1:]) // a loop may be going over the old items
	return item, nil
}

// split cuts a string at a separator or at white space, from the left or from the right.
func (r *run) split(a []jinja.Value, fromRight bool) (jinja.Value, error) {
	s, most := a[0].AsString(), -1
	if n, ok := integer(a[2]); ok && n >= 0 {
		most = int(min(n, int64(len(s))))
	}
	if err := r.charge(2 * len(s)); err != nil {
		return a[0], err
	}
	var parts []string
	switch {
	case a[1].IsUndefined() || a[1].IsNone():
		parts = fields(s, most, fromRight)
	case !a[1].IsString() || a[1].AsString() == "":
		return a[1], typeFault("splitting by %s", kindName(a[1]))
	case !fromRight || most < 0:
		n := most
		if n >= 0 {
			n++
		}
		parts = strings.SplitN(s, a[1].AsString(), n)
	default:
		for separator := a[1].AsString(); len(parts) < most; {
			i := strings.LastIndex(s, separator)
			if i < 0 {
				break
			}
			parts = append(parts, s[i+len(separator):])
			s = s[:i]
		}
		parts = append(parts, s)
		slices.Reverse(parts)
	}
	return r.strings(parts)
}

func (r *run) strings(parts []string) (jinja.Value, error) {
	items := make([]jinja.Value, len(parts))
	for i, part := range parts {
		items[i] = jinja.NewString(part)
	}
	return r.newList(items)
}

// fields cuts s at runs of white space, at most so many times where most is not negative.
func fields(s string, most int, fromRight bool) []string {
	if most < 0 {
		return strings.FieldsFunc(s, isSpace)
	}
	var parts []string
	for {
		if fromRight {
			s = strings.TrimRightFunc(s, isSpace)
		} else {
			s = strings.TrimLeftFunc(s, isSpace)
		}
		if s == "" || len(parts) == most {
			break
		}
		if fromRight {
			i := strings.LastIndexFunc(s, isSpace)
			_, size := utf8.DecodeRuneInString(s[max(i, 0):])
			if i < 0 {
				size, i = 0, 0
			}
			parts, s = append(parts, s[i+size:]), s[:i]
		} else {
			i := strings.IndexFunc(s, isSpace)
			if i < 0 {
				i = len(s)
			}
			parts, s = append(parts, s[:i]), s[i:]
		}
	}
	if s != "" {
		parts = append(parts, s)
	}
	if fromRight {
		slices.Reverse(parts)
	}
	return parts
}

func splitLines(r *run, a []jinja.Value) (jinja.Value, error) {
	s := strings.ReplaceAll(strings.ReplaceAll(a[0].AsString(), "\r\n", "\n"), "\r", "\n")
	if err := r.charge(2 * len(s)); err != nil || s == "" {
		return jinja.NewList(nil), err
	}
	return r.strings(strings.Split(strings.TrimSuffix(s, "\n"), "\n"))
}

// format is Python's str.format with {}, {0}, {name}, {{ and }}.
func (c *call) format(text string) (jinja.Value, error) {
	args := c.args[1:]
	positional := len(args) - len(c.site.keys)
	w, auto := &writer{run: c.run}, 0
	for {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			break
		}
		if err := w.add(text[:i]); err != nil {
			return c.args[0], err
		}
		if i+1 < len(text) && text[i+1] == text[i] {
			w.WriteByte(text[i])
			text = text[i+2:]
			continue
		}
		end := strings.IndexByte(text[i:], '}')
		if text[i] == '}' || end < 0 {
			return c.args[0], typeFault("a single brace in a format")
		}
		field := text[i+1 : i+end]
		text = text[i+end+1:]
		n := auto
		switch {
		case field == "":
			auto++
		case strings.Trim(field, "0123456789") == "" && len(field) < 4:
			n = 0
			for _, digit := range field {
				n = 10*n + int(digit-'0')
			}
		default:
			if n = indexOf(c.site.keys, field); n < 0 {
				return c.args[0], notBuilt("the format field {%s}", field)
			}
			n += positional
		}
		if n >= len(args) || indexOf(c.site.keys, field) < 0 && n >= positional {
			return c.args[0], typeFault("a format with more fields than arguments")
		}
		value, err := c.str(args[n])
		if err == nil {
			err = w.add(value)
		}
		if err != nil {
			return c.args[0], err
		}
	}
	err := w.add(text)
	return jinja.NewString(w.String()), err
}
