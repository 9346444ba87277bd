package chat

import (
	"math"
	"strings"

	"github.com/ardanlabs/jinja"
)

// integer returns the value of an integer or a boolean.
func integer(v jinja.Value) (int64, bool) {
	switch {
	case v.IsInt():
		return v.AsInt(), true
	case v.IsBool():
		if v.AsBool() {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// number returns the value of an integer, a boolean or a float.
func number(v jinja.Value) (float64, bool) {
	if v.IsFloat() {
		return v.AsFloat(), true
	}
	i, ok := integer(v)
	return float64(i), ok
}

// opArithmetic applies the operators in the site's name from left to right.
func opArithmetic(c *call) (jinja.Value, error) {
	v, rest := c.args[0], c.name
	for _, right := range c.args[1:] {
		var operator string
		operator, rest, _ = strings.Cut(rest, " ")
		var err error
		if v, err = c.binary(operator, v, right); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (r *run) binary(operator string, a, b jinja.Value) (jinja.Value, error) {
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return integers(operator, x, y)
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return floats(operator, x, y)
		}
	}
	switch operator {
	case "+":
		if a.IsString() && b.IsString() {
			if err := r.charge(len(a.AsString()) + len(b.AsString())); err != nil {
				return a, err
			}
			return jinja.NewString(a.AsString() + b.AsString()), nil
		}
		if a.IsList() && b.IsList() {
			x, y := a.AsList().Items, b.AsList().Items
			if err := r.charge(valueCost * (len(x) + len(y))); err != nil {
				return a, err
			}
			return jinja.NewList(append(append(make([]jinja.Value, 0, len(x)+len(y)), x...), y...)), nil
		}
	case "*":
		if n, ok := integer(a); ok {
			return r.repeat(b, n)
		}
		if n, ok := integer(b); ok {
			return r.repeat(a, n)
		}
	case "%":
		if a.IsString() {
			return a, notBuilt("formatting with %%")
		}
	}
	return a, typeFault("%s %s %s", kindName(a), operator, kindName(b))
}

// repeat is a string or list times n.
func (r *run) repeat(v jinja.Value, n int64) (jinja.Value, error) {
	n = max(n, 0)
	size := 1
	switch {
	case v.IsString():
		size = len(v.AsString())
	case v.IsList():
		size = valueCost * v.AsList().Len()
	default:
		return v, typeFault("%s cannot be repeated", kindName(v))
	}
	if size == 0 {
		n = 0
	}
	if n > r.work/int64(max(size, 1)) {
		return v, limit("a repetition of %d times", n)
	}
	if err := r.charge(size * int(n)); err != nil {
		return v, err
	}
	if v.IsString() {
		return jinja.NewString(strings.Repeat(v.AsString(), int(n))), nil
	}
	var items []jinja.Value
	for range n {
		items = append(items, v.AsList().Items...)
	}
	return jinja.NewList(items), nil
}

func integers(operator string, x, y int64) (jinja.Value, error) {
	var z int64
	fits := true
	switch operator {
	case "+":
		z = x + y
		fits = (z > x) == (y > 0)
	case "-":
		z = x - y
		fits = (z < x) == (y > 0)
	case "*":
		z = x * y
		fits = x == 0 || z/x == y && (x != -1 || y != math.MinInt64)
	case "**":
		return power(x, y)
	case "/":
		return floats(operator, float64(x), float64(y))
	case "//", "%":
		if y == 0 {
			return jinja.None(), typeFault("division by zero")
		}
		quotient, remainder := x/y, x%y
		if remainder != 0 && (remainder < 0) != (y < 0) { // Python rounds down
			quotient--
			remainder += y
		}
		if z = quotient; operator == "%" {
			z = remainder
		}
		fits = y != -1 || x != math.MinInt64
	}
	if !fits {
		return jinja.None(), limit("an integer of more than 64 bits")
	}
	return jinja.NewInt(z), nil
}

func power(x, y int64) (jinja.Value, error) {
	if y < 0 {
		return jinja.None(), notBuilt("a negative exponent")
	}
	v := jinja.NewInt(1)
	for range y {
		var err error
		if v, err = integers("*", v.AsInt(), x); err != nil {
			return v, err
		}
		if -1 <= x && x <= 1 { // the only bases that never overflow
			if x == -1 && y%2 == 0 || y == 0 {
				return jinja.NewInt(1), nil
			}
			return jinja.NewInt(x), nil
		}
	}
	return v, nil
}

func floats(operator string, x, y float64) (jinja.Value, error) {
	if y == 0 && (operator == "/" || operator == "//" || operator == "%") {
		return jinja.None(), typeFault("division by zero")
	}
	switch operator {
	case "+":
		return jinja.NewFloat(x + y), nil
	case "-":
		return jinja.NewFloat(x - y), nil
	case "*":
		return jinja.NewFloat(x * y), nil
	case "/":
		return jinja.NewFloat(x / y), nil
	case "//":
		return jinja.NewFloat(math.Floor(x / y)), nil
	}
	return jinja.None(), notBuilt("%s of floats", operator)
}

func opSign(c *call) (jinja.Value, error) {
	v := c.args[0]
	if i, ok := integer(v); ok {
		if c.name == "-" {
			return integers("-", 0, i)
		}
		return jinja.NewInt(i), nil
	}
	if !v.IsFloat() {
		return v, typeFault("%s%s", c.name, kindName(v))
	}
	if c.name == "-" {
		return jinja.NewFloat(-v.AsFloat()), nil
	}
	return v, nil
}

func opConcat(c *call) (jinja.Value, error) {
	w := &writer{run: c.run}
	for _, arg := range c.args {
		text, err := c.str(arg)
		if err == nil {
			err = w.add(text)
		}
		if err != nil {
			return arg, err
		}
	}
	return jinja.NewString(w.String()), nil
}
