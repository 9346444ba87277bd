// Package model owns transformer models: their shape and weights, read from a GGUF file by architecture, and the
// forward pass from token IDs to logits.
//
// It must not know of text, sampling, sessions or scheduling. Arithmetic is package kernel's, the KV cache package
// kvcache's; a forward pass reads from top to bottom in forward.go. A new architecture is one file like qwen3.go and one
// line in the map below. Start at Load and State.Forward.
package model

import (
	"slices"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/kvcache"
)

// architectures are those that Realm runs, by `general.architecture`.
var architectures = map[string]architecture{
	"llama": llama,
	"qwen3": qwen3,
}

// architecture is how one family of models differs from llama.
type architecture struct {
	config func(*Config, *reader)
	layer  func(*Layer, *Config, *loader, int)
}

// Architectures returns the names of the supported architectures, sorted.
func Architectures() []string {
	var names []string
	for name := range architectures {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Model is a model's shape and weights. It is immutable but for Pack and Free, safe for concurrent use, and views the file
// it came from: the file must stay open as long as the model is used.
type Model struct {
	Config  Config
	Weights Weights
	Images  Images // where Pack looks for packed weights and keeps them; nil for nowhere
	rope    *kernel.Rope

	file     *gguf.File
	matrices []loaded
	packed   [][]byte
}

// Load reads a model from a file. No weights are copied, except vectors.
func Load(f *gguf.File) (*Model, error) {
	name, ok := f.String("general.architecture")
	if !ok {
		return nil, errs.Errorf(errs.InvalidFormat, "model: metadata \"general.architecture\": missing")
	}
	arch, ok := architectures[name]
	if !ok {
		return nil, errs.Errorf(errs.Unsupported, "model: architecture %q is not supported: Realm runs %s",
			name, strings.Join(Architectures(), ", "))
	}
	config, err := readConfig(f)
	if err != nil {
		return nil, err
	}
	r := reader{f: f, prefix: name + "."}
	if arch.config(&config, &r); r.err != nil {
		return nil, r.err
	}
	m := &Model{Config: config, file: f}
	c := &m.Config

	l := &loader{f: f, taken: map[string]bool{}}
	embed, ok := f.Tensor("token_embd.weight")
	if !ok || len(embed.Shape) != 2 || embed.Shape[1] == 0 || embed.Shape[1] > 1<<24 {
		return nil, errs.Errorf(errs.InvalidFormat, "model: tensor \"token_embd.weight\": missing or not (vocab, hidden)")
	}
	c.Vocab = int(embed.Shape[1])
	w := &m.Weights
	w.Embed = l.matrix("token_embd.weight", c.Vocab, c.Hidden)
	w.OutputNorm = l.vector("output_norm.weight", c.Hidden)
	w.Output = w.Embed
	if _, ok := f.Tensor("output.weight"); ok {
		w.Output = l.matrix("output.weight", c.Vocab, c.Hidden)
	}
	for i := range c.Layers {
		layer := l.layer(c, i)
		arch.layer(&layer, c, l, i)
		if l.err != nil {
			return nil, l.err
		}
		w.Layers = append(w.Layers, layer)
	}
	if c.RopeScaling.Divisors = l.optional("rope_freqs.weight", c.RopeDim/2); l.err != nil {
		return nil, l.err
	}
	for i, d := range c.RopeScaling.Divisors {
		if d <= 0 {
			return nil, errs.Errorf(errs.InvalidFormat, "model: tensor \"rope_freqs.weight\": element %d is %v", i, d)
		}
	}
	for _, t := range f.Tensors() {
		if !l.taken[t.Name] {
			return nil, errs.Errorf(errs.Unsupported, "model: tensor %q: architecture %s has none of that name", t.Name, name)
		}
	}
	m.matrices = l.matrices
	m.rope = kernel.NewRope(c.RopeDim, c.RopeBase, c.RopeHalves, c.RopeScaling)
	return m, nil
}

// LayerProducts is the multiply-adds of one token with the matrices of a layer.
func (c *Config) LayerProducts() int {
	return c.Hidden * (c.Heads*(c.HeadDim+c.ValueDim) + c.KVHeads*(c.HeadDim+c.ValueDim) + 3*c.FFN)
}

// CacheShape is the shape of the model's KV cache.
func (c *Config) CacheShape(f32 bool) kvcache.Shape {
	return kvcache.Shape{Layers: c.Layers, KVHeads: c.KVHeads, HeadDim: c.HeadDim, ValueDim: c.ValueDim, F32: f32}
}
