package gguf

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

// The goldens come from llama.cpp's gguf-py; testdata/golden.py has the versions and the command.

func golden(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goldenMeta is the metadata of all-kinds.bin.
var goldenMeta = []pair{
	{"general.architecture", "golden"},
	{"general.alignment", uint32(64)},
	{"u8", uint8(255)},
	{"i8", int8(-128)},
	{"u16", uint16(65535)},
	{"i16", int16(-32768)},
	{"u32", uint32(math.MaxUint32)},
	{"i32", int32(math.MinInt32)},
	{"f32", float32(0x1p-149)},
	{"true", true},
	{"false", false},
	{"str", "löwe 🦁"},
	{"u64", uint64(math.MaxUint64)},
	{"i64", int64(math.MinInt64)},
	{"f64", 0.1},
	{"UINT8", []uint8{0, 255}},
	{"INT8", []int8{-128, 127}},
	{"UINT16", []uint16{0, 65535}},
	{"INT16", []int16{-32768, 32767}},
	{"UINT32", []uint32{0, math.MaxUint32}},
	{"INT32", []int32{math.MinInt32, math.MaxInt32}},
	{"FLOAT32", []float32{-0.5, 0x1p127}},
	{"BOOL", []bool{true, false, true}},
	{"STRING", []string{"a", "b c", "🦁"}},
	{"UINT64", []uint64{0, math.MaxUint64}},
	{"INT64", []int64{math.MinInt64, math.MaxInt64}},
	{"FLOAT64", []float64{-0.1, 0x1p1023}},
	{"nested", []any{[]int32{1, -2}, []string{"x", "y"}}},
}

// goldenTensors are the tensors of all-kinds.bin.
func goldenTensors() []tensor {
	var f32 []byte
	for i := range 6 {
		f32 = binary.LittleEndian.AppendUint32(f32, math.Float32bits(float32(i)))
	}
	f16 := []byte{0, 0, 0, 0x3c, 0, 0x40, 0, 0x42, 0, 0x44} // 0, 1, 2, 3, 4
	q8 := make([]byte, 2*2*34)
	for i := range q8 {
		q8[i] = byte(i % 251)
	}
	return []tensor{
		{"f32", F32, []uint64{3, 2}, f32},
		{"f16", F16, []uint64{5}, f16},
		{"q8_0", Q8_0, []uint64{64, 2}, q8},
	}
}

func TestGoldenParse(t *testing.T) {
	f := parsed(t, golden(t, "all-kinds.bin"))
	i := 0
	for key, v := range f.Metadata() {
		if want := goldenMeta[i]; key != want.key || !reflect.DeepEqual(v.Any(), want.value) {
			t.Errorf("%s: %#v, want %s: %#v", key, v.Any(), want.key, want.value)
		}
		i++
	}
	for i, want := range goldenTensors() {
		got := f.Tensors()[i]
		if got.Name != want.name || got.DType != want.dtype || !reflect.DeepEqual(got.Shape, want.shape) ||
			!bytes.Equal(got.Data(), want.data) {
			t.Errorf("%+v holding %x, want %+v", got, got.Data(), want)
		}
	}
}

// TestGoldenWrite writes what gguf-py wrote, byte for byte.
func TestGoldenWrite(t *testing.T) {
	got, want := written(t, goldenMeta, goldenTensors()), golden(t, "all-kinds.bin")
	if !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("%d bytes, want %d; they differ at %#x", len(got), len(want), i)
	}
}

func TestGoldenBigEndian(t *testing.T) {
	const want = "gguf: version 3: big-endian file"
	if _, err := Parse(golden(t, "big-endian.bin")); !errors.Is(err, errs.Unsupported) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestGoldenDTypes compares names and sizes, both ways.
func TestGoldenDTypes(t *testing.T) {
	var rows [][4]any
	if err := json.Unmarshal(golden(t, "dtypes.json"), &rows); err != nil {
		t.Fatal(err)
	}
	known := map[DType]bool{}
	for _, row := range rows {
		d := DType(row[0].(float64))
		known[d] = true
		if d.String() != row[1] || float64(d.BlockSize()) != row[2] || float64(d.BlockBytes()) != row[3] {
			t.Errorf("dtype %d: %v, %d weights in %d bytes; want %v", uint32(d), d, d.BlockSize(), d.BlockBytes(), row)
		}
	}
	for d := range DType(100) {
		if (d.BlockSize() > 0) != known[d] || (d.BlockBytes() > 0) != known[d] {
			t.Errorf("dtype %d: known %v, %d weights in %d bytes", uint32(d), known[d], d.BlockSize(), d.BlockBytes())
		}
	}
}
