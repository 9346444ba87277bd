package chat

import (
	"strings"
	"unicode"

	"github.com/ardanlabs/jinja"
)

// test is what stands behind "is", with the number of its parameters.
type test struct {
	params int
	do     func(r *run, a []jinja.Value) (bool, error)
}

// kind makes a test of a property of a value alone.
func kind(is func(jinja.Value) bool) test {
	return test{0, func(_ *run, a []jinja.Value) (bool, error) { return is(a[0]), nil }}
}

// comparison makes a test of an operator.
func comparison(operator string) test {
	return test{1, func(r *run, a []jinja.Value) (bool, error) { return r.compare(operator, a[0], a[1]) }}
}

// remainder tests whether a value leaves the remainder when divided by two.
func remainder(rest int64) test {
	return test{0, func(_ *run, a []jinja.Value) (bool, error) {
		n, ok := integer(a[0])
		if !ok {
			return false, typeFault("%s is neither odd nor even", kindName(a[0]))
		}
		return n&1 == rest, nil
	}}
}

// letters tests the case of a string that has letters.
func letters(is func(rune) bool) test {
	return test{0, func(r *run, a []jinja.Value) (bool, error) {
		text, err := r.str(a[0])
		if err == nil {
			err = r.charge(len(text))
		}
		cased := func(c rune) bool { return unicode.IsUpper(c) || unicode.IsLower(c) }
		other := func(c rune) bool { return cased(c) && !is(c) }
		return strings.IndexFunc(text, cased) >= 0 && strings.IndexFunc(text, other) < 0, err
	}}
}

// tests are jinja2's, with the kinds that its values have: a boolean is a number but no integer, and a dict is a
// sequence because it has a length and takes subscripts.
var tests = map[string]test{
	"defined":   kind(func(v jinja.Value) bool { return !v.IsUndefined() }),
	"undefined": kind(jinja.Value.IsUndefined),
	"none":      kind(jinja.Value.IsNone),
	"boolean":   kind(jinja.Value.IsBool),
	"true":      kind(func(v jinja.Value) bool { return v.IsBool() && v.AsBool() }),
	"false":     kind(func(v jinja.Value) bool { return v.IsBool() && !v.AsBool() }),
	"integer":   kind(jinja.Value.IsInt),
	"float":     kind(jinja.Value.IsFloat),
	"number":    kind(func(v jinja.Value) bool { return v.IsNumber() || v.IsBool() }),
	"string":    kind(jinja.Value.IsString),
	"mapping":   kind(jinja.Value.IsDict),
	"callable":  kind(jinja.Value.IsCallable),
	"iterable":  kind(isSequence),
	"sequence":  kind(isSequence),
	"odd":       remainder(1),
	"even":      remainder(0),
	"upper":     letters(unicode.IsUpper),
	"lower":     letters(unicode.IsLower),
	"in":        {1, func(r *run, a []jinja.Value) (bool, error) { return r.contains(a[1], a[0]) }},
	"sameas":    {1, func(_ *run, a []jinja.Value) (bool, error) { return same(a[0], a[1]), nil }},
	"divisibleby": {1, func(r *run, a []jinja.Value) (bool, error) {
		rest, err := r.binary("%", a[0], a[1])
		return err == nil && !rest.IsTruthy(), err
	}},
	"eq": comparison("=="), "equalto": comparison("=="),
	"ne": comparison("!="),
	"lt": comparison("<"), "lessthan": comparison("<"), "le": comparison("<="),
	"gt": comparison(">"), "greaterthan": comparison(">"), "ge": comparison(">="),
}

func isSequence(v jinja.Value) bool {
	return v.IsString() || v.IsList() || v.IsDict() || v.IsUndefined()
}

// same is Python's "is" for the values where it is of use.
func same(a, b jinja.Value) bool {
	switch {
	case a.IsBool():
		return b.IsBool() && a.AsBool() == b.AsBool()
	case a.IsList():
		return b.IsList() && a.AsList() == b.AsList()
	case a.IsDict():
		return b.IsDict() && a.AsDict() == b.AsDict()
	case a.IsNone():
		return b.IsNone()
	}
	return !a.IsUndefined() && !a.IsCallable() && a.Equals(b)
}
