package model

import (
	"fmt"
	"math"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/quant"
)

// Weights are a model's tensors. Matrices view the file, or memory of their own once they are packed; vectors are small
// and converted to float32.
type Weights struct {
	Embed      *kernel.Matrix // (vocab, hidden)
	Layers     []Layer
	OutputNorm []float32      // (hidden)
	Output     *kernel.Matrix // (vocab, hidden); the same as Embed where a model ties them
}

// Layer is the weights of one transformer layer. A nil bias or norm is absent from the model.
type Layer struct {
	AttnNorm     []float32      // (hidden)
	Q            *kernel.Matrix // (heads * head_dim, hidden)
	K            *kernel.Matrix // (kv_heads * head_dim, hidden)
	V            *kernel.Matrix // (kv_heads * value_dim, hidden)
	O            *kernel.Matrix // (hidden, heads * value_dim)
	QBias        []float32      // (heads * head_dim)
	KBias        []float32      // (kv_heads * head_dim)
	VBias        []float32      // (kv_heads * value_dim)
	OBias        []float32      // (hidden)
	QNorm, KNorm []float32      // (head_dim), of each head before it is rotated

	FFNNorm  []float32      // (hidden)
	Gate     *kernel.Matrix // (ffn, hidden)
	Up       *kernel.Matrix // (ffn, hidden)
	Down     *kernel.Matrix // (hidden, ffn)
	GateBias []float32      // (ffn)
	UpBias   []float32      // (ffn)
	DownBias []float32      // (hidden)
}

// loader takes tensors from a file and keeps the first error.
type loader struct {
	f   *gguf.File
	err error
	// taken counts the tensors that a model uses. One left over means that the file is not what its metadata says.
	taken    map[string]bool
	matrices []loaded
}

func (l *loader) fail(code errs.Code, name, format string, args ...any) {
	if l.err == nil {
		l.err = errs.Errorf(code, "model: tensor %q: %s", name, fmt.Sprintf(format, args...))
	}
}

// find returns the tensor of that name, or nil. It has the shape given, in GGUF's order: the row length first.
func (l *loader) find(name string, shape ...int) *gguf.Tensor {
	t, ok := l.f.Tensor(name)
	if !ok || l.err != nil {
		return nil
	}
	l.taken[name] = true
	same := len(t.Shape) >= len(shape)
	for i, n := range t.Shape {
		want := 1
		if i < len(shape) {
			want = shape[i]
		}
		same = same && n == uint64(want)
	}
	if !same {
		l.fail(errs.InvalidFormat, name, "shape %v, want %v", t.Shape, shape)
		return nil
	}
	return t
}

func (l *loader) matrix(name string, rows, cols int) *kernel.Matrix {
	t := l.find(name, cols, rows)
	if t == nil {
		l.fail(errs.InvalidFormat, name, "missing")
		return nil
	}
	m, err := kernel.NewMatrix(quant.DType(t.DType), rows, cols, t.Data())
	if err != nil {
		l.fail(errs.Unsupported, name, "%v", err)
		return nil
	}
	l.matrices = append(l.matrices, loaded{t, m})
	return m
}

func (l *loader) vector(name string, n int) []float32 {
	v := l.optional(name, n)
	if v == nil {
		l.fail(errs.InvalidFormat, name, "missing")
	}
	return v
}

// optional returns the vector of that name, or nil where there is none.
func (l *loader) optional(name string, n int) []float32 {
	t := l.find(name, n)
	if t == nil {
		return nil
	}
	v := make([]float32, n)
	if err := quant.Dequantize(v, t.Data(), quant.DType(t.DType)); err != nil {
		l.fail(errs.Unsupported, name, "%v", err)
		return nil
	}
	for i, x := range v {
		if x != x || math.IsInf(float64(x), 0) {
			l.fail(errs.InvalidFormat, name, "element %d is %v", i, x)
			return nil
		}
	}
	return v
}

// layer loads what the llama architecture has in layer i; others add to it.
func (l *loader) layer(c *Config, i int) Layer {
	name := func(s string) string { return fmt.Sprintf("blk.%d.%s", i, s) }
	q, k, v := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim, c.KVHeads*c.ValueDim
	return Layer{
		AttnNorm: l.vector(name("attn_norm.weight"), c.Hidden),
		Q:        l.matrix(name("attn_q.weight"), q, c.Hidden),
		K:        l.matrix(name("attn_k.weight"), k, c.Hidden),
		V:        l.matrix(name("attn_v.weight"), v, c.Hidden),
		O:        l.matrix(name("attn_output.weight"), c.Hidden, c.Heads*c.ValueDim),
		QBias:    l.optional(name("attn_q.bias"), q),
		KBias:    l.optional(name("attn_k.bias"), k),
		VBias:    l.optional(name("attn_v.bias"), v),
		OBias:    l.optional(name("attn_output.bias"), c.Hidden),
		FFNNorm:  l.vector(name("ffn_norm.weight"), c.Hidden),
		Gate:     l.matrix(name("ffn_gate.weight"), c.FFN, c.Hidden),
		Up:       l.matrix(name("ffn_up.weight"), c.FFN, c.Hidden),
		Down:     l.matrix(name("ffn_down.weight"), c.Hidden, c.FFN),
		GateBias: l.optional(name("ffn_gate.bias"), c.FFN),
		UpBias:   l.optional(name("ffn_up.bias"), c.FFN),
		DownBias: l.optional(name("ffn_down.bias"), c.Hidden),
	}
}
