package cli

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
)

// description is of a file with an array of 20 elements, of which it has the first ones.
// description is of a file with an array of 20 elements, of which it has the first ones.
func description(shown int) *realm.Description {
	ids := make([]any, 20)
	for i := range ids {
		ids[i] = int32(i)
	}
	return &realm.Description{
		Version: 3, FileBytes: 2000, TensorBytes: 1800, Parts: 2,
		Metadata: []realm.KeyValue{
			{Key: "z.last.by.name", Type: "u32", Value: uint32(7)},
			{Key: "a\x1b[2J", Type: "str", Value: "clear\x1b[2J " + strings.Repeat("long ", 20)},
			{Key: "nan", Type: "f32", Value: float32(math.NaN())},
			{Key: "inf", Type: "f64", Value: math.Inf(-1)},
			{Key: "ids", Type: "arr[i32]", Value: ids[:shown], Length: 20},
			{Key: "none", Type: "arr[str]", Value: []any{}},
			{Key: "nested", Type: "arr[arr]", Value: []any{[]uint8{1, 2}, []float32{float32(math.Inf(1))}}, Length: 2},
		},
		Tensors: []realm.Tensor{
			{Name: "small", DType: "F32", Shape: []uint64{10}, Bytes: 40},
			{Name: "large", DType: "Q4_0", Shape: []uint64{64, 50}, Bytes: 1760},
			{Name: "evil\n", DType: "F32", Shape: []uint64{}, Bytes: 4},
		},
	}
}

func TestInspectJSON(t *testing.T) {
	r := NewInspectResult("x.gguf", description(ShownElements))
	r.Reason = "because"
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"file":"x.gguf","gguf_version":3,"parts":2,"file_bytes":2000,"tensor_bytes":1800,"parameters":3211`,
		`"supported":false,"unsupported_reason":"because","model":null,"session":null`,
		`"z.last.by.name":{"type":"u32","value":7}`,
		`"nan":{"type":"f32","value":"NaN"}`,
		`"inf":{"type":"f64","value":"-Inf"}`,
		`"ids":{"type":"arr[i32]","value":[0,1,2,3,4,5,6,7],"length":20}`,
		`"none":{"type":"arr[str]","value":[],"length":0}`,
		`"nested":{"type":"arr[arr]","value":[[1,2],["+Inf"]],"length":2}`,
		`"dtypes":[{"dtype":"Q4_0","tensors":1,"parameters":3200,"bytes":1760},{"dtype":"F32","tensors":2,"parameters":11,"bytes":44}]`,
		`{"name":"large","dtype":"Q4_0","shape":[64,50],"bytes":1760}`,
		`{"name":"evil\n","dtype":"F32","shape":[],"bytes":4}`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s\nis not in\n%s", want, data)
		}
	}
	all, err := json.Marshal(NewInspectResult("x.gguf", description(20)))
	if err != nil {
		t.Fatal(err)
	}
	if want := `"value":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19],"length":20`; !strings.Contains(string(all), want) {
		t.Errorf("%s\nis not in\n%s", want, all)
	}
}

func TestInspectText(t *testing.T) {
	r := NewInspectResult("x.gguf", description(ShownElements))
	r.SHA256 = "abc"
	r.SetModel(realm.Info{
		Architecture: "llama", Layers: 2, TrainedLength: 1024, CacheBytesPerToken: 23040,
		TemplateError: Errorf(realm.CodeUnsupported, "no \x1b"),
	})
	var b strings.Builder
	if err := r.WriteText(&b, false); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"file x.gguf format GGUF version 3, 2.00 kB in 2 parts sha256 abc tensors 3, 3.21K parameters in 1.80 kB",
		"Q4_0: 1, 3.20K parameters in 1.76 kB F32: 2, 11 parameters in 44 B",
		"model without a name, architecture llama 2 layers",
		"session KV cache in F16: 23.0 kB a token, 23.6 MB at the full context length",
		`template not used: no ␛ supported yes metadata (7) z.last.by.name u32 7 "a\x1b[2J" str "clear\x1b[2J long`,
		`"... 110 bytes nan f32 "NaN" inf`,
		`[0, 1, 2, 3, 4, 5, 6, 7, ... 20 in all] none arr[str] [] nested arr[arr] [[1, 2], ["+Inf"]]`,
		`tensors (3) small F32 10 40 B large Q4_0 64 x 50 1.76 kB "evil\n" F32 4 B`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nis not in\n%s", want, text)
		}
	}
	if strings.ContainsRune(b.String(), '\x1b') {
		t.Error("an escape sequence of the file reaches the terminal")
	}
	b.Reset()
	all := NewInspectResult("x.gguf", description(20))
	all.Reason = "no"
	if err := all.WriteText(&b, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"18, 19]", strings.Repeat("long ", 20) + `"`, "supported  no: no\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nis not in\n%s", want, b.String())
		}
	}
}
