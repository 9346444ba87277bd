package chat

import (
	"strings"

	"github.com/ardanlabs/jinja"
)

// opCompare compares each operand with the next by the operators in the site's name, as in a < b <= c.
func opCompare(c *call) (jinja.Value, error) {
	rest := c.name
	for i, right := range c.args[1:] {
		var operator string
		operator, rest, _ = strings.Cut(rest, " ")
		if ok, err := c.compare(operator, c.args[i], right); err != nil || !ok {
			return jinja.NewBool(false), err
		}
	}
	return jinja.NewBool(true), nil
}

func (r *run) compare(operator string, a, b jinja.Value) (bool, error) {
	switch operator {
	case "==":
		return r.equal(a, b, 0)
	case "!=":
		ok, err := r.equal(a, b, 0)
		return !ok, err
	case "in":
		return r.contains(b, a)
	case "notin":
		ok, err := r.contains(b, a)
		return !ok, err
	}
	order, err := r.order(a, b, 0)
	switch operator {
	case "<":
		return order < 0, err
	case "<=":
		return order <= 0, err
	case ">":
		return order > 0, err
	}
	return order >= 0, err
}

// equal is Python's ==.
func (r *run) equal(a, b jinja.Value, depth int) (bool, error) {
	if depth > MaxNesting {
		return false, limit("comparing values nested more than %d deep", MaxNesting)
	}
	if err := r.charge(1); err != nil {
		return false, err
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y, nil
	}
	switch {
	case a.IsNone() || a.IsUndefined():
		return a.IsNone() && b.IsNone() || a.IsUndefined() && b.IsUndefined(), nil
	case a.IsString() && b.IsString():
		if len(a.AsString()) != len(b.AsString()) {
			return false, nil
		}
		return a.AsString() == b.AsString(), r.charge(len(a.AsString()))
	case a.IsList() && b.IsList():
		x, y := a.AsList().Items, b.AsList().Items
		if len(x) != len(y) {
			return false, nil
		}
		for i := range x {
			if ok, err := r.equal(x[i], y[i], depth+1); err != nil || !ok {
				return false, err
			}
		}
		return true, nil
	case r.isNamespace(a) || r.isNamespace(b):
		return b.IsDict() && a.IsDict() && a.AsDict() == b.AsDict(), nil
	case a.IsDict() && b.IsDict():
		x, y := a.AsDict(), b.AsDict()
		if x.Len() != y.Len() {
			return false, nil
		}
		for _, key := range x.Keys {
			other, ok := y.Get(key)
			if !ok {
				return false, nil
			}
			if ok, err := r.equal(x.Data[key], other, depth+1); err != nil || !ok {
				return false, err
			}
		}
		return true, nil
	}
	return false, nil
}

// order is negative, 0 or positive as a is less than, equal to or greater than b.
func (r *run) order(a, b jinja.Value, depth int) (int, error) {
	if depth > MaxNesting {
		return 0, limit("comparing values nested more than %d deep", MaxNesting)
	}
	if err := r.charge(1); err != nil {
		return 0, err
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			switch {
			case x < y:
				return -1, nil
			case x > y:
				return 1, nil
			}
			return 0, nil
		}
	}
	switch {
	case a.IsString() && b.IsString():
		// The order of UTF-8 bytes is that of code points.
		return strings.Compare(a.AsString(), b.AsString()), r.charge(min(len(a.AsString()), len(b.AsString())))
	case a.IsList() && b.IsList():
		x, y := a.AsList().Items, b.AsList().Items
		for i := range min(len(x), len(y)) {
			if order, err := r.order(x[i], y[i], depth+1); err != nil || order != 0 {
				return order, err
			}
		}
		return len(x) - len(y), nil
	}
	return 0, typeFault("%s and %s have no order", kindName(a), kindName(b))
}

func (r *run) contains(container, v jinja.Value) (bool, error) {
	switch {
	case container.IsString():
		if !v.IsString() {
			return false, typeFault("%s in a string", kindName(v))
		}
		return strings.Contains(container.AsString(), v.AsString()), r.charge(len(container.AsString()))
	case container.IsDict() && !r.isNamespace(container):
		key, ok := dictKey(v)
		return ok && container.AsDict().Has(key), nil
	case container.IsList():
		for _, item := range container.AsList().Items {
			if ok, err := r.equal(item, v, 0); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	case container.IsUndefined():
		return false, nil
	}
	return false, typeFault("'in' %s", kindName(container))
}
