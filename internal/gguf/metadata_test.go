package gguf

import (
	"math"
	"reflect"
	"testing"
)

// TestGetters asks every getter for every kind.
func TestGetters(t *testing.T) {
	f := parsed(t, written(t, allKinds, nil))
	want := map[string]map[string]any{
		"String": {"str": "löwe\x00\xff", "str.empty": ""},
		"Uint": {
			"u8": uint64(math.MaxUint8), "u16": uint64(math.MaxUint16), "u32": uint64(math.MaxUint32),
			"u64": uint64(math.MaxUint64),
		},
		"Float": {"f32": float64(math.SmallestNonzeroFloat32), "f32.inf": math.Inf(-1), "f64": math.Pi},
		"Bool":  {"true": true, "false": false},
		"Strings": {
			"a.str": []string{"a", "", "\xf0\x9f\xa6\x81"}, "a.str.empty": []string{},
		},
		"Floats": {"a.f32": []float32{-0.5, math.MaxFloat32}, "a.empty": []float32{}},
		"Ints": {
			"a.u8": []int32{0, 255}, "a.i8": []int32{-128, 127}, "a.u16": []int32{0, 65535},
			"a.i16": []int32{-32768, 32767}, "a.i32": []int32{math.MinInt32, math.MaxInt32},
		},
	}
	getters := map[string]func(key string) (any, bool){
		"String":  func(key string) (any, bool) { return both(f.String(key)) },
		"Uint":    func(key string) (any, bool) { return both(f.Uint(key)) },
		"Float":   func(key string) (any, bool) { return both(f.Float(key)) },
		"Bool":    func(key string) (any, bool) { return both(f.Bool(key)) },
		"Strings": func(key string) (any, bool) { return both(f.Strings(key)) },
		"Floats":  func(key string) (any, bool) { return both(f.Floats(key)) },
		"Ints":    func(key string) (any, bool) { return both(f.Ints(key)) },
	}
	keys := append([]pair{{key: "absent"}}, allKinds...)
	for name, get := range getters {
		for _, p := range keys {
			got, ok := get(p.key)
			value, has := want[name][p.key]
			if ok != has || ok && !reflect.DeepEqual(got, value) {
				t.Errorf("%s(%q) = %v, %v; want %v, %v", name, p.key, got, ok, value, has)
			}
		}
	}
}

func both[T any](v T, ok bool) (any, bool) { return v, ok }

func TestUintSigned(t *testing.T) {
	f := parsed(t, written(t, []pair{
		{"i8", int8(127)}, {"i16", int16(1)}, {"i32", int32(0)}, {"i64", int64(math.MaxInt64)}, {"neg", int32(-1)},
	}, nil))
	for key, want := range map[string]uint64{"i8": 127, "i16": 1, "i32": 0, "i64": math.MaxInt64} {
		if got, ok := f.Uint(key); got != want || !ok {
			t.Errorf("Uint(%q) = %d, %v; want %d", key, got, ok, want)
		}
	}
	if got, ok := f.Uint("neg"); ok {
		t.Errorf("Uint of -1 = %d", got)
	}
}

func TestIntsThatFit(t *testing.T) {
	cases := []struct {
		value any
		ok    bool
	}{
		{[]uint32{math.MaxInt32}, true},
		{[]uint32{math.MaxInt32 + 1}, false},
		{[]uint64{math.MaxInt32}, true},
		{[]uint64{1 << 32}, false},
		{[]uint64{math.MaxUint64}, false},
		{[]int64{math.MinInt32, math.MaxInt32}, true},
		{[]int64{math.MinInt32 - 1}, false},
		{[]int64{math.MaxInt32 + 1}, false},
		{[]int64{}, true},
		{[]bool{true}, false},
		{[]float32{1}, false},
	}
	for _, tc := range cases {
		f := parsed(t, written(t, []pair{{"k", tc.value}}, nil))
		if got, ok := f.Ints("k"); ok != tc.ok {
			t.Errorf("Ints of %T%v = %v, %v", tc.value, tc.value, got, ok)
		}
	}
}

// TestElements walks arrays without decoding them and stops early.
func TestElements(t *testing.T) {
	f := parsed(t, written(t, []pair{
		{"strings", []string{"a", "bc", ""}},
		{"nested", []any{[]uint16{1, 2}, []string{"x"}}},
		{"scalar", uint8(1)},
	}, nil))
	want := map[string]struct {
		kind, elem Kind
		elements   []any
	}{
		"strings": {KindArray, KindString, []any{"a", "bc", ""}},
		"nested":  {KindArray, KindArray, []any{[]uint16{1, 2}, []string{"x"}}},
		"scalar":  {KindUint8, KindUint8, nil},
	}
	for key, v := range f.Metadata() {
		var got []any
		for e := range v.Elements() {
			got = append(got, e.Any())
		}
		w := want[key]
		if v.Kind() != w.kind || v.Elem() != w.elem || v.Len() != len(w.elements) || !reflect.DeepEqual(got, w.elements) {
			t.Errorf("%s: %v of %v: %v, want %+v", key, v.Kind(), v.Elem(), got, w)
		}
		for range v.Elements() {
			break
		}
	}
	for key := range f.Metadata() {
		if key != "strings" {
			t.Errorf("first key is %s", key)
		}
		break
	}
}

// TestStringsAreCopies changes the parsed bytes, as unmapping a file would.
func TestStringsAreCopies(t *testing.T) {
	data := written(t, []pair{{"s", "text"}, {"a", []string{"one"}}, {"n", []uint8{1}}},
		[]tensor{{"t", I8, []uint64{1}, []byte{1}}})
	f := parsed(t, data)
	s, _ := f.String("s")
	a, _ := f.Strings("a")
	n := f.value(2).Any()
	clear(data)
	if s != "text" || a[0] != "one" || !reflect.DeepEqual(n, []uint8{1}) || f.Tensors()[0].Name != "t" {
		t.Errorf("%q, %q, %v, %q", s, a, n, f.Tensors()[0].Name)
	}
	if _, ok := f.keys["s"]; !ok {
		t.Error("a key has changed")
	}
}

func TestNames(t *testing.T) {
	if got := Kind(13).String() + KindString.String() + KindFloat64.String(); got != "Kind(13)strf64" {
		t.Error(got)
	}
	if got := DType(99).String() + Q4_K.String() + DType(31).String(); got != "DType(99)Q4_KQ4_0_4_4" {
		t.Error(got)
	}
	if d := DType(math.MaxUint32); d.BlockSize() != 0 || d.BlockBytes() != 0 {
		t.Errorf("%v has a size", d)
	}
}
