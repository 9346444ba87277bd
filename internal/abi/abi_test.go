package abi

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

// TestFunctionsAreSound holds the table to what runtimes, generators and fuzzers read out of it.
func TestFunctionsAreSound(t *testing.T) {
	shape := map[string]bool{}
	for _, f := range modelInfo.Fields {
		shape[f.Name] = true
	}
	name := regexp.MustCompile(`^_?[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, f := range append(Functions(), Exports()...) {
		if !name.MatchString(f.Name) || seen[f.Name] {
			t.Errorf("%s: not a name of its own", f.Name)
		}
		seen[f.Name] = true
		if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s: documentation %q", f.Name, f.Doc)
		}
		numbers := map[string]bool{}
		for _, p := range f.Params {
			if p.Access == Number {
				numbers[p.Name] = true
			}
		}
		for _, p := range f.Params {
			pointer := p.Access != Number
			switch {
			case p.Doc == "" || !name.MatchString(p.Name):
				t.Errorf("%s: parameter %+v", f.Name, p)
			case !pointer && (p.Type != U32 || len(p.Count) != 0 || p.Optional):
				t.Errorf("%s: %s: a number that is no plain u32", f.Name, p.Name)
			case pointer && (!strings.HasSuffix(p.Name, "ptr") || len(p.Count) == 0 || p.Type.Size() == 0):
				t.Errorf("%s: %s: a pointer to nothing", f.Name, p.Name)
			}
			for _, factor := range p.Count {
				if !numbers[factor] && !shape[factor] {
					t.Errorf("%s: %s: count %q is no parameter and no field of the model's shape", f.Name, p.Name, factor)
				}
			}
		}
	}
	for _, f := range Functions() {
		if got, ok := Function(f.Name); !ok || got.Name != f.Name || !strings.HasPrefix(f.Name, "realm_") {
			t.Errorf("Function(%q) = %v, %v", f.Name, got.Name, ok)
		}
	}
	if _, ok := Function("realm_nothing"); ok {
		t.Error("found a function that is none")
	}
}

// TestLayouts compares the structs of the documentation with Go's, field by field.
func TestLayouts(t *testing.T) {
	check := func(s Struct, value any) {
		t.Helper()
		typ := reflect.TypeOf(value)
		var offsets, want []uint32
		var types, wantTypes []string
		var flatten func(typ reflect.Type, at uintptr)
		flatten = func(typ reflect.Type, at uintptr) {
			if typ.Kind() == reflect.Array {
				for i := range typ.Len() {
					flatten(typ.Elem(), at+uintptr(i)*typ.Elem().Size())
				}
				return
			}
			want = append(want, uint32(at))
			wantTypes = append(wantTypes, map[reflect.Kind]string{
				reflect.Uint32: "u32", reflect.Uint64: "u64", reflect.Int32: "i32", reflect.Float32: "f32",
			}[typ.Kind()])
		}
		for i := range typ.NumField() {
			flatten(typ.Field(i).Type, typ.Field(i).Offset)
		}
		end := uint32(0)
		for _, f := range s.Fields {
			offsets, types = append(offsets, f.Offset), append(types, f.Type.String())
			if f.Offset != end || f.Doc == "" {
				t.Errorf("%s: field %+v: want offset %d", s.Name, f, end)
			}
			end = f.Offset + f.Type.Size()
		}
		if end != s.Size || s.Size != uint32(typ.Size()) {
			t.Errorf("%s: %d bytes, its fields end at %d, Go's at %d", s.Name, s.Size, end, typ.Size())
		}
		if !slices.Equal(offsets, want) || !slices.Equal(types, wantTypes) {
			t.Errorf("%s: %v %v, Go has %v %v", s.Name, offsets, types, want, wantTypes)
		}
	}
	check(modelInfo, ModelInfo{})
	check(tokenLogprob, TokenLogprob{})
	check(VocabHead(), vocabHead{})
}

func TestModelInfo(t *testing.T) {
	want := ModelInfo{TotalSize: 1<<40 + 3, FileSize: 7, ModelID: 0xDEADBEEF, VocabSize: 49152, TrainedContextLength: 8192}
	b := want.Encode()
	if len(b) != ModelInfoSize || b[20] != 0xEF || b[60] != 0 || b[61] != 0x20 {
		t.Errorf("encoded: % x", b)
	}
	for _, longer := range []int{0, 8} {
		if got, err := DecodeModelInfo(append(b, make([]byte, longer)...)); err != nil || got != want {
			t.Errorf("decoded %+v, %v", got, err)
		}
	}
	if _, err := DecodeModelInfo(b[:63]); !errors.Is(err, errs.InvalidFormat) {
		t.Errorf("cut off: %v", err)
	}
}

func TestTokenChunk(t *testing.T) {
	nan := float32(math.NaN())
	b := AppendTokenChunk(nil, TokenLogprob{5, nan}, TokenLogprob{1, -0.5}, TokenLogprob{2, -1})
	token, top, err := ParseTokenChunk(b)
	if err != nil || token.ID != 5 || token.Logprob == token.Logprob ||
		!slices.Equal(top, []TokenLogprob{{1, -0.5}, {2, -1}}) {
		t.Errorf("parsed %v %v %v", token, top, err)
	}
	for _, bad := range [][]byte{nil, b[:7], b[:9]} {
		if _, _, err := ParseTokenChunk(bad); !errors.Is(err, errs.InvalidFormat) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func TestErrorResults(t *testing.T) {
	for _, code := range errs.Codes()[1:] {
		if got := ErrorCode(ErrorResult(code)); got != code {
			t.Errorf("%v came back as %v", code, got)
		}
	}
	if ErrorResult(nil) != 0 || ErrorResult(errors.New("x")) != -int32(errs.Internal) {
		t.Error("nil or an error without a code")
	}
	for _, result := range []int32{0, 7, -100, math.MinInt32} {
		if got := ErrorCode(result); got != errs.Internal {
			t.Errorf("ErrorCode(%d) = %v", result, got)
		}
	}
}

func TestBias(t *testing.T) {
	s := Sampling{LogitBias: map[int32]Bias{3: Bias(math.Inf(-1)), 4: -1.5}, Seed: math.MaxUint64}
	b, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(b), `{"3":null,"4":-1.5}`) || !strings.Contains(string(b), `"18446744073709551615"`) {
		t.Fatalf("%s, %v", b, err)
	}
	var back Sampling
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(s, back) {
		t.Errorf("%+v, %v", back, err)
	}
}
