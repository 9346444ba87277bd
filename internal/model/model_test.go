package model_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/kvcache"
	"github.com/realm-ai/realm/internal/model"
	"github.com/realm-ai/realm/internal/quant"
	"github.com/realm-ai/realm/internal/synth"
)

// openSynth writes and opens a synthetic model.
func openSynth(t testing.TB, shape string) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), shape+".gguf")
	if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func tinyShapes() []string {
	var tiny []string
	for _, s := range synth.Shapes() {
		if strings.HasPrefix(s, "tiny-") {
			tiny = append(tiny, s)
		}
	}
	return tiny
}

func load(t testing.TB, f *gguf.File) *model.Model {
	t.Helper()
	m, err := model.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// someTokens is a sequence longer than a page of the KV cache.
func someTokens(vocab, n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32((i*i*31 + i*7 + 3) % vocab)
	}
	return tokens
}

// TestTinyModelsAgainstReference runs every dtype, rotation, bias and architecture against the exact forward pass.
func TestTinyModelsAgainstReference(t *testing.T) {
	for _, shape := range tinyShapes() {
		t.Run(shape, func(t *testing.T) {
			f := openSynth(t, shape)
			m := load(t, f)
			tokens := someTokens(m.Config.Vocab, 70)
			exact := referenceLogits(t, f, tokens, 0)
			// What 8-bit activations and an F16 cache may cost; float weights and a float32 cache leave only rounding.
			for _, c := range []struct {
				f32   bool
				bound float64
			}{{false, 3e-3}, {true, 3e-3}} {
				if c.f32 && floatWeights(m) {
					c.bound = 1e-10
				}
				squared, energy := 0.0, 0.0
				newEvaluator(t, f, c.f32).logits(t, tokens, 0, func(i int, logits []float32) {
					s, e := squaredError(logits, exact[i])
					squared += s
					energy += e
				})
				if nmse := squared / energy; !(nmse < c.bound) {
					t.Errorf("float32 cache %v: NMSE %.3g against exact arithmetic, want below %g", c.f32, nmse, c.bound)
				}
			}
		})
	}
}

func floatWeights(m *model.Model) bool {
	switch m.Weights.Layers[0].Q.DType.String() {
	case "F32", "F16", "BF16":
		return true
	}
	return false
}

// TestForwardBits computes one text in every way that must not matter: threads, chunks, layer by layer, in a batch with
// another sequence, and on a prefix that another sequence left.
func TestForwardBits(t *testing.T) {
	// Package kernel holds every dtype to its bits; here it is the ways through the model that differ.
	for _, shape := range []string{"tiny-llama-f16", "tiny-llama-q4_1", "tiny-llama-q6_k", "tiny-llama-rope-yarn", "tiny-qwen3-q8_0"} {
		t.Run(shape, func(t *testing.T) {
			m := load(t, openSynth(t, shape))
			tokens := someTokens(m.Config.Vocab, 140)
			want := uint64(0)
			check := func(how string, logits []float32) {
				t.Helper()
				h := fnv.New64a()
				_ = binary.Write(h, binary.LittleEndian, logits)
				if want == 0 {
					want = h.Sum64()
				}
				if h.Sum64() != want {
					t.Errorf("%s: other logits", how)
				}
			}
			vocab := m.Config.Vocab
			for _, threads := range []int{1, 2, 3} {
				pool := kernel.NewPool(threads)
				s := m.NewState(pool)
				cache := kvcache.New(m.Config.CacheShape(false), 0)
				for _, chunk := range []int{1, 7, 64, 512} {
					seq := cache.NewSequence()
					logits := make([]float32, len(tokens)*vocab)
					for p := 0; p < len(tokens); p += chunk {
						n := min(chunk, len(tokens)-p)
						forward(t, s, tokens[p:p+n], []model.Segment{{Seq: seq, Position: p, N: n}}, logits[p*vocab:])
					}
					check(fmt.Sprintf("%d threads, chunks of %d", threads, chunk), logits)
					if chunk != 64 {
						continue
					}
					// Again on what stands in the cache, from the middle of a page, on a fork and by layer.
					const from = 100
					fork, err := seq.Fork(from)
					if err != nil {
						t.Fatal(err)
					}
					forward(t, s, tokens[from:], []model.Segment{{Seq: fork, Position: from, N: len(tokens) - from}}, logits[from*vocab:])
					check("on a cached prefix", logits)

					hidden := make([]float32, (len(tokens)-from)*m.Config.Hidden)
					if err := m.Embed(hidden, tokens[from:]); err != nil {
						t.Fatal(err)
					}
					for layer := range m.Config.Layers {
						if err := s.ForwardLayer(layer, hidden, model.Segment{Seq: fork, Position: from, N: len(tokens) - from}); err != nil {
							t.Fatal(err)
						}
					}
					s.Logits(logits[from*vocab:], hidden)
					check("layer by layer", logits)

					// One batch of three sequences at different positions.
					a, b := cache.NewSequence(), cache.NewSequence()
					other := make([]float32, 5*vocab)
					forward(t, s, tokens[:5], []model.Segment{{Seq: b, N: 5}}, other)
					forward(t, s, tokens[:from], []model.Segment{{Seq: a, N: from}}, logits)
					batch := append(append(append([]int32(nil), tokens[5:12]...), tokens[from:]...), tokens[0])
					rest := len(tokens) - from
					all := make([]float32, len(batch)*vocab)
					forward(t, s, batch, []model.Segment{
						{Seq: b, Position: 5, N: 7},
						{Seq: a, Position: from, N: rest},
						{Seq: cache.NewSequence(), N: 1},
					}, all)
					copy(logits[from*vocab:], all[7*vocab:(7+rest)*vocab])
					check("in a batch", logits)
				}
				pool.Close()
			}
		})
	}
}

// forward writes the logits of all tokens.
func forward(t testing.TB, s *model.State, tokens []int32, segments []model.Segment, logits []float32) {
	t.Helper()
	want := make([]int, len(tokens))
	for i := range want {
		want[i] = i
	}
	for _, seg := range segments {
		if err := s.Reserve(seg); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Forward(context.Background(), tokens, segments, want, logits); err != nil {
		t.Fatal(err)
	}
}

func TestForwardErrors(t *testing.T) {
	m := load(t, openSynth(t, "tiny-llama-q8_0"))
	pool := kernel.NewPool(2)
	defer pool.Close()
	s := m.NewState(pool)
	cache := kvcache.New(m.Config.CacheShape(false), 3*m.Config.CacheShape(false).PageBytes())
	seq := cache.NewSequence()
	logits := make([]float32, m.Config.Vocab)
	run := func(ctx context.Context, tokens []int32, position int) error {
		segment := model.Segment{Seq: seq, Position: position, N: len(tokens)}
		if err := s.Reserve(segment); err != nil {
			return err
		}
		return s.Forward(ctx, tokens, []model.Segment{segment}, nil, logits)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name string
		err  error
		code errs.Code
	}{
		{"a token beyond the vocabulary", run(context.Background(), []int32{int32(m.Config.Vocab)}, 0), errs.InvalidArgument},
		{"a negative token", run(context.Background(), []int32{-1}, 0), errs.InvalidArgument},
		{"a gap", run(context.Background(), []int32{1}, 5), errs.InvalidArgument},
		{"a full cache", run(context.Background(), someTokens(m.Config.Vocab, 100), 0), errs.OutOfMemory},
		{"a cancelled context", run(canceled, []int32{1}, 0), errs.Canceled},
	} {
		if !errors.Is(c.err, c.code) {
			t.Errorf("%s: %v, want code %s", c.name, c.err, c.code.Name())
		}
		seq.Truncate(0)
	}
}

// rewrite copies the metadata and tensors of a file, with changes.
func rewrite(t *testing.T, f *gguf.File, metadata map[string]any, tensor func(*gguf.Tensor) (name string, shape []uint64, keep bool)) *gguf.File {
	t.Helper()
	w := gguf.NewWriter()
	for key, v := range f.Metadata() {
		value, changed := metadata[key]
		if !changed {
			value = v.Any()
		}
		if value == nil {
			continue
		}
		if err := w.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range metadata {
		if _, ok := f.Uint(key); !ok && value != nil && !strings.HasPrefix(key, "general.") {
			_ = w.Set(key, value) // one that the file does not have yet
		}
	}
	for _, x := range f.Tensors() {
		name, shape, keep := x.Name, x.Shape, true
		if tensor != nil {
			name, shape, keep = tensor(x)
		}
		if !keep {
			continue
		}
		if err := w.Add(name, x.DType, shape, bytes.NewReader(x.Data())); err != nil {
			t.Fatal(err)
		}
	}
	var buf bytes.Buffer
	if _, err := w.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	out, err := gguf.Parse(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLoadRejects(t *testing.T) {
	f := openSynth(t, "tiny-llama-f32")
	tensor := func(name, newName string, swap, keep bool) func(*gguf.Tensor) (string, []uint64, bool) {
		return func(x *gguf.Tensor) (string, []uint64, bool) {
			if x.Name != name {
				return x.Name, x.Shape, true
			}
			shape := append([]uint64(nil), x.Shape...)
			if swap {
				shape[0] *= 2
				shape[len(shape)-1] /= 2
			}
			return newName, shape, keep
		}
	}
	for _, c := range []struct {
		metadata map[string]any
		tensor   func(*gguf.Tensor) (string, []uint64, bool)
		code     errs.Code
		message  string
	}{
		{map[string]any{"general.architecture": "mamba"}, nil, errs.Unsupported, `architecture "mamba" is not supported: Realm runs llama, qwen3`},
		{map[string]any{"general.architecture": nil}, nil, errs.InvalidFormat, "general.architecture"},
		{map[string]any{"llama.block_count": nil}, nil, errs.InvalidFormat, "llama.block_count"},
		{map[string]any{"llama.block_count": uint32(1 << 30)}, nil, errs.InvalidFormat, "llama.block_count"},
		{map[string]any{"llama.block_count": uint32(3)}, nil, errs.InvalidFormat, "blk.2.attn_norm.weight"},
		{map[string]any{"llama.block_count": uint32(1)}, nil, errs.Unsupported, "blk.1."},
		{map[string]any{"llama.attention.head_count": uint32(3)}, nil, errs.InvalidFormat, "llama.attention.head_count"},
		{map[string]any{"llama.attention.head_count_kv": uint32(3)}, nil, errs.InvalidFormat, "head_count_kv"},
		{map[string]any{"llama.attention.head_count_kv": []uint32{2, 2}}, nil, errs.InvalidFormat, "head_count_kv"},
		{map[string]any{"llama.attention.head_count": uint32(0)}, nil, errs.InvalidFormat, "llama.attention.head_count"},
		{map[string]any{"llama.attention.layer_norm_rms_epsilon": float32(-1)}, nil, errs.InvalidFormat, "layer_norm_rms_epsilon"},
		{map[string]any{"llama.rope.freq_base": float32(0)}, nil, errs.InvalidFormat, "rope.freq_base"},
		{map[string]any{"llama.rope.dimension_count": uint32(1000)}, nil, errs.InvalidFormat, "rope.dimension_count"},
		{map[string]any{"llama.rope.scaling.type": "longrope"}, nil, errs.Unsupported, "longrope"},
		{map[string]any{"llama.expert_count": uint32(8)}, nil, errs.Unsupported, "8 experts"},
		{nil, tensor("token_embd.weight", "", false, false), errs.InvalidFormat, "token_embd.weight"},
		{nil, tensor("output_norm.weight", "", false, false), errs.InvalidFormat, "output_norm.weight"},
		{nil, tensor("blk.1.ffn_up.weight", "", false, false), errs.InvalidFormat, "blk.1.ffn_up.weight"},
		{nil, tensor("blk.1.ffn_up.weight", "blk.1.ffn_up.weight", true, true), errs.InvalidFormat, "blk.1.ffn_up.weight"},
		{nil, tensor("blk.0.attn_q.weight", "blk.0.attn_qkv.weight", false, true), errs.InvalidFormat, "blk.0.attn_q.weight"},
	} {
		_, err := model.Load(rewrite(t, f, c.metadata, c.tensor))
		if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%v: error %v, want code %s and %q", c.metadata, err, c.code.Name(), c.message)
		}
	}
}

// TestDTypesAgree compares what the container and the numbers say of a dtype: each has a table of its own, since neither
// package knows the other.
func TestDTypesAgree(t *testing.T) {
	n := 0
	for id := range uint32(64) {
		q, g := quant.DType(id), gguf.DType(id)
		if !q.Supported() {
			continue
		}
		n++
		if q.String() != g.String() || q.BlockSize() != g.BlockSize() || q.BlockBytes() != g.BlockBytes() {
			t.Errorf("dtype %d: quant has %v, %d weights in %d bytes; gguf has %v, %d in %d",
				id, q, q.BlockSize(), q.BlockBytes(), g, g.BlockSize(), g.BlockBytes())
		}
	}
	if n != 15 {
		t.Errorf("%d dtypes are supported, want 15", n)
	}
}
