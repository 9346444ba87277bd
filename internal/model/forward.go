package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/kvcache"
)

// Segment is consecutive tokens of one sequence in a batch.
type Segment struct {
	Seq      *kvcache.Sequence
	Position int // of the first token; every layer of Seq has at least that length, and what is longer is dropped
	N        int // tokens
}

// State is the memory of a forward pass. It belongs to one model and one pool of threads, grows to the largest batch it
// has seen, and serves one call at a time.
type State struct {
	model *Model
	pool  *kernel.Pool

	x         []float32 // (tokens, hidden) hidden states
	norm      []float32 // (tokens, hidden) normalised
	q         []float32 // (tokens, heads * head_dim)
	k         []float32 // (tokens, kv_heads * head_dim)
	v         []float32 // (tokens, kv_heads * value_dim)
	attn      []float32 // (tokens, heads * value_dim)
	out       []float32 // (tokens, hidden) what a layer's half adds to x
	gate, up  []float32 // (tokens, ffn)
	positions []int     // (tokens) those that cos and sin are for
	cos, sin  []float32 // (tokens, rope_dim / 2)

	input  kernel.Input
	tasks  []kernel.AttentionTask
	pages  [][]kernel.Page // of each segment
	cached []kvcache.Page
}

// NewState makes a state whose passes run on the threads of pool.
func (m *Model) NewState(pool *kernel.Pool) *State { return &State{model: m, pool: pool} }

// Forward runs tokens through the model. The segments cover the tokens in order. For each token whose index is in want,
// ascending, vocab logits are written to logits. It returns ctx's error, checked between layers, or that of the KV
// cache; layers of a sequence may then have different lengths, and truncating it to a segment's position restores it.
func (s *State) Forward(ctx context.Context, tokens []int32, segments []Segment, want []int, logits []float32) error {
	m, c := s.model, &s.model.Config
	s.x = grow(s.x, len(tokens)*c.Hidden)
	x := s.x
	if err := m.Embed(x, tokens); err != nil {
		return err
	}
	for layer := range c.Layers {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(ContextError(err), fmt.Sprintf("model: layer %d of %d", layer, c.Layers))
		}
		if err := s.ForwardLayer(layer, x, segments); err != nil {
			return err
		}
	}
	for i, t := range want {
		copy(x[i*c.Hidden:(i+1)*c.Hidden], x[t*c.Hidden:]) // want ascends, so what is read stands yet
	}
	s.Logits(logits, x[:len(want)*c.Hidden])
	return nil
}

// ContextError gives a context's error its code. An error that has one keeps it.
func ContextError(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return errs.Errorf(errs.Canceled, "%w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return errs.Errorf(errs.DeadlineExceeded, "%w", err)
	}
	return err
}

// Reserve makes room in every layer of a sequence for n positions from position on, where it ends afterwards, as
// ForwardLayer does for its layer. Where it fails, layers may have different lengths.
func (m *Model) Reserve(seq *kvcache.Sequence, position, n int) error {
	for layer := range m.Config.Layers {
		if err := seq.Reserve(layer, position, n); err != nil {
			return cacheError(err, layer)
		}
	}
	return nil
}

// Embed writes the tokens' embeddings, (tokens, hidden), to x.
func (m *Model) Embed(x []float32, tokens []int32) error {
	for i, t := range tokens {
		if t < 0 || int(t) >= m.Config.Vocab {
			return errs.Errorf(errs.InvalidArgument, "model: token %d of %d: ID %d is not in the vocabulary of %d", i, len(tokens), t, m.Config.Vocab)
		}
		m.Weights.Embed.Row(x[i*m.Config.Hidden:(i+1)*m.Config.Hidden], int(t))
	}
	return nil
}

// ForwardLayer runs one whole transformer layer on x, (tokens, hidden), in place: norm, attention with the KV cache and
// its residual, norm, feed-forward network and its residual. It fails before it computes, where a KV cache has no room or
// ends before a segment's position; a single segment's cache is then unchanged.
func (s *State) ForwardLayer(layer int, x []float32, segments []Segment) error {
	c, w := &s.model.Config, &s.model.Weights.Layers[layer]
	tokens := len(x) / c.Hidden
	for i, seg := range segments {
		if err := seg.Seq.Reserve(layer, seg.Position, seg.N); err != nil {
			for _, done := range segments[:i] {
				// What the reservation dropped cannot come back, but what it added goes.
				_ = done.Seq.Reserve(layer, done.Position, 0)
			}
			return cacheError(err, layer)
		}
	}
	s.size(c, tokens)
	s.rotations(segments)

	// Queries, keys and values.
	s.pool.Run(tokens, func(t int) {
		kernel.RMSNorm(row(s.norm, t, c.Hidden), row(x, t, c.Hidden), w.AttnNorm, c.RMSEps)
	})
	s.input.Set(s.norm, tokens, c.Hidden)
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.q, W: w.Q}, kernel.Product{Dst: s.k, W: w.K}, kernel.Product{Dst: s.v, W: w.V})
	s.pool.Run(tokens, func(t int) { s.rotate(w, t) })

	// Keys and values go to the cache; queries attend over it.
	t := 0
	for i, seg := range segments {
		first := t
		for j := range seg.N {
			seg.Seq.Put(layer, seg.Position+j, row(s.k, t, c.KVHeads*c.HeadDim), row(s.v, t, c.KVHeads*c.ValueDim))
			t++
		}
		s.tasks[i] = kernel.AttentionTask{
			Dst: s.attn[first*c.Heads*c.ValueDim:], Q: s.q[first*c.Heads*c.HeadDim:],
			T: seg.N, Position: seg.Position, Pages: s.layerPages(i, seg.Seq, layer),
		}
	}
	s.pool.Attend(kernel.AttentionShape{Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, ValueDim: c.ValueDim}, s.tasks)
	s.input.Set(s.attn, tokens, c.Heads*c.ValueDim)
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.out, W: w.O})

	// The residual, and the feed-forward network's norm.
	s.pool.Run(tokens, func(t int) {
		addBias(row(s.out, t, c.Hidden), w.OBias)
		kernel.Add(row(x, t, c.Hidden), row(s.out, t, c.Hidden))
		kernel.RMSNorm(row(s.norm, t, c.Hidden), row(x, t, c.Hidden), w.FFNNorm, c.RMSEps)
	})
	s.input.Set(s.norm, tokens, c.Hidden)
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.gate, W: w.Gate}, kernel.Product{Dst: s.up, W: w.Up})
	s.pool.Run(tokens, func(t int) {
		gate, up := row(s.gate, t, c.FFN), row(s.up, t, c.FFN)
		addBias(gate, w.GateBias)
		addBias(up, w.UpBias)
		kernel.SwiGLU(gate, up)
	})
	s.input.Set(s.gate, tokens, c.FFN)
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.out, W: w.Down})
	s.pool.Run(tokens, func(t int) {
		addBias(row(s.out, t, c.Hidden), w.DownBias)
		kernel.Add(row(x, t, c.Hidden), row(s.out, t, c.Hidden))
	})
	return nil
}

// rotate finishes the queries and keys of token t: biases, norms of heads where the model has them, rotation, and the
// scale of the attention.
func (s *State) rotate(w *Layer, t int) {
	c, rope := &s.model.Config, s.model.rope
	q, k, v := row(s.q, t, c.Heads*c.HeadDim), row(s.k, t, c.KVHeads*c.HeadDim), row(s.v, t, c.KVHeads*c.ValueDim)
	addBias(q, w.QBias)
	addBias(k, w.KBias)
	addBias(v, w.VBias)
	cos, sin := row(s.cos, t, c.RopeDim/2), row(s.sin, t, c.RopeDim/2)
	for head := range slices.Chunk(q, c.HeadDim) {
		if w.QNorm != nil {
			kernel.RMSNorm(head, head, w.QNorm, c.RMSEps)
		}
		rope.Apply(head, cos, sin)
	}
	for head := range slices.Chunk(k, c.HeadDim) {
		if w.KNorm != nil {
			kernel.RMSNorm(head, head, w.KNorm, c.RMSEps)
		}
		rope.Apply(head, cos, sin)
	}
	scale := kernel.AttentionScale(c.HeadDim)
	for i := range q {
		q[i] *= scale
	}
}

// Logits writes the logits, (tokens, vocab), of hidden states x, (tokens, hidden): final norm and output matrix.
func (s *State) Logits(logits, x []float32) {
	c := &s.model.Config
	tokens := len(x) / c.Hidden
	if tokens == 0 {
		return
	}
	s.norm = grow(s.norm, len(x))
	s.pool.Run(tokens, func(t int) {
		kernel.RMSNorm(row(s.norm, t, c.Hidden), row(x, t, c.Hidden), s.model.Weights.OutputNorm, c.RMSEps)
	})
	s.input.Set(s.norm, tokens, c.Hidden)
	s.pool.MatMul(&s.input, kernel.Product{Dst: logits, W: s.model.Weights.Output})
}

// size makes room for a layer's intermediate results.
func (s *State) size(c *Config, tokens int) {
	s.norm = grow(s.norm, tokens*c.Hidden)
	s.q = grow(s.q, tokens*c.Heads*c.HeadDim)
	s.k = grow(s.k, tokens*c.KVHeads*c.HeadDim)
	s.v = grow(s.v, tokens*c.KVHeads*c.ValueDim)
	s.attn = grow(s.attn, tokens*c.Heads*c.ValueDim)
	s.out = grow(s.out, tokens*c.Hidden)
	s.gate = grow(s.gate, tokens*c.FFN)
	s.up = grow(s.up, tokens*c.FFN)
}

// rotations fills the tables of the segments' positions, and makes room for their tasks. The layers of one pass share
// the tables.
func (s *State) rotations(segments []Segment) {
	s.tasks = grow(s.tasks, len(segments))
	for len(s.pages) < len(segments) {
		s.pages = append(s.pages, nil)
	}
	rope, same, t := s.model.rope, true, 0
	for _, seg := range segments {
		for i := range seg.N {
			if t == len(s.positions) {
				s.positions = append(s.positions, -1)
			}
			same = same && s.positions[t] == seg.Position+i
			s.positions[t] = seg.Position + i
			t++
		}
	}
	n := len(rope.Freq)
	if same && len(s.cos) >= t*n {
		return
	}
	s.cos, s.sin = grow(s.cos, t*n), grow(s.sin, t*n)
	s.pool.Run(t, func(t int) { rope.Table(row(s.cos, t, n), row(s.sin, t, n), s.positions[t]) })
}

// layerPages returns the cache pages of segment i as the kernel takes them.
func (s *State) layerPages(i int, seq *kvcache.Sequence, layer int) []kernel.Page {
	s.cached = seq.Pages(s.cached[:0], layer)
	s.pages[i] = s.pages[i][:0]
	for _, p := range s.cached {
		s.pages[i] = append(s.pages[i], kernel.Page(p))
	}
	return s.pages[i]
}

func cacheError(err error, layer int) error {
	code := errs.OutOfMemory
	switch {
	case errors.Is(err, kvcache.ErrGap):
		code = errs.InvalidArgument
	case errors.Is(err, kvcache.ErrBudget):
		code = errs.CacheLimit
	}
	return errs.Errorf(code, "model: layer %d: %w", layer, err)
}

func addBias(x, bias []float32) {
	if bias != nil {
		kernel.Add(x, bias)
	}
}

// row is row i of a matrix of rows of n.
func row(x []float32, i, n int) []float32 { return x[i*n : (i+1)*n] }

func grow[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
