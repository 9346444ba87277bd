package chat

import (
	"github.com/ardanlabs/jinja"
)

func opAttribute(c *call) (jinja.Value, error) {
	v := c.args[0]
	if v.IsUndefined() {
		return v, typeFault(".%s of an undefined value", c.name)
	}
	if v.IsDict() {
		item, _ := v.AsDict().Get(c.name)
		return item, nil // the zero Value is undefined
	}
	return jinja.Undefined(), nil
}

func opItem(c *call) (jinja.Value, error) {
	v, key := c.args[0], c.args[1]
	switch {
	case v.IsUndefined():
		return v, typeFault("an item of an undefined value")
	case v.IsDict():
		if name, ok := dictKey(key); ok {
			item, _ := v.AsDict().Get(name)
			return item, nil
		}
	case v.IsList():
		items := v.AsList().Items
		if i, ok := index(key, len(items)); ok {
			return items[i], nil
		}
	case v.IsString():
		if key.IsInt() || key.IsBool() {
			if err := c.charge(len(v.AsString())); err != nil {
				return v, err
			}
			runes := []rune(v.AsString())
			if i, ok := index(key, len(runes)); ok {
				return jinja.NewString(string(runes[i])), nil
			}
		}
	}
	return jinja.Undefined(), nil
}

// index resolves a subscript, which counts from the end where it is negative.
func index(key jinja.Value, n int) (int, bool) {
	i, ok := integer(key)
	if i < 0 {
		i += int64(n)
	}
	return int(i), ok && 0 <= i && i < int64(n)
}

// opSlice is a[start:stop:step]; the parts that are left out are none.
func opSlice(c *call) (jinja.Value, error) {
	v := c.args[0]
	var runes []rune
	var items []jinja.Value
	n := 0
	switch {
	case v.IsList():
		items = v.AsList().Items
		n = len(items)
	case v.IsString():
		if err := c.charge(4 * len(v.AsString())); err != nil {
			return v, err
		}
		runes = []rune(v.AsString())
		n = len(runes)
	case v.IsUndefined():
		return v, typeFault("a slice of an undefined value")
	default:
		return jinja.Undefined(), nil
	}
	start, step, count, err := sliceBounds(c.args[1:], n)
	if err != nil {
		return v, err
	}
	if v.IsString() {
		part := make([]rune, count)
		for i := range part {
			part[i] = runes[start+i*step]
		}
		return jinja.NewString(string(part)), nil
	}
	if err := c.charge(valueCost * count); err != nil {
		return v, err
	}
	part := make([]jinja.Value, count)
	for i := range part {
		part[i] = items[start+i*step]
	}
	return jinja.NewList(part), nil
}

// sliceBounds resolves the start, stop and step of a slice of n elements as Python does, to the first element, the
// distance between two and their number.
func sliceBounds(bounds []jinja.Value, n int) (start, step, count int, err error) {
	part := func(i, missing, low, high int) (int, error) {
		if i >= len(bounds) || bounds[i].IsNone() {
			return missing, nil
		}
		x, ok := integer(bounds[i])
		if !ok {
			return 0, typeFault("a slice bound that is %s", kindName(bounds[i]))
		}
		if x < 0 && i < 2 {
			x += int64(n)
		}
		return int(min(max(x, int64(low)), int64(high))), nil
	}
	// A step longer than the value takes one element, like one of its length.
	if step, err = part(2, 1, -n-1, n+1); err != nil {
		return 0, 0, 0, err
	}
	if step == 0 {
		return 0, 0, 0, typeFault("a slice with step 0")
	}
	var stop int
	if step > 0 {
		if start, err = part(0, 0, 0, n); err == nil {
			stop, err = part(1, n, 0, n)
		}
		count = (stop - start + step - 1) / step
	} else {
		if start, err = part(0, n-1, -1, n-1); err == nil {
			stop, err = part(1, -1, -1, n-1)
		}
		count = (start - stop - step - 1) / -step
	}
	return start, step, max(count, 0), err
}
