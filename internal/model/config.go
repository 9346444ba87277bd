package model

import (
	"fmt"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
)

// Config is the shape of a model, from its metadata.
type Config struct {
	Architecture  string // `general.architecture`
	Name          string // `general.name`, may be empty
	Layers        int
	Hidden        int // width of the hidden state
	FFN           int // width of the feed-forward network
	Heads         int // query heads
	KVHeads       int // key and value heads, each serving Heads/KVHeads query heads
	HeadDim       int // of queries and keys
	ValueDim      int // of values
	Vocab         int
	ContextLength int // positions that the model was trained for
	RMSEps        float32
	RopeDim       int // dimensions of a head that rotate
	RopeBase      float64
	RopeScaling   kernel.RopeScaling
	RopeHalves    bool // pairs are (i, i+RopeDim/2) rather than neighbours
}

// The limits on a model's shape. They are far above any model that fits a machine, and keep a hostile file's numbers
// from overflowing when they are multiplied.
const (
	maxLayers  = 1 << 12
	maxWidth   = 1 << 20 // hidden state, feed-forward network, heads x dimension
	maxContext = 1 << 28
)

// readConfig reads the keys that every architecture has, under its name.
func readConfig(f *gguf.File) (Config, error) {
	r := reader{f: f}
	c := Config{Architecture: r.str("general.architecture")}
	r.prefix = c.Architecture + "."
	c.Name, _ = f.String("general.name")
	c.Layers = r.required("block_count", maxLayers)
	c.Hidden = r.required("embedding_length", maxWidth)
	c.FFN = r.required("feed_forward_length", maxWidth)
	c.Heads = r.required("attention.head_count", maxWidth)
	c.KVHeads = r.optional("attention.head_count_kv", c.Heads, maxWidth)
	c.ContextLength = r.required("context_length", maxContext)
	c.RMSEps = float32(r.float("attention.layer_norm_rms_epsilon", 0))
	if r.err == nil && c.Hidden%c.Heads != 0 && !r.has("attention.key_length") {
		r.fail("attention.head_count", "%d heads do not divide the hidden size %d", c.Heads, c.Hidden)
	}
	if r.err != nil {
		return c, r.err
	}
	c.HeadDim = r.optional("attention.key_length", c.Hidden/c.Heads, maxWidth)
	c.ValueDim = r.optional("attention.value_length", c.Hidden/c.Heads, maxWidth)
	c.RopeDim = r.optional("rope.dimension_count", c.HeadDim, maxWidth)
	c.RopeBase = r.float("rope.freq_base", 10000)
	c.RopeScaling = r.ropeScaling(c.ContextLength)
	switch {
	case r.err != nil:
	case c.Heads%c.KVHeads != 0:
		r.fail("attention.head_count_kv", "%d does not divide the %d heads", c.KVHeads, c.Heads)
	case c.Heads*c.HeadDim > maxWidth || c.Heads*c.ValueDim > maxWidth:
		r.fail("attention.key_length", "%d heads of %d are more than %d", c.Heads, max(c.HeadDim, c.ValueDim), maxWidth)
	case c.RopeDim > c.HeadDim || c.RopeDim%2 != 0:
		r.fail("rope.dimension_count", "%d is odd or more than the head dimension %d", c.RopeDim, c.HeadDim)
	case !(c.RopeBase > 1 && c.RopeBase < 1e15):
		r.fail("rope.freq_base", "%v is out of range", c.RopeBase)
	case !(c.RMSEps > 0 && c.RMSEps < 1):
		r.fail("attention.layer_norm_rms_epsilon", "%v is missing or out of range", c.RMSEps)
	}
	return c, r.err
}

// reader reads metadata and keeps the first error.
type reader struct {
	f      *gguf.File
	prefix string
	err    error
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = errs.Errorf(errs.InvalidFormat, "model: metadata %q: %s", r.prefix+key, fmt.Sprintf(format, args...))
	}
}

func (r *reader) str(key string) string {
	s, ok := r.f.String(key)
	if !ok {
		r.fail(key, "missing, or not a string")
	}
	return s
}

func (r *reader) has(key string) bool {
	_, ok := r.f.Uint(r.prefix + key)
	return ok
}

// optional reads a number from 1 to limit.
func (r *reader) optional(key string, fallback, limit int) int {
	n, ok := r.f.Uint(r.prefix + key)
	if !ok {
		if _, array := r.f.Ints(r.prefix + key); array {
			// Some architectures give a number for each layer.
			r.fail(key, "is an array: layers of different shapes are not supported")
		}
		return fallback
	}
	if n == 0 || n > uint64(limit) {
		r.fail(key, "%d is not from 1 to %d", n, limit)
		return 1
	}
	return int(n)
}

func (r *reader) required(key string, limit int) int {
	n := r.optional(key, 0, limit)
	if n == 0 {
		r.fail(key, "missing, or not a number")
		return 1
	}
	return n
}

func (r *reader) float(key string, fallback float64) float64 {
	if v, ok := r.f.Float(r.prefix + key); ok {
		return v
	}
	return fallback
}

// ropeScaling reads how the context length was extended, with llama.cpp's keys and defaults.
func (r *reader) ropeScaling(contextLength int) kernel.RopeScaling {
	s := kernel.RopeScaling{Factor: 1, BetaFast: 32, BetaSlow: 1}
	s.Magnitude = r.float("rope.scaling.attn_factor", 1) * r.float("rope.scaling.yarn_attn_factor", 1)
	kind, ok := r.f.String(r.prefix + "rope.scaling.type")
	if !ok {
		kind = "linear" // older files have only a factor
	}
	factor := r.float("rope.scaling.factor", r.float("rope.scale_linear", 1))
	if factor == 0 {
		factor = 1
	}
	switch kind {
	case "none":
		return s
	case "yarn":
		s.Yarn = true
		s.OriginalContext = r.optional("rope.scaling.original_context_length", contextLength, maxContext)
		s.BetaFast = r.float("rope.scaling.yarn_beta_fast", s.BetaFast)
		s.BetaSlow = r.float("rope.scaling.yarn_beta_slow", s.BetaSlow)
		if !(s.BetaFast > 0 && s.BetaSlow > 0 && s.BetaFast < 1e6 && s.BetaSlow < 1e6) {
			r.fail("rope.scaling.yarn_beta_fast", "%v and yarn_beta_slow %v are out of range", s.BetaFast, s.BetaSlow)
		}
		if ext := r.float("rope.scaling.yarn_ext_factor", 1); ext != 1 {
			r.fail("rope.scaling.yarn_ext_factor", "%v is not supported, only 1", ext)
		}
		if r.float("rope.scaling.yarn_log_multiplier", 0) != 0 {
			r.fail("rope.scaling.yarn_log_multiplier", "is not supported")
		}
	case "linear":
	default:
		r.err = errs.Errorf(errs.Unsupported, "model: metadata %q: %q is not supported: want none, linear or yarn",
			r.prefix+"rope.scaling.type", kind)
	}
	if !(factor > 1e-3 && factor < 1e6) || !(s.Magnitude > 1e-3 && s.Magnitude < 1e3) {
		r.fail("rope.scaling.factor", "%v is out of range", factor)
	}
	s.Factor = factor
	return s
}
