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
	// Between, if not nil, is called now and then during Forward, a few times in each layer, so that another state may
	// compute something urgent meanwhile.
	Between func()

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

	input     kernel.Input
	attention kernel.Attention
	spans     []span
	segment   [1]Segment      // of a layer alone
	pages     [][]kernel.Page // of each segment
	cached    []kvcache.Page

	// What the work items of a layer see besides, and the methods that do them, made once.
	w     *Layer
	c     *Config
	h     []float32 // (tokens, hidden) hidden states, x or the caller's
	items struct{ table, attnNorm, store, ffnNorm, swiGLU, add func(item int) }
}

// span is consecutive tokens of a segment whose positions stand in one span of the KV cache's page.
type span struct {
	segment, token, position, n int
}

// NewState makes a state whose passes run on the threads of pool.
func (m *Model) NewState(pool *kernel.Pool) *State {
	c := &m.Config
	s := &State{model: m, pool: pool, c: c}
	s.attention.Shape = kernel.AttentionShape{Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, ValueDim: c.ValueDim}
	s.items.attnNorm, s.items.store, s.items.ffnNorm = s.attnNorm, s.store, s.ffnNorm
	s.items.swiGLU, s.items.add, s.items.table = s.swiGLU, s.add, s.table
	return s
}

// Forward runs tokens through the model. The segments cover the tokens in order, and Reserve has made room for them. For
// each token whose index is in want, ascending, vocab logits are written to logits. It returns ctx's error, checked
// between layers.
func (s *State) Forward(ctx context.Context, tokens []int32, segments []Segment, want []int, logits []float32) error {
	m, c := s.model, s.c
	s.x = grow(s.x, len(tokens)*c.Hidden)
	x := s.x
	if err := m.Embed(x, tokens); err != nil {
		return err
	}
	s.begin(segments, len(tokens))
	for layer := range c.Layers {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(ContextError(err), fmt.Sprintf("model: layer %d of %d", layer, c.Layers))
		}
		s.layer(layer, x, segments, s.Between)
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

// Reserve makes room in every layer of a segment's sequence, which ends after the segment then. Where it fails, layers may
// have different lengths; truncating the sequence to the segment's position restores it.
func (s *State) Reserve(seg Segment) error {
	for layer := range s.c.Layers {
		if err := seg.Seq.Reserve(layer, seg.Position, seg.N); err != nil {
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
// its residual, norm, feed-forward network and its residual. It makes room in the layer's KV cache, and fails before it
// computes where there is none, or where the cache ends before the segment's position.
func (s *State) ForwardLayer(layer int, x []float32, segment Segment) error {
	if err := segment.Seq.Reserve(layer, segment.Position, segment.N); err != nil {
		return cacheError(err, layer)
	}
	s.segment[0] = segment
	s.begin(s.segment[:], segment.N)
	s.layer(layer, x, s.segment[:], nil)
	return nil
}

// layer runs a layer whose KV cache has room, and calls between, if not nil, where about a third of it is done.
func (s *State) layer(layer int, x []float32, segments []Segment, between func()) {
	c, w := s.c, &s.model.Weights.Layers[layer]
	tokens := len(x) / c.Hidden
	s.w, s.h = w, x

	// Queries, keys and values.
	s.pool.Run(ceil(tokens, normTokens), s.items.attnNorm)
	s.input.Set(s.norm, tokens, c.Hidden)
	s.input.Expect(s.pool, w.O)
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.q, W: w.Q}, kernel.Product{Dst: s.k, W: w.K}, kernel.Product{Dst: s.v, W: w.V})

	// Keys and values go to the cache; queries attend over it.
	t := 0
	for i, seg := range segments {
		s.attention.Tasks[i] = kernel.AttentionTask{
			Dst: s.attn[t*c.Heads*c.ValueDim:], Q: s.q[t*c.Heads*c.HeadDim:],
			T: seg.N, Position: seg.Position, Pages: s.layerPages(i, seg.Seq, layer),
		}
		t += seg.N
	}
	s.pool.Run(len(s.spans), s.items.store)
	s.pool.Attend(&s.attention)
	s.input.Set(s.attn, tokens, c.Heads*c.ValueDim)
	s.input.Expect(s.pool, w.Gate, w.Up)
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.out, W: w.O})
	if between != nil {
		between()
	}

	// The residual, and the feed-forward network.
	s.pool.Run(ceil(tokens, normTokens), s.items.ffnNorm)
	s.input.Set(s.norm, tokens, c.Hidden)
	s.input.Expect(s.pool, w.Down)
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.gate, W: w.Gate}, kernel.Product{Dst: s.up, W: w.Up})
	if between != nil {
		between()
	}
	s.pool.Run(tokens, s.items.swiGLU)
	s.input.Set(s.gate, tokens, c.FFN)
	if layer+1 < c.Layers {
		next := &s.model.Weights.Layers[layer+1]
		s.input.Expect(s.pool, next.Q, next.K, next.V)
	} else {
		s.input.Expect(s.pool, s.model.Weights.Output)
	}
	s.pool.MatMul(&s.input, kernel.Product{Dst: s.out, W: w.Down})
	s.pool.Run(ceil(tokens, normTokens), s.items.add)
	if between != nil {
		between()
	}
}

// normTokens is the number of tokens in an item that norms or adds hidden states: enough to be worth a thread's while.
const normTokens = 4

// hidden calls f for the tokens of an item of normTokens.
func (s *State) hidden(item int, f func(x, norm, out []float32)) {
	n := s.c.Hidden
	for t := item * normTokens; t < min((item+1)*normTokens, len(s.h)/n); t++ {
		f(row(s.h, t, n), row(s.norm, t, n), row(s.out, t, n))
	}
}

func (s *State) attnNorm(item int) {
	s.hidden(item, func(x, norm, _ []float32) { kernel.RMSNorm(norm, x, s.w.AttnNorm, s.c.RMSEps) })
}

// ffnNorm adds what attention gives to the hidden states before it norms them.
func (s *State) ffnNorm(item int) {
	s.hidden(item, func(x, norm, out []float32) {
		addBias(out, s.w.OBias)
		kernel.Add(x, out)
		kernel.RMSNorm(norm, x, s.w.FFNNorm, s.c.RMSEps)
	})
}

func (s *State) swiGLU(t int) {
	gate, up := row(s.gate, t, s.c.FFN), row(s.up, t, s.c.FFN)
	addBias(gate, s.w.GateBias)
	addBias(up, s.w.UpBias)
	kernel.SwiGLU(gate, up)
}

func (s *State) add(item int) {
	s.hidden(item, func(x, _, out []float32) {
		addBias(out, s.w.DownBias)
		kernel.Add(x, out)
	})
}

// store finishes the queries, keys and values of a span, and writes keys and values to the cache.
func (s *State) store(item int) {
	c, sp := s.c, &s.spans[item]
	for t := sp.token; t < sp.token+sp.n; t++ {
		s.rotate(t)
	}
	page := &s.attention.Tasks[sp.segment].Pages[sp.position/kernel.PagePositions]
	page.Put(s.attention.Shape, sp.position%kernel.PagePositions, sp.n,
		s.k[sp.token*c.KVHeads*c.HeadDim:], s.v[sp.token*c.KVHeads*c.ValueDim:])
}

// rotate finishes the queries, keys and values of token t: biases, norms of heads where the model has them, rotation, and
// the scale of the attention.
func (s *State) rotate(t int) {
	c, w, rope := s.c, s.w, s.model.rope
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
	kernel.Scale(q, kernel.AttentionScale(c.HeadDim))
}

// Logits writes the logits, (tokens, vocab), of hidden states x, (tokens, hidden): final norm and output matrix.
func (s *State) Logits(logits, x []float32) {
	c := s.c
	tokens := len(x) / c.Hidden
	if tokens == 0 {
		return
	}
	s.norm = grow(s.norm, len(x))
	for t := range tokens {
		kernel.RMSNorm(row(s.norm, t, c.Hidden), row(x, t, c.Hidden), s.model.Weights.OutputNorm, c.RMSEps)
	}
	s.input.Set(s.norm, tokens, c.Hidden)
	first := &s.model.Weights.Layers[0]
	s.input.Expect(s.pool, first.Q, first.K, first.V)
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

// begin makes room for a batch, cuts its segments into spans and fills the tables of its positions, which the layers
// of one pass share.
func (s *State) begin(segments []Segment, tokens int) {
	s.size(s.c, tokens)
	s.attention.Tasks = grow(s.attention.Tasks, len(segments))
	for len(s.pages) < len(segments) {
		s.pages = append(s.pages, nil)
	}
	s.spans = s.spans[:0]
	rope, same, t := s.model.rope, len(s.positions) == tokens, 0
	s.positions = grow(s.positions, tokens)
	for i, seg := range segments {
		for j := range seg.N {
			position := seg.Position + j
			if j == 0 || position%kernel.PageSpan == 0 {
				s.spans = append(s.spans, span{segment: i, token: t, position: position})
			}
			s.spans[len(s.spans)-1].n++
			same = same && s.positions[t] == position
			s.positions[t] = position
			t++
		}
	}
	if same {
		return
	}
	n := len(rope.Freq)
	s.cos, s.sin = grow(s.cos, t*n), grow(s.sin, t*n)
	s.pool.Run(t, s.items.table)
}

func (s *State) table(t int) {
	n := len(s.model.rope.Freq)
	s.model.rope.Table(row(s.cos, t, n), row(s.sin, t, n), s.positions[t])
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

func ceil(n, d int) int { return (n + d - 1) / d }

// row is row i of a matrix of rows of n.
func row(x []float32, i, n int) []float32 { return x[i*n : (i+1)*n] }

func grow[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
