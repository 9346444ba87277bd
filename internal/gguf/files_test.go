package gguf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// root is the repository's root, seen from this package.
const root = "../.."

// fixtures lists the vocabularies of the shared fixtures; the test is skipped where they are absent.
func fixtures(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "..", "shared", "fixtures", "tokenizer", "*.gguf"))
	if err != nil {
		tb.Fatal(err)
	}
	if len(paths) == 0 {
		tb.Skip("no shared fixtures")
	}
	return paths
}

// realModel is the path of SmolLM2-135M-Instruct Q4_1; the test is skipped where it is absent.
func realModel(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		path = filepath.Join(root, "build", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	info, err := os.Stat(path)
	if err != nil {
		tb.Skipf("no model: %v", err)
	}
	if info.Size() != 98_362_432 {
		tb.Skipf("%s is another model", path)
	}
	return path
}

// open opens a file and closes it with the test.
func open(tb testing.TB, path string, opts Options) *File {
	tb.Helper()
	f, err := OpenWith(path, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
	})
	return f
}

func TestFixtures(t *testing.T) {
	vocabs := map[string]struct {
		model                  string
		tokens, merges, scores int
	}{
		"ggml-vocab-bert-bge.gguf":     {"bert", 30522, 0, 0},
		"ggml-vocab-deepseek-llm.gguf": {"gpt2", 102400, 99757, 0},
		"ggml-vocab-gpt-2.gguf":        {"gpt2", 50257, 50000, 0},
		"ggml-vocab-llama-spm.gguf":    {"llama", 32000, 0, 32000},
		"ggml-vocab-phi-3.gguf":        {"llama", 32064, 0, 32064},
	}
	for _, path := range fixtures(t) {
		f := open(t, path, Options{})
		model, _ := f.String("tokenizer.ggml.model")
		tokens, _ := f.Strings("tokenizer.ggml.tokens")
		merges, _ := f.Strings("tokenizer.ggml.merges")
		scores, _ := f.Floats("tokenizer.ggml.scores")
		types, _ := f.Ints("tokenizer.ggml.token_type")
		want := vocabs[filepath.Base(path)]
		if model != want.model || len(tokens) != want.tokens || len(merges) != want.merges || len(scores) != want.scores ||
			len(types) != want.tokens {
			t.Errorf("%s: model %q, %d tokens, %d merges, %d scores, %d types; want %+v",
				path, model, len(tokens), len(merges), len(scores), len(types), want)
		}
		if len(f.Tensors()) != 0 || f.TensorBytes() != 0 {
			t.Errorf("%s: %d tensors", path, len(f.Tensors()))
		}
	}
}

// TestRealModelRewritten writes the model from what was parsed. It was made by llama.cpp's own quantizer, and comes out
// the same to the last byte.
func TestRealModelRewritten(t *testing.T) {
	f := open(t, realModel(t), Options{})
	w := NewWriter()
	for key, v := range f.Metadata() {
		if err := w.Set(key, v.Any()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tensor := range f.Tensors() {
		if err := w.Add(tensor.Name, tensor.DType, tensor.Shape, bytes.NewReader(tensor.Data())); err != nil {
			t.Fatal(err)
		}
	}
	want := &equalWriter{want: f.Parts()[0].Bytes()}
	if _, err := w.WriteTo(want); err != nil {
		t.Fatal(err)
	}
	if len(want.want) > 0 {
		t.Errorf("%d bytes were not written", len(want.want))
	}
}

// equalWriter takes only the bytes it wants.
type equalWriter struct{ want []byte }

func (w *equalWriter) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(w.want, b) {
		return 0, errors.New("different bytes")
	}
	w.want = w.want[len(b):]
	return len(b), nil
}

func TestRealModel(t *testing.T) {
	f := open(t, realModel(t), Options{})
	if got := len(f.Tensors()); got != 272 || f.Version() != 3 || f.Alignment() != 32 {
		t.Errorf("%d tensors, version %d, alignment %d", got, f.Version(), f.Alignment())
	}
	for name, want := range map[string]struct {
		dtype DType
		shape [2]uint64
	}{
		"token_embd.weight":    {Q8_0, [2]uint64{576, 49152}},
		"blk.0.attn_q.weight":  {Q4_1, [2]uint64{576, 576}},
		"blk.29.ffn_up.weight": {Q4_1, [2]uint64{576, 1536}},
	} {
		tensor, ok := f.Tensor(name)
		if !ok || tensor.DType != want.dtype || !slices.Equal(tensor.Shape, want.shape[:]) {
			t.Errorf("%s: %+v, want %+v", name, tensor, want)
		}
	}
	var sum int64
	for _, tensor := range f.Tensors() {
		if int64(len(tensor.Data())) != tensor.Size {
			t.Errorf("%s: %d bytes of data, want %d", tensor.Name, len(tensor.Data()), tensor.Size)
		}
		sum += tensor.Size
	}
	if sum != f.TensorBytes() || sum >= f.Size() {
		t.Errorf("tensors sum to %d, TensorBytes %d, Size %d", sum, f.TensorBytes(), f.Size())
	}
}
