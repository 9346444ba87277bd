package chat

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// function is a filter, test, method or global function. It is given the value it applies to, where there is one, and
// then its parameters in order; those that are missing are undefined.
type function struct {
	params   []string
	required int
	do       func(r *run, a []jinja.Value) (jinja.Value, error)
}

// bind puts the arguments of a call in the order of the parameters, behind the first ones that are not arguments.
func (f *function) bind(name string, keys []string, args []jinja.Value, first int) ([]jinja.Value, error) {
	positional := len(args) - len(keys)
	if positional-first > len(f.params) {
		return nil, typeFault("%s takes %d arguments, not %d", name, len(f.params), positional-first)
	}
	all := make([]jinja.Value, first+len(f.params))
	copy(all, args[:positional])
	given := positional - first
	for i, key := range keys {
		n := indexOf(f.params, key)
		if n < positional-first {
			return nil, typeFault("%s takes no argument '%s' here", name, key)
		}
		all[first+n] = args[positional+i]
		if n < f.required {
			given++
		}
	}
	if given < f.required {
		return nil, typeFault("%s needs %d arguments", name, f.required)
	}
	return all, nil
}

func (c *call) apply(f *function, args []jinja.Value) (jinja.Value, error) {
	all, err := f.bind(c.name, c.site.keys, args, 1)
	if err != nil {
		return jinja.None(), err
	}
	return f.do(c.run, all)
}

func opFilter(c *call) (jinja.Value, error) {
	f := c.filters[c.name]
	if f.required == variadic {
		return opEach(c)
	}
	return c.apply(&f, c.args)
}

func opTest(c *call) (jinja.Value, error) {
	ok, err := c.test(c.name, c.args)
	return jinja.NewBool(ok), err
}

// test applies a test to the first argument.
func (r *run) test(name string, args []jinja.Value) (bool, error) {
	t, ok := tests[name]
	if !ok {
		return false, notBuilt("the test '%s'", name)
	}
	if len(args)-1 != t.params {
		return false, typeFault("the test '%s' takes %d arguments, not %d", name, t.params, len(args)-1)
	}
	return t.do(r, args)
}

// globals adds the functions that a template finds as variables, and o, to the variables.
func (r *run) globals(vars map[string]jinja.Value) {
	vars["o"] = jinja.NewCallable("o", r.dispatch)
	for name, f := range map[string]function{
		"range":           {params: []string{"start", "stop", "step"}, required: 1, do: makeRange},
		"raise_exception": {params: []string{"message"}, required: 1, do: raise},
		"strftime_now":    {params: []string{"format"}, required: 1, do: strftimeNow},
	} {
		vars[variable(name)] = jinja.NewCallable(name, func(args []jinja.Value, kwargs keywords) (jinja.Value, error) {
			args = slices.Clip(args)
			for _, key := range r.keys {
				args = append(args, kwargs[key])
			}
			all, err := f.bind(name, r.keys, args, 0)
			if err != nil {
				return jinja.None(), err
			}
			return f.do(r, all)
		})
	}
	for _, name := range []string{"namespace", "dict"} {
		vars[variable(name)] = jinja.NewCallable(name, func(args []jinja.Value, kwargs keywords) (jinja.Value, error) {
			return r.makeDict(args, kwargs, name == "namespace")
		})
	}
}

// makeDict makes a dict or namespace of a dict or nothing and the keywords.
func (r *run) makeDict(args []jinja.Value, kwargs keywords, namespace bool) (jinja.Value, error) {
	v := jinja.NewDict()
	d := v.AsDict()
	if len(args) > 1 || len(args) == 1 && !args[0].IsDict() {
		return v, notBuilt("namespace or dict of %d arguments that are no dict", len(args))
	}
	if len(args) == 1 {
		for _, key := range args[0].AsDict().Keys {
			d.Set(key, args[0].AsDict().Data[key])
		}
	}
	for _, key := range r.keys {
		d.Set(key, kwargs[key])
	}
	if namespace {
		r.namespaces[d] = true
	}
	return v, r.charge(dictCost + 2*valueCost*d.Len())
}

func makeRange(r *run, a []jinja.Value) (jinja.Value, error) {
	bounds := [3]int64{0, 0, 1}
	for i, v := range a {
		n, ok := integer(v)
		switch {
		case ok:
			bounds[i] = n
		case !v.IsUndefined():
			return v, typeFault("range of %s", kindName(v))
		}
	}
	start, stop, step := bounds[0], bounds[1], bounds[2]
	if a[1].IsUndefined() {
		start, stop = 0, start
	}
	if step == 0 {
		return a[2], typeFault("range with step 0")
	}
	// The number of elements in 64 bits without sign, so that no range overflows.
	n := uint64(0)
	switch {
	case step > 0 && start < stop:
		n = (uint64(stop)-uint64(start)-1)/uint64(step) + 1
	case step < 0 && start > stop:
		n = (uint64(start)-uint64(stop)-1)/-uint64(step) + 1
	}
	if n > uint64(r.work)/valueCost {
		return a[0], limit("a range of %d numbers", n)
	}
	items := make([]jinja.Value, n)
	for i := range items {
		items[i] = jinja.NewInt(start + int64(i)*step)
	}
	return r.newList(items)
}

func raise(r *run, a []jinja.Value) (jinja.Value, error) {
	text, err := r.str(a[0])
	if err != nil {
		return a[0], err
	}
	return a[0], &Exception{text}
}

// strftimeNow formats the current time as C's strftime does in the C locale.
func strftimeNow(r *run, a []jinja.Value) (jinja.Value, error) {
	if !a[0].IsString() {
		return a[0], typeFault("strftime_now of %s", kindName(a[0]))
	}
	format, now := a[0].AsString(), r.now()
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		text, ok := strftime(now, format[i])
		if !ok {
			if format[i] != '-' || i+1 == len(format) {
				return a[0], notBuilt("%%%c in strftime_now", format[i])
			}
			i++ // %-d and the like: without leading zeros
			if text, ok = strftime(now, format[i]); !ok {
				return a[0], notBuilt("%%-%c in strftime_now", format[i])
			}
			if text = strings.TrimLeft(text, "0"); text == "" {
				text = "0"
			}
		}
		b.WriteString(text)
		if err := r.charge(len(text)); err != nil {
			return a[0], err
		}
	}
	return r.newString(b.String())
}

func strftime(t time.Time, directive byte) (string, bool) {
	layouts := map[byte]string{
		'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
		'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon", 'j': "002", 'z': "-0700", 'Z': "MST",
		'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
	}
	switch directive {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	}
	layout, ok := layouts[directive]
	if !ok {
		return "", false
	}
	return t.Format(layout), true
}
