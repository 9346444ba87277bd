package chat

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/ardanlabs/jinja"

	"github.com/realm-ai/realm/internal/errs"
)

// filters are those of jinja2 that chat templates use. The ones that jinja2 makes generators of give lists.
var filters = map[string]function{
	"tojson":    {params: []string{"ensure_ascii", "indent", "separators", "sort_keys"}, do: toJSON},
	"from_json": {do: fromJSON}, // not in jinja2, but in templates

	"string": {do: (*run).text},
	"safe":   {do: (*run).text}, // without autoescape, as here, the two are the same
	"trim": {params: []string{"chars"}, do: func(r *run, a []jinja.Value) (jinja.Value, error) {
		return r.onText(a, func(s string) string { return stripped(s, a[1], true, true) })
	}},
	"upper":      {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.onText(a, strings.ToUpper) }},
	"lower":      {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.onText(a, strings.ToLower) }},
	"capitalize": {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.onText(a, capitalized) }},
	"title":      {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.onText(a, titled) }},
	"escape":     {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.onText(a, escaped) }},
	"e":          {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.onText(a, escaped) }},
	"replace":    {params: []string{"old", "new", "count"}, required: 2, do: replaceText},
	"indent":     {params: []string{"width", "first", "blank"}, do: indent},

	"int":   {params: []string{"default", "base"}, do: toInt},
	"float": {params: []string{"default"}, do: toFloat},
	"abs": {do: func(_ *run, a []jinja.Value) (jinja.Value, error) {
		if x, ok := number(a[0]); ok && x >= 0 {
			return a[0], nil
		}
		return opSign(&call{site: &site{name: "-"}, args: a})
	}},
	"round": {params: []string{"precision", "method"}, do: round},

	"default": {params: []string{"default_value", "boolean"}, do: defaultTo},
	"d":       {params: []string{"default_value", "boolean"}, do: defaultTo},
	"length":  {do: length},
	"count":   {do: length},
	"first":   {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.end(a[0], false) }},
	"last":    {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.end(a[0], true) }},
	"list":    {do: list},
	"reverse": {do: reverse},
	"join":    {params: []string{"d", "attribute"}, do: join},
	"sum":     {params: []string{"attribute", "start"}, do: sum},
	"sort":    {params: []string{"reverse", "case_sensitive", "attribute"}, do: sortItems},
	"unique":  {params: []string{"case_sensitive", "attribute"}, do: unique},
	"min":     {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.extreme(a[0], "<") }},
	"max":     {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.extreme(a[0], ">") }},
	"items":   {do: func(r *run, a []jinja.Value) (jinja.Value, error) { return r.pairs(a[0]) }},
	"dictsort": {
		params: []string{"case_sensitive", "by", "reverse"},
		do:     dictSort,
	},

	// These take the name of a filter or test and its arguments; opFilter calls them unbound.
	"map":        {required: variadic},
	"select":     {required: variadic},
	"reject":     {required: variadic},
	"selectattr": {required: variadic},
	"rejectattr": {required: variadic},
}

// text is str(v) as a value.
func (r *run) text(a []jinja.Value) (jinja.Value, error) {
	text, err := r.str(a[0])
	return jinja.NewString(text), err
}

// onText applies a function to str(v). What such a function makes is at most a few times as long.
func (r *run) onText(a []jinja.Value, f func(string) string) (jinja.Value, error) {
	text, err := r.str(a[0])
	if err == nil {
		err = r.charge(2 * len(text))
	}
	if err != nil {
		return a[0], err
	}
	return r.newString(f(text))
}

func toJSON(r *run, a []jinja.Value) (jinja.Value, error) {
	w := &jsonWriter{writer: writer{run: r}, item: ", ", key: ": ", ascii: a[1].IsTruthy(), sorted: a[4].IsTruthy()}
	switch indent := a[2]; {
	case indent.IsUndefined() || indent.IsNone():
	case indent.IsString():
		w.newlines, w.indent, w.item = true, indent.AsString(), ","
	default:
		n, ok := integer(indent)
		if !ok || n > 64 {
			return indent, typeFault("tojson with such an indent")
		}
		w.newlines, w.indent, w.item = true, strings.Repeat(" ", int(max(n, 0))), ","
	}
	if separators := a[3]; separators.IsList() {
		s := separators.AsList().Items
		if len(s) != 2 || !s[0].IsString() || !s[1].IsString() {
			return separators, typeFault("tojson with separators that are not two strings")
		}
		w.item, w.key = s[0].AsString(), s[1].AsString()
	}
	err := w.value(a[0], 0)
	return jinja.NewString(w.String()), err
}

func fromJSON(r *run, a []jinja.Value) (jinja.Value, error) {
	if !a[0].IsString() {
		return a[0], typeFault("from_json of %s", kindName(a[0]))
	}
	// An element, such as "0,", takes two bytes of JSON and a value of the library.
	if err := r.charge(valueCost * len(a[0].AsString())); err != nil {
		return a[0], err
	}
	v, err := new(input).json(a[0].AsString())
	if err != nil {
		return v, &fault{errs.CodeOf(err), "from_json: " + err.Error()}
	}
	return v, nil
}

func sortedKeys(d *jinja.Dict) []string {
	keys := slices.Clone(d.Keys)
	slices.Sort(keys)
	return keys
}

// stripped removes the given characters, or white space, from the ends of s.
func stripped(s string, chars jinja.Value, left, right bool) string {
	cut := isSpace
	if chars.IsString() {
		cut = func(c rune) bool { return strings.ContainsRune(chars.AsString(), c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s
}

func capitalized(s string) string {
	for i := range s {
		if i > 0 {
			return strings.ToUpper(s[:i]) + strings.ToLower(s[i:])
		}
	}
	return strings.ToUpper(s)
}

// titled begins each word with a capital. Words end at white space and at the characters that jinja2 names.
func titled(s string) string {
	start := true
	return strings.Map(func(c rune) rune {
		begins := start
		start = isSpace(c) || strings.ContainsRune("-({[<", c)
		if begins {
			return unicode.ToUpper(c)
		}
		return unicode.ToLower(c)
	}, s)
}

func escaped(s string) string {
	// strings.Replacer would do it in one pass, with a trie that takes 13 KB of a small guest.
	for _, pair := range [...][2]string{{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {`"`, "&#34;"}} {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}

// replaceText is the filter and the method replace.
func replaceText(r *run, a []jinja.Value) (jinja.Value, error) {
	var texts [3]string
	for i := range texts {
		var err error
		if texts[i], err = r.str(a[i]); err != nil {
			return a[i], err
		}
	}
	text, from, to := texts[0], texts[1], texts[2]
	n := strings.Count(text, from)
	if limit, ok := integer(a[3]); ok && limit >= 0 {
		n = int(min(limit, int64(n)))
	}
	if err := r.charge(2 * len(text)); err != nil {
		return a[0], err
	}
	if int64(n) > r.work/int64(len(to)+1) {
		return a[0], limit("a replacement of %d places", n)
	}
	return r.newString(strings.Replace(text, from, to, n))
}

// indent puts spaces, or a given text, before each line but the first and empty ones.
func indent(r *run, a []jinja.Value) (jinja.Value, error) {
	text, err := r.str(a[0])
	if err != nil {
		return a[0], err
	}
	width := "    "
	switch {
	case a[1].IsString():
		width = a[1].AsString()
	case !a[1].IsUndefined():
		n, ok := integer(a[1])
		if !ok || n > 1024 {
			return a[1], typeFault("indent by %s", kindName(a[1]))
		}
		width = strings.Repeat(" ", int(max(n, 0)))
	}
	w := &writer{run: r}
	for i := 0; ; i++ {
		line, rest, more := strings.Cut(text, "\n")
		if i == 0 && a[2].IsTruthy() || i > 0 && (line != "" || a[3].IsTruthy()) {
			w.WriteString(width)
			err = r.charge(len(width))
		}
		if err == nil {
			err = w.add(line)
		}
		if err != nil || !more {
			return jinja.NewString(w.String()), err
		}
		w.WriteByte('\n')
		text = rest
	}
}

func toInt(_ *run, a []jinja.Value) (jinja.Value, error) {
	if !a[2].IsUndefined() {
		return a[2], notBuilt("int with a base")
	}
	v := a[0]
	if n, ok := integer(v); ok {
		return jinja.NewInt(n), nil
	}
	if v.IsString() {
		text := strings.TrimFunc(v.AsString(), isSpace)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return jinja.NewInt(n), nil
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			v = jinja.NewFloat(f)
		}
	}
	if v.IsFloat() && math.Abs(v.AsFloat()) < 1<<62 {
		return jinja.NewInt(int64(v.AsFloat())), nil
	}
	if v.IsUndefined() {
		return v, typeFault("int of an undefined value")
	}
	if a[1].IsUndefined() {
		return jinja.NewInt(0), nil
	}
	return a[1], nil
}

func toFloat(_ *run, a []jinja.Value) (jinja.Value, error) {
	if f, ok := number(a[0]); ok {
		return jinja.NewFloat(f), nil
	}
	if a[0].IsString() {
		if f, err := strconv.ParseFloat(strings.TrimFunc(a[0].AsString(), isSpace), 64); err == nil {
			return jinja.NewFloat(f), nil
		}
	}
	if a[0].IsUndefined() {
		return a[0], typeFault("float of an undefined value")
	}
	if a[1].IsUndefined() {
		return jinja.NewFloat(0), nil
	}
	return a[1], nil
}

// round rounds half to even at a decimal place, as Python does.
func round(_ *run, a []jinja.Value) (jinja.Value, error) {
	f, ok := number(a[0])
	precision, _ := integer(a[1])
	if !ok || !a[2].IsUndefined() || precision < 0 || precision > 15 {
		return a[0], notBuilt("this way of rounding")
	}
	if !a[0].IsFloat() && a[1].IsUndefined() {
		return a[0], nil
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(precision), 64), 64)
	if err != nil {
		return a[0], typeFault("rounding %v", f)
	}
	return jinja.NewFloat(rounded), nil
}

func defaultTo(_ *run, a []jinja.Value) (jinja.Value, error) {
	if !a[0].IsUndefined() && (!a[2].IsTruthy() || a[0].IsTruthy()) {
		return a[0], nil
	}
	if a[1].IsUndefined() {
		return jinja.NewString(""), nil
	}
	return a[1], nil
}
