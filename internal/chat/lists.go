package chat

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ardanlabs/jinja"
)

func length(r *run, a []jinja.Value) (jinja.Value, error) {
	switch v := a[0]; {
	case v.IsUndefined():
		return jinja.NewInt(0), nil
	case v.IsString():
		return jinja.NewInt(int64(utf8.RuneCountInString(v.AsString()))), r.charge(len(v.AsString()))
	case v.IsList():
		return jinja.NewInt(int64(v.AsList().Len())), nil
	case v.IsDict() && !r.isNamespace(v):
		return jinja.NewInt(int64(v.AsDict().Len())), nil
	}
	return a[0], typeFault("%s has no length", kindName(a[0]))
}

// end returns the first or last item, undefined where there is none.
func (r *run) end(v jinja.Value, last bool) (jinja.Value, error) {
	items, err := r.iterate(v)
	if err != nil || len(items) == 0 {
		return jinja.Undefined(), err
	}
	if last {
		return items[len(items)-1], nil
	}
	return items[0], nil
}

func list(r *run, a []jinja.Value) (jinja.Value, error) {
	items, err := r.iterate(a[0])
	return jinja.NewList(slices.Clone(items)), err
}

func reverse(r *run, a []jinja.Value) (jinja.Value, error) {
	items, err := r.iterate(a[0])
	if err != nil {
		return a[0], err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	if !a[0].IsString() {
		return jinja.NewList(items), nil
	}
	var b strings.Builder
	for _, char := range items {
		b.WriteString(char.AsString())
	}
	return r.newString(b.String())
}

// attribute is the attribute of an item that a filter names, with dots between the steps; without a name it is the
// item.
func (r *run) attribute(item, name jinja.Value) (jinja.Value, error) {
	if name.IsUndefined() || name.IsNone() {
		return item, nil
	}
	if n, ok := integer(name); ok {
		return opItem(&call{run: r, args: []jinja.Value{item, jinja.NewInt(n)}})
	}
	if !name.IsString() {
		return item, typeFault("an attribute named by %s", kindName(name))
	}
	for step := range strings.SplitSeq(name.AsString(), ".") {
		if err := r.charge(opCost); err != nil {
			return item, err
		}
		var err error
		if item, err = opItem(&call{run: r, args: []jinja.Value{item, jinja.NewString(step)}}); err != nil {
			return item, err
		}
	}
	return item, nil
}

func join(r *run, a []jinja.Value) (jinja.Value, error) {
	items, err := r.iterate(a[0])
	if err != nil {
		return a[0], err
	}
	separator, err := r.str(a[1])
	if err != nil {
		return a[1], err
	}
	w := &writer{run: r}
	for i, item := range items {
		if i > 0 {
			if err := w.add(separator); err != nil {
				return item, err
			}
		}
		if item, err = r.attribute(item, a[2]); err != nil {
			return item, err
		}
		text, err := r.str(item)
		if err == nil {
			err = w.add(text)
		}
		if err != nil {
			return item, err
		}
	}
	return jinja.NewString(w.String()), nil
}

func sum(r *run, a []jinja.Value) (jinja.Value, error) {
	items, err := r.iterate(a[0])
	total := a[2]
	if total.IsUndefined() {
		total = jinja.NewInt(0)
	}
	for i := 0; i < len(items) && err == nil; i++ {
		var item jinja.Value
		if item, err = r.attribute(items[i], a[1]); err == nil {
			total, err = r.binary("+", total, item)
		}
	}
	return total, err
}

// sortKey is what an item is sorted and told apart by: strings without regard to case, unless that is asked for.
func (r *run) sortKey(item, attribute, caseSensitive jinja.Value) (jinja.Value, error) {
	key, err := r.attribute(item, attribute)
	if err != nil || !key.IsString() || caseSensitive.IsTruthy() {
		return key, err
	}
	return r.newString(strings.ToLower(key.AsString()))
}

// sorted sorts items by their keys and keeps the order of equal ones.
func (r *run) sorted(items, keys []jinja.Value, reverse bool) ([]jinja.Value, error) {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	var failed error
	slices.SortStableFunc(order, func(i, j int) int {
		if failed != nil {
			return 0
		}
		n, err := r.order(keys[i], keys[j], 0)
		failed = err
		if reverse {
			return -n
		}
		return n
	})
	out := make([]jinja.Value, len(items))
	for i, n := range order {
		out[i] = items[n]
	}
	return out, failed
}

func sortItems(r *run, a []jinja.Value) (jinja.Value, error) {
	items, err := r.iterate(a[0])
	keys := make([]jinja.Value, len(items))
	for i := 0; i < len(items) && err == nil; i++ {
		keys[i], err = r.sortKey(items[i], a[3], a[2])
	}
	if err != nil {
		return a[0], err
	}
	items, err = r.sorted(items, keys, a[1].IsTruthy())
	return jinja.NewList(items), err
}

func unique(r *run, a []jinja.Value) (jinja.Value, error) {
	items, err := r.iterate(a[0])
	var keys, out []jinja.Value
	for i := 0; i < len(items) && err == nil; i++ {
		var key jinja.Value
		if key, err = r.sortKey(items[i], a[2], a[1]); err != nil {
			break
		}
		var seen bool
		if seen, err = r.contains(jinja.NewList(keys), key); err == nil && !seen {
			keys, out = append(keys, key), append(out, items[i])
		}
	}
	return jinja.NewList(out), err
}

// extreme returns the item that stands before all others by the operator.
func (r *run) extreme(v jinja.Value, operator string) (jinja.Value, error) {
	items, err := r.iterate(v)
	var best, bestKey jinja.Value
	for i, item := range items {
		var key jinja.Value
		if key, err = r.sortKey(item, jinja.None(), jinja.None()); err != nil {
			return v, err
		}
		before := i == 0
		if !before {
			if before, err = r.compare(operator, key, bestKey); err != nil {
				return v, err
			}
		}
		if before {
			best, bestKey = item, key
		}
	}
	return best, err
}

// pairs lists the keys and values of a dict.
func (r *run) pairs(v jinja.Value) (jinja.Value, error) {
	if v.IsUndefined() {
		return jinja.NewList(nil), nil
	}
	if !v.IsDict() || r.isNamespace(v) {
		return v, typeFault("%s has no items", kindName(v))
	}
	d := v.AsDict()
	if err := r.charge(4 * valueCost * d.Len()); err != nil {
		return v, err
	}
	items := make([]jinja.Value, d.Len())
	for i, key := range d.Keys {
		items[i] = jinja.NewList([]jinja.Value{keyValue(key), d.Data[key]})
	}
	return jinja.NewList(items), nil
}

func dictSort(r *run, a []jinja.Value) (jinja.Value, error) {
	if !a[0].IsDict() || r.isNamespace(a[0]) {
		return a[0], typeFault("dictsort of %s", kindName(a[0]))
	}
	by := 0
	if a[2].IsString() && a[2].AsString() == "value" {
		by = 1
	}
	v, err := r.pairs(a[0])
	if err != nil {
		return v, err
	}
	items := v.AsList().Items
	keys := make([]jinja.Value, len(items))
	for i, pair := range items {
		if keys[i], err = r.sortKey(pair.AsList().Get(by), jinja.None(), a[1]); err != nil {
			return v, err
		}
	}
	items, err = r.sorted(items, keys, a[3].IsTruthy())
	return jinja.NewList(items), err
}

// variadic marks the filters that apply another filter or test to each item.
const variadic = -1

// opEach is the filters map, select, reject, selectattr and rejectattr.
func opEach(c *call) (jinja.Value, error) {
	var items []jinja.Value
	if c.args[0].IsTruthy() { // jinja2 takes none and 0 for no items here
		var err error
		if items, err = c.iterate(c.args[0]); err != nil {
			return c.args[0], err
		}
	}
	if c.name == "map" {
		return c.mapItems(items)
	}
	if len(c.site.keys) > 0 {
		return c.args[0], typeFault("%s takes no keywords", c.name)
	}
	args := slices.Clone(c.args[1:])
	var attribute jinja.Value
	if strings.HasSuffix(c.name, "attr") {
		if len(args) == 0 {
			return c.args[0], typeFault("%s needs the name of an attribute", c.name)
		}
		attribute, args = args[0], args[1:]
	}
	var out []jinja.Value
	for _, item := range items {
		v, err := c.attribute(item, attribute)
		if err != nil {
			return v, err
		}
		ok := v.IsTruthy()
		if len(args) > 0 {
			if !args[0].IsString() {
				return v, typeFault("%s by a test that is %s", c.name, kindName(args[0]))
			}
			if err := c.charge(opCost); err != nil {
				return v, err
			}
			if ok, err = c.test(args[0].AsString(), append([]jinja.Value{v}, args[1:]...)); err != nil {
				return v, err
			}
		}
		if ok == strings.HasPrefix(c.name, "select") {
			out = append(out, item)
		}
	}
	return jinja.NewList(out), nil
}

// mapItems applies a filter to each item, or takes an attribute of it.
func (c *call) mapItems(items []jinja.Value) (jinja.Value, error) {
	out := make([]jinja.Value, len(items))
	if len(c.args)-len(c.site.keys) == 1 {
		f := function{params: []string{"attribute", "default"}, required: 1}
		a, err := f.bind("map", c.site.keys, c.args, 1)
		for i := 0; i < len(items) && err == nil; i++ {
			if out[i], err = c.attribute(items[i], a[1]); err == nil && out[i].IsUndefined() {
				out[i] = a[2]
			}
		}
		return jinja.NewList(out), err
	}
	if !c.args[1].IsString() {
		return c.args[0], typeFault("map by a filter that is %s", kindName(c.args[1]))
	}
	s := site{name: c.args[1].AsString(), keys: c.site.keys}
	if _, ok := c.filters[s.name]; !ok {
		return c.args[0], notBuilt("the filter '%s'", s.name)
	}
	for i, item := range items {
		err := c.charge(opCost)
		if err == nil {
			one := call{run: c.run, site: &s, args: append([]jinja.Value{item}, c.args[2:]...)}
			out[i], err = opFilter(&one)
		}
		if err != nil {
			return item, err
		}
	}
	return jinja.NewList(out), nil
}
