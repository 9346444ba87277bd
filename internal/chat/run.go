package chat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"

	"github.com/realm-ai/realm/internal/errs"
)

// run is one rendering.
type run struct {
	sites      []site
	work       int64    // units left
	written    int      // bytes of output so far
	calls      int      // macros that are running
	keys       []string // the keywords of the call that is being made, in their order
	now        func() time.Time
	filters    map[string]function  // the table of filters, which has some that look others up in it
	namespaces map[*jinja.Dict]bool // the dicts that namespace() made
}

// keywords are the arguments of a call that have names.
type keywords = map[string]jinja.Value

// call is one operation being done.
type call struct {
	*run
	*site
	args   []jinja.Value // its operands
	caller keywords      // the library's "caller", where a call statement calls
}

// fault is what an operation returns when it cannot be done. dispatch adds the line.
type fault struct {
	code errs.Code
	text string
}

func (f *fault) Error() string { return f.text }

func typeFault(format string, args ...any) error {
	return &fault{errs.InvalidArgument, fmt.Sprintf(format, args...)}
}

func notBuilt(format string, args ...any) error {
	return &fault{errs.Unsupported, fmt.Sprintf(format, args...)}
}

func limit(format string, args ...any) error {
	return &fault{errs.LimitExceeded, fmt.Sprintf(format, args...)}
}

// templateError is the error for a place in the template.
func templateError(code errs.Code, line int, format string, args ...any) error {
	return errs.Errorf(code, "chat: template: line %d: %w", line, fmt.Errorf(format, args...))
}

// dispatch does the operation whose site number is the first argument: it is the function o of the rewritten source.
func (r *run) dispatch(args []jinja.Value, kwargs keywords) (jinja.Value, error) {
	s := &r.sites[args[0].AsInt()]
	err := r.charge(opCost + len(args))
	if err == nil {
		c := call{run: r, site: s, args: args[1:], caller: kwargs}
		var v jinja.Value
		if v, err = s.op(&c); err == nil {
			return v, nil
		}
	}
	var f *fault
	if errors.As(err, &f) {
		return jinja.Undefined(), errs.Errorf(f.code, "chat: template: line %d: %s", s.line, f.text)
	}
	var raised *Exception
	if _, placed := err.(*errs.Error); !placed && errors.As(err, &raised) {
		return jinja.Undefined(), errs.Errorf(errs.InvalidArgument, "chat: template: line %d: %w", s.line, raised)
	}
	return jinja.Undefined(), err
}

// charge takes units from the work that is left.
func (r *run) charge(units int) error {
	if r.work -= int64(units); r.work < 0 {
		return limit("the template does too much work")
	}
	return nil
}

// newString charges for a string that an operation made.
func (r *run) newString(s string) (jinja.Value, error) {
	return jinja.NewString(s), r.charge(len(s))
}

// valueCost is what an element of a list costs, and dictCost what a dict costs beside its elements: about the bytes
// that the library keeps them in.
const (
	valueCost = 32
	dictCost  = 128
)

// newList charges for a list that an operation made.
func (r *run) newList(items []jinja.Value) (jinja.Value, error) {
	return jinja.NewList(items), r.charge(valueCost * (len(items) + 1))
}

func opConstant(c *call) (jinja.Value, error) { return c.val, nil }

func opText(c *call) (jinja.Value, error) { return c.val, c.write(len(c.val.AsString())) }

// write charges for output.
func (r *run) write(n int) error {
	if r.written += n; r.written > MaxOutput {
		return limit("an output of more than %d bytes", MaxOutput)
	}
	return r.charge(n)
}

func opOutput(c *call) (jinja.Value, error) {
	text, err := c.str(c.args[0])
	if err != nil {
		return c.args[0], err
	}
	return jinja.NewString(text), c.write(len(text))
}

func opTick(c *call) (jinja.Value, error) { return jinja.NewString(""), c.charge(tickCost + c.body/8) }

func opList(c *call) (jinja.Value, error) { return c.newList(c.args) }

func opAppend(c *call) (jinja.Value, error) {
	c.args[0].AsList().Append(c.args[1])
	return jinja.NewString(""), c.charge(valueCost)
}

func opDict(c *call) (jinja.Value, error) {
	v := jinja.NewDict()
	for i := 0; i < len(c.args); i += 2 {
		key, ok := dictKey(c.args[i])
		if !ok {
			return v, notBuilt("a dict with a key that is %s", kindName(c.args[i]))
		}
		v.AsDict().Set(key, c.args[i+1])
	}
	return v, c.charge(dictCost + valueCost*len(c.args))
}

// dictKey is the key that the library, which has only strings for keys, keeps a string or an integer by: a string as it
// is, but for one that starts with a zero byte.
func dictKey(v jinja.Value) (string, bool) {
	if n, ok := integer(v); ok {
		return "\x00i" + strconv.FormatInt(n, 10), true
	}
	if !v.IsString() {
		return "", false
	}
	if s := v.AsString(); strings.HasPrefix(s, "\x00") {
		return "\x00s" + s, true
	}
	return v.AsString(), true
}

// keyValue undoes dictKey.
func keyValue(key string) jinja.Value {
	if rest, ok := strings.CutPrefix(key, "\x00i"); ok {
		if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
			return jinja.NewInt(n)
		}
	}
	return jinja.NewString(strings.TrimPrefix(key, "\x00s"))
}

// opIterate gives the items of what a for loop goes over as a list of its own.
func opIterate(c *call) (jinja.Value, error) {
	items, err := c.iterate(c.args[0])
	if err != nil {
		return jinja.None(), err
	}
	return jinja.NewList(items), nil
}

// iterate returns the items of a value as a Python for loop sees them.
func (r *run) iterate(v jinja.Value) ([]jinja.Value, error) {
	var items []jinja.Value
	switch {
	case v.IsUndefined():
	case v.IsList():
		items = v.AsList().Items
	case r.isNamespace(v):
		return nil, typeFault("a namespace cannot be iterated")
	case v.IsDict():
		for _, key := range v.AsDict().Keys {
			items = append(items, keyValue(key))
		}
	case v.IsString():
		for _, char := range v.AsString() {
			items = append(items, jinja.NewString(string(char)))
		}
	default:
		return nil, typeFault("%s cannot be iterated", kindName(v))
	}
	return items, r.charge(valueCost * len(items))
}

// opUnpack takes element n of a value that is assigned to several names.
func opUnpack(c *call) (jinja.Value, error) {
	items, err := c.iterate(c.args[0])
	if err != nil {
		return jinja.None(), err
	}
	if len(items) != c.of {
		return jinja.None(), typeFault("%d values for %d names", len(items), c.of)
	}
	return items[c.n], nil
}

func (r *run) isNamespace(v jinja.Value) bool { return v.IsDict() && r.namespaces[v.AsDict()] }

func opSetAttribute(c *call) (jinja.Value, error) {
	if !c.isNamespace(c.args[0]) {
		return jinja.None(), typeFault("cannot set .%s of %s: only a namespace's can be set", c.name, kindName(c.args[0]))
	}
	c.args[0].AsDict().Set(c.name, c.args[1])
	return jinja.NewString(""), c.charge(2 * valueCost)
}

// opMacro wraps the callable that the library made of a macro, whose parameters are the site's keys.
func opMacro(c *call) (jinja.Value, error) {
	s, r, body := c.site, c.run, c.args[0].AsCallable().Fn
	return jinja.NewCallable(s.name, func(args []jinja.Value, kwargs keywords) (jinja.Value, error) {
		if len(args) > len(s.keys) {
			return jinja.None(), typeFault("the macro %s takes %d arguments, not %d", s.name, len(s.keys), len(args))
		}
		all := make([]jinja.Value, len(s.keys)) // the missing ones are undefined
		copy(all, args)
		for key, v := range kwargs {
			if key == "caller" {
				continue
			}
			i := indexOf(s.keys, key)
			if i < len(args) {
				return jinja.None(), typeFault("the macro %s takes no argument '%s' here", s.name, key)
			}
			all[i] = v
		}
		if r.calls++; r.calls > MaxCalls {
			return jinja.None(), limit("macros that call one another more than %d deep", MaxCalls)
		}
		var passed keywords
		if caller, ok := kwargs["caller"]; ok {
			passed = keywords{"caller": caller}
		}
		text, err := body(all, passed)
		r.calls--
		if err != nil {
			return jinja.None(), err
		}
		return text, r.charge(len(text.AsString()))
	}), nil
}

func opCall(c *call) (jinja.Value, error) { return c.invoke(c.args[0], c.args[1:]) }

// invoke calls a callable with the operands of the call, the last of which may have keywords.
func (c *call) invoke(fn jinja.Value, args []jinja.Value) (jinja.Value, error) {
	if !fn.IsCallable() {
		return jinja.None(), typeFault("%s cannot be called", kindName(fn))
	}
	positional := len(args) - len(c.site.keys)
	kwargs := make(keywords, len(c.site.keys)+1)
	for i, key := range c.site.keys {
		kwargs[key] = args[positional+i]
	}
	if caller, ok := c.caller["caller"]; ok {
		kwargs["caller"] = caller
	}
	c.run.keys = c.site.keys
	return fn.AsCallable().Fn(args[:positional], kwargs)
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}
