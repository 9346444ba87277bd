package gguf

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/realm-ai/realm/internal/errs"
)

// allKinds has metadata of every kind, its extremes, and arrays of every kind.
var allKinds = []pair{
	{"u8", uint8(math.MaxUint8)},
	{"i8", int8(math.MinInt8)},
	{"u16", uint16(math.MaxUint16)},
	{"i16", int16(math.MinInt16)},
	{"u32", uint32(math.MaxUint32)},
	{"i32", int32(math.MinInt32)},
	{"f32", float32(math.SmallestNonzeroFloat32)},
	{"f32.inf", float32(math.Inf(-1))},
	{"true", true},
	{"false", false},
	{"str", "löwe\x00\xff"},
	{"str.empty", ""},
	{"u64", uint64(math.MaxUint64)},
	{"i64", int64(math.MinInt64)},
	{"f64", math.Pi},
	{"a.u8", []uint8{0, 255}},
	{"a.i8", []int8{-128, 127}},
	{"a.u16", []uint16{0, 65535}},
	{"a.i16", []int16{-32768, 32767}},
	{"a.u32", []uint32{0, math.MaxUint32}},
	{"a.i32", []int32{math.MinInt32, math.MaxInt32}},
	{"a.f32", []float32{-0.5, math.MaxFloat32}},
	{"a.bool", []bool{true, false, true}},
	{"a.str", []string{"a", "", "\xf0\x9f\xa6\x81"}},
	{"a.u64", []uint64{0, math.MaxUint64}},
	{"a.i64", []int64{math.MinInt64, math.MaxInt64}},
	{"a.f64", []float64{-0.5, math.MaxFloat64}},
	{"a.empty", []float32{}},
	{"a.str.empty", []string{}},
	{"a.arr.empty", []any{}},
	{"a.arr", []any{[]int16{1, -2}, []string{"x"}, []any{[]any{[]bool{true}}, []uint8{}}}},
}

func TestRoundTripValues(t *testing.T) {
	f := parsed(t, written(t, allKinds, nil))
	i := 0
	for key, v := range f.Metadata() {
		want := allKinds[i]
		if key != want.key || !reflect.DeepEqual(v.Any(), want.value) {
			t.Errorf("%s: %#v, want %s: %#v", key, v.Any(), want.key, want.value)
		}
		i++
	}
	if i != len(allKinds) {
		t.Errorf("%d keys, want %d", i, len(allKinds))
	}
}

func TestRoundTripTensors(t *testing.T) {
	for _, alignment := range []uint32{1, 8, 32, 4096} {
		tensors := []tensor{
			{"a", F32, []uint64{3}, ramp(12, 1)},
			{"b", Q4_K, []uint64{512, 3}, ramp(2*144*3, 2)},
			{"c", I8, []uint64{1, 2, 3, 4}, ramp(24, 3)},
			{"d", F64, []uint64{1}, ramp(8, 4)},
		}
		data := written(t, []pair{{keyAlignment, alignment}}, tensors)
		f := parsed(t, data)
		if f.Alignment() != alignment || f.Version() != 3 || f.Size() != int64(len(data)) || f.TensorBytes() != 12+864+24+8 {
			t.Errorf("alignment %d, version %d, size %d, tensor bytes %d",
				f.Alignment(), f.Version(), f.Size(), f.TensorBytes())
		}
		if len(data)%int(alignment) != 0 {
			t.Errorf("file of %d bytes ends unaligned to %d", len(data), alignment)
		}
		for i, got := range f.Tensors() {
			want := tensors[i]
			if got.Name != want.name || got.DType != want.dtype || !reflect.DeepEqual(got.Shape, want.shape) ||
				!bytes.Equal(got.Data(), want.data) || got.Offset%int64(alignment) != 0 {
				t.Errorf("alignment %d: %+v, want %+v", alignment, got, want)
			}
			if byName, ok := f.Tensor(want.name); !ok || byName != got {
				t.Errorf("Tensor(%q) = %v, %v", want.name, byName, ok)
			}
		}
		if _, ok := f.Tensor("e"); ok {
			t.Error("found a tensor that is not there")
		}
	}
}

// TestEveryDType writes and parses a block of each dtype.
func TestEveryDType(t *testing.T) {
	var tensors []tensor
	for d := range DType(len(dtypes)) {
		if n := d.BlockSize(); n > 0 {
			tensors = append(tensors, tensor{d.String(), d, []uint64{uint64(n), 2}, ramp(2*d.BlockBytes(), byte(d))})
		}
	}
	if len(tensors) != 35 {
		t.Errorf("%d dtypes", len(tensors))
	}
	f := parsed(t, written(t, nil, tensors))
	for _, want := range tensors {
		got, ok := f.Tensor(want.name)
		if !ok || got.DType != want.dtype || !bytes.Equal(got.Data(), want.data) ||
			got.Elements() != uint64(2*want.dtype.BlockSize()) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	zeros := func(n int) io.Reader { return bytes.NewReader(make([]byte, n)) }
	cases := []struct {
		name string
		do   func(w *Writer) error
		want string
	}{
		{"empty key", func(w *Writer) error { return w.Set("", true) }, `gguf: write key "": empty`},
		{"key UTF-8", func(w *Writer) error { return w.Set("\xff", true) }, `gguf: write key "\xff": "\xff": invalid UTF-8`},
		{
			"long key", func(w *Writer) error { return w.Set(strings.Repeat("k", maxKey+1), true) },
			`gguf: write key "` + strings.Repeat("k", maxQuoted) + `"...: 65536 bytes long: more than 65535`,
		},
		{"duplicate key", func(w *Writer) error { return w.Set("there", true) }, `gguf: write key "there": duplicate`},
		{"type", func(w *Writer) error { return w.Set("k", 1) }, `gguf: write key "k": int: not a metadata type`},
		{"nil", func(w *Writer) error { return w.Set("k", nil) }, `gguf: write key "k": <nil>: not a metadata type`},
		{
			"no slice in an array of arrays", func(w *Writer) error { return w.Set("k", []any{int8(1)}) },
			`gguf: write key "k": int8 in an array of arrays: not a slice of a metadata type`,
		},
		{
			"nesting", func(w *Writer) error { return w.Set("k", []any{[]any{[]any{[]any{[]int8{}}}}}) },
			`gguf: write key "k": element 0: element 0: element 0: element 0: arrays nested more than 4 deep`,
		},
		{
			"alignment", func(w *Writer) error { return w.Set(keyAlignment, uint32(33)) },
			`gguf: write key "general.alignment": uint32 33: not a uint32 that is a power of two`,
		},
		{
			"alignment type", func(w *Writer) error { return w.Set(keyAlignment, 32) },
			`gguf: write key "general.alignment": int 32: not a uint32 that is a power of two`,
		},
		{
			"late alignment", func(w *Writer) error { return w.Set(keyAlignment, uint32(64)) },
			`gguf: write key "general.alignment": set after tensors were added`,
		},
		{
			"empty name", func(w *Writer) error { return w.Add("", F32, []uint64{1}, zeros(4)) },
			`gguf: write tensor "": empty`,
		},
		{
			"duplicate name", func(w *Writer) error { return w.Add("t", F32, []uint64{1}, zeros(4)) },
			`gguf: write tensor "t": duplicate name`,
		},
		{
			"dimensions", func(w *Writer) error { return w.Add("u", F32, nil, zeros(4)) },
			`gguf: write tensor "u": 0 dimensions: not 1 to 4`,
		},
		{
			"zero dimension", func(w *Writer) error { return w.Add("u", F32, []uint64{0}, zeros(0)) },
			`gguf: write tensor "u": shape [0]: a dimension is zero`,
		},
		{
			"row", func(w *Writer) error { return w.Add("u", Q8_0, []uint64{33}, zeros(34)) },
			`gguf: write tensor "u": shape [33]: rows are not a multiple of the 32 weights in a block of Q8_0`,
		},
		{
			"dtype", func(w *Writer) error { return w.Add("u", 99, []uint64{32}, zeros(34)) },
			`gguf: write tensor "u": dtype 99: unknown`,
		},
		{
			"file size", func(w *Writer) error { return w.Add("u", I8, []uint64{math.MaxInt64}, zeros(34)) },
			`gguf: write tensor "u": shape [9223372036854775807]: file size overflows`,
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := NewWriter()
			if err := w.Set("there", true); err != nil {
				t.Fatal(err)
			}
			if err := w.Add("t", F32, []uint64{1}, zeros(4)); err != nil {
				t.Fatal(err)
			}
			before := w.header()
			err := tc.do(w)
			if err == nil || err.Error() != tc.want || !errors.Is(err, errs.InvalidArgument) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if !bytes.Equal(w.header(), before) {
				t.Error("the refused call has changed the file")
			}
		})
	}
}

func TestWriterData(t *testing.T) {
	broken := errors.New("broken")
	cases := []struct {
		name string
		data io.Reader
		code errs.Code
		want string
	}{
		{"right", iotest.OneByteReader(bytes.NewReader(ramp(64, 0))), errs.OK, ""},
		{
			"short", bytes.NewReader(ramp(63, 0)), errs.InvalidArgument,
			`gguf: write tensor "t": data ends after 63 of 64 bytes`,
		},
		{
			"long", bytes.NewReader(ramp(65, 0)), errs.InvalidArgument,
			`gguf: write tensor "t": data goes on after 64 bytes`,
		},
		{"broken", iotest.ErrReader(broken), errs.IO, `gguf: write tensor "t": broken`},
		{
			"broken at the end", io.MultiReader(bytes.NewReader(ramp(64, 0)), iotest.ErrReader(broken)), errs.IO,
			`gguf: write tensor "t": broken`,
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := NewWriter()
			if err := w.Add("t", F32, []uint64{16}, tc.data); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			n, err := w.WriteTo(&out)
			if n != int64(out.Len()) {
				t.Errorf("WriteTo returned %d, wrote %d bytes", n, out.Len())
			}
			if errs.CodeOf(err) != tc.code || err != nil && err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if tc.code == errs.IO && !errors.Is(err, broken) {
				t.Errorf("%v does not wrap its cause", err)
			}
		})
	}
}

// TestWriterStreams writes a tensor of 256 MB that never exists as a whole.
func TestWriterStreams(t *testing.T) {
	const size = 256 << 20
	w := NewWriter()
	if err := w.Add("t", I8, []uint64{size}, io.LimitReader(zeroReader{}, size)); err != nil {
		t.Fatal(err)
	}
	var n int64
	var err error
	if got := allocated(func() { n, err = w.WriteTo(io.Discard) }); got > 1<<20 || n < size || err != nil {
		t.Errorf("wrote %d bytes, allocated %d, %v", n, got, err)
	}
}

// zeroReader reads zeros for ever.
type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestWriterFull lets the output fail after each number of bytes.
func TestWriterFull(t *testing.T) {
	size := len(written(t, nil, []tensor{{"t", F32, []uint64{2}, ramp(8, 0)}}))
	for room := range size {
		w := NewWriter()
		if err := w.Add("t", F32, []uint64{2}, bytes.NewReader(ramp(8, 0))); err != nil {
			t.Fatal(err)
		}
		n, err := w.WriteTo(&fullWriter{room: room})
		if n != int64(room) || !errors.Is(err, errs.IO) || !errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: wrote %d, %v", room, n, err)
		}
	}
}

var errFull = errors.New("no space left")

// fullWriter takes so many bytes and no more.
type fullWriter struct{ room int }

func (w *fullWriter) Write(b []byte) (int, error) {
	if len(b) > w.room {
		n := w.room
		w.room = 0
		return n, errFull
	}
	w.room -= len(b)
	return len(b), nil
}
