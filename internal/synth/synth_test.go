package synth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/quant"
)

var update = flag.Bool("update", false, "write testdata/sha256.txt again")

// writeTiny writes a model into memory.
func writeTiny(t *testing.T, shape string, seed uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(t.Context(), &out, shape, Options{Seed: seed}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestSameBytesEverywhere compares the digest of every shape with the one that was committed, the large ones included:
// benchmarks and goldens made on one machine must hold on another.
func TestSameBytesEverywhere(t *testing.T) {
	var got strings.Builder
	for _, shape := range Shapes() {
		h := sha256.New()
		if err := Write(t.Context(), h, shape, Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), shape)
	}
	golden := filepath.Join("testdata", "sha256.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got.String(), "\n") {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Errorf("line %d of %s: got %q; if the change is meant, run go test -update", i+1, golden, line)
		}
	}
}

func TestSeedChangesWeightsOnly(t *testing.T) {
	a, b := writeTiny(t, "tiny-llama-q4_0", 1), writeTiny(t, "tiny-llama-q4_0", 2)
	if len(a) != len(b) {
		t.Fatalf("sizes %d and %d", len(a), len(b))
	}
	fa, err := gguf.Parse(a)
	if err != nil {
		t.Fatal(err)
	}
	fb, err := gguf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, ta := range fa.Tensors() {
		tb, ok := fb.Tensor(ta.Name)
		if !ok || bytes.Equal(ta.Data(), tb.Data()) {
			t.Errorf("%s: missing or the same with both seeds", ta.Name)
		}
	}
	k, _ := fa.Tensor("blk.0.attn_k.weight")
	v, _ := fa.Tensor("blk.0.attn_v.weight")
	if bytes.Equal(k.Data(), v.Data()) {
		t.Error("two tensors of one shape have the same weights")
	}
}

// TestTinyLlama1B holds the large shape to the figures of the real file.
func TestTinyLlama1B(t *testing.T) {
	const realSize = 668_788_096
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var size counter
	var done, total int64
	err := Write(t.Context(), &size, "tinyllama-1.1b-q4_k_m", Options{Progress: func(d, n int64) { done, total = d, n }})
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 100<<20 {
		t.Errorf("%d MB allocated on the way", allocated>>20)
	}
	if off := math.Abs(float64(size)/realSize - 1); off > 0.001 {
		t.Errorf("%d bytes, %.2f%% off the real file's %d", size, 100*off, realSize)
	}
	if done != total || total < realSize*99/100 || total > int64(size) {
		t.Errorf("progress ended at %d of %d bytes of tensors; the file has %d", done, total, size)
	}

	s := &shapes[0]
	tensors := s.tensors(32000)
	if len(tensors) != 201 {
		t.Errorf("%d tensors, want 201", len(tensors))
	}
	var more []string
	for _, tensor := range tensors {
		if tensor.dtype == quant.Q6_K {
			more = append(more, strings.NewReplacer("blk.", "", "attn_", "", "ffn_", "", ".weight", "").Replace(tensor.name))
		}
	}
	slices.Sort(more)
	want := []string{"output"}
	for _, layer := range []int{0, 1, 4, 7, 10, 13, 16, 19, 20, 21} {
		want = append(want, fmt.Sprintf("%d.v", layer), fmt.Sprintf("%d.down", layer))
	}
	slices.Sort(want)
	if !slices.Equal(more, want) {
		t.Errorf("Q6_K in %q, want %q", more, want)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// TestSmolLM2 holds the shape to the real file: the same tensors in the same order, and the same metadata but for names
// and the vocabulary's contents.
func TestSmolLM2(t *testing.T) {
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		path = filepath.Join("..", "..", "build", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("no model: run make test, or set REALM_MODEL")
	}
	real, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	if name, _ := real.String("general.basename"); name != "smollm2" {
		t.Skipf("REALM_MODEL is %q, not smollm2", name)
	}
	made, err := gguf.Parse(writeTiny(t, "smollm2-135m-q4_1", 1))
	if err != nil {
		t.Fatal(err)
	}
	wantTensors, gotTensors := real.Tensors(), made.Tensors()
	if len(wantTensors) != len(gotTensors) {
		t.Fatalf("%d tensors, want %d", len(gotTensors), len(wantTensors))
	}
	for i, want := range wantTensors {
		got := gotTensors[i]
		if got.Name != want.Name || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("tensor %d is %s %v %v, want %s %v %v",
				i, got.Name, got.DType, got.Shape, want.Name, want.DType, want.Shape)
		}
	}
	values := map[string]gguf.Value{}
	for key, value := range made.Metadata() {
		values[key] = value
	}
	for key, want := range real.Metadata() {
		got, ok := values[key]
		if want.Kind() == gguf.KindString || key == "general.languages" {
			continue
		}
		if !ok || got.Kind() != want.Kind() || got.Elem() != want.Elem() {
			t.Errorf("%s: %v, want %v", key, got.Kind(), want.Kind())
			continue
		}
		if key == "tokenizer.ggml.merges" {
			// The real one has no tokens for some of the bytes that UTF-8 never uses, and so more merges.
			continue
		}
		if got.Len() != want.Len() || got.Kind() != gguf.KindArray && got.Any() != want.Any() {
			t.Errorf("%s: %v, want %v", key, got.Any(), want.Any())
		}
	}
}

// TestTinyShapes reads back every tiny model.
func TestTinyShapes(t *testing.T) {
	for _, s := range shapes {
		if !strings.HasPrefix(s.name, "tiny-") {
			continue
		}
		file, err := gguf.Parse(writeTiny(t, s.name, 1))
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		for _, tensor := range file.Tensors() {
			values := dequantize(t, tensor.Data(), quant.DType(tensor.DType))
			for i, x := range values {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					t.Errorf("%s: %s: weight %d is %v", s.name, tensor.Name, i, x)
					break
				}
			}
			matrix := len(tensor.Shape) == 2
			if want := s.dtype("", 0); matrix && quant.DType(tensor.DType) != want {
				t.Errorf("%s: %s is %v, want %v", s.name, tensor.Name, tensor.DType, want)
			}
		}
		for suffix, want := range map[string]bool{
			"output.weight":            s.name == "tiny-llama-untied",
			"blk.1.attn_q.bias":        s.name == "tiny-llama-bias",
			"blk.1.ffn_down.bias":      s.name == "tiny-llama-bias",
			"rope_freqs.weight":        s.name == "tiny-llama-rope-llama3",
			"blk.1.attn_q_norm.weight": strings.HasPrefix(s.name, "tiny-qwen3"),
		} {
			if _, got := file.Tensor(suffix); got != want {
				t.Errorf("%s: has %s: %v, want %v", s.name, suffix, got, want)
			}
		}
	}
}

func dequantize(t *testing.T, data []byte, dtype quant.DType) []float32 {
	t.Helper()
	values := make([]float32, len(data)/dtype.BlockBytes()*dtype.BlockSize())
	if err := quant.Dequantize(values, data, dtype); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestUnknownShape(t *testing.T) {
	err := Write(t.Context(), io.Discard, "huge-llama", Options{})
	if !errors.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "tiny-llama-q4_k") {
		t.Errorf("got %v, want NotFound and a list of shapes", err)
	}
}

func TestCancel(t *testing.T) {
	for _, tc := range []struct {
		want errs.Code
		ctx  func() (context.Context, context.CancelFunc)
	}{
		{errs.Canceled, func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) }},
		{errs.DeadlineExceeded, func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), 1) }},
	} {
		ctx, cancel := tc.ctx()
		cancelOnce := func(done, _ int64) {
			if tc.want == errs.Canceled {
				cancel()
			} else {
				<-ctx.Done()
			}
			if done > 1<<20 {
				t.Error("goes on after the end of its context")
			}
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "m.gguf")
		if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := WriteFile(ctx, path, "tiny-llama-f32", Options{Progress: cancelOnce})
		cancel()
		if errs.CodeOf(err) != tc.want {
			t.Errorf("got %v, want %v", err, tc.want)
		}
		data, err := os.ReadFile(path)
		entries, _ := os.ReadDir(dir)
		if err != nil || string(data) != "old" || len(entries) != 1 {
			t.Errorf("an unfinished file took the old one's place, or something was left: %q, %v, %v", data, err, entries)
		}
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := WriteFile(t.Context(), path, "tiny-llama-q8_0", Options{Seed: 7}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, writeTiny(t, "tiny-llama-q8_0", 7)) {
		t.Errorf("WriteFile and Write differ, error %v", err)
	}
	absent := filepath.Join(t.TempDir(), "absent", "m.gguf")
	if err := WriteFile(t.Context(), absent, "tiny-llama-q8_0", Options{}); !errors.Is(err, errs.IO) {
		t.Errorf("got %v, want IO", err)
	}
}

func TestWriterFails(t *testing.T) {
	full := errors.New("no space left")
	err := Write(t.Context(), failing{full}, "tiny-llama-f32", Options{})
	if !errors.Is(err, errs.IO) || !errors.Is(err, full) {
		t.Errorf("got %v, want IO wrapping %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func BenchmarkWrite(b *testing.B) {
	for _, shape := range []string{"tinyllama-1.1b-q4_k_m", "smollm2-135m-q4_1", "tiny-llama-f32"} {
		b.Run(shape, func(b *testing.B) {
			for b.Loop() {
				var size counter
				if err := Write(b.Context(), &size, shape, Options{Seed: 1}); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
			}
		})
	}
}
