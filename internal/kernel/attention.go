package kernel

import (
	"math"
	"sync"

	"github.com/realm-ai/realm/internal/f16"
)

// PagePositions is the number of positions in a page of the KV cache, and in a block of attention.
const PagePositions = 64

// Page is one layer's keys and values for 64 positions, in F16 or, where F32 is set, in float32. For each head of keys and
// values there are first its keys, (head dimension, position), and then its values, (position, value dimension). Positions
// of keys are adjacent, so that a vector of scores is built by adding whole vectors; a head is in one piece, so that
// processors foresee most of what is read for it.
type Page struct {
	F16 []uint16
	F32 []float32
}

// AttentionShape is the shape of a layer's attention: grouped queries (Ainslie et al., "GQA", 2023), in which each key
// and value head serves Heads/KVHeads query heads.
type AttentionShape struct {
	Heads, KVHeads int
	HeadDim        int // of queries and keys
	ValueDim       int
}

// keys is where the keys of a head are in a page.
func (s AttentionShape) keys(kv int) int { return kv * (s.HeadDim + s.ValueDim) * PagePositions }

// values is where the values of a head are in a page.
func (s AttentionShape) values(kv int) int { return s.keys(kv) + s.HeadDim*PagePositions }

// AttentionTask is consecutive tokens of one sequence.
type AttentionTask struct {
	Dst      []float32 // (T, Heads, ValueDim)
	Q        []float32 // (T, Heads, HeadDim), scaled
	T        int
	Position int    // of the first token; token t sees the positions up to Position+t
	Pages    []Page // from position 0
}

// Attention is the attention of one layer for a batch of tasks. It may be reused.
type Attention struct {
	Shape AttentionShape
	Tasks []AttentionTask

	items []attentionItem
	tiles []*attended // what items of the same tile share, where there are several
	do    func(int)   // method item, made once
}

// partial is the attention of one query over some positions: the largest score, the sum of e**(score - max), and the
// values weighted by that.
type partial struct {
	max, sum float32
	out      []float32
}

// Attend computes softmax(q . k) v for every query of the tasks, causally.
//
// The order of the arithmetic is fixed by absolute position (DESIGN section 5). A score is one sum over the head
// dimension in ascending order, each step an FMA. Positions form blocks of 64 from 0. In a block, max and weights
// e**(score - max) are found, the weights are summed in 16 lanes by position modulo 16 and a fixed tree, and weighted
// values are added by FMA in ascending position. Blocks are merged in ascending order.
func (p *Pool) Attend(a *Attention) {
	a.cut(p.threads)
	if a.do == nil {
		a.do = a.item
	}
	p.Run(len(a.items), a.do)
}

// item computes one work item.
func (a *Attention) item(i int) {
	it := &a.items[i]
	w := attenders.Get().(*attender)
	if ks := a.kernels(); ks != nil {
		w.runKernels(ks, a.Shape, &a.Tasks[it.task], it)
	} else {
		w.runPlain(a.Shape, &a.Tasks[it.task], it.kv, it.t0, it.t1)
	}
	attenders.Put(w)
}

// attender is the memory of one work item.
type attender struct {
	k, v   []float32 // a block in float32, where the page is F16
	scores [PagePositions]float32
	acc    []partial
	block  partial

	// For kernels: the attention so far, of an item that has its tile to itself; where queries are; and what attendBlock's
	// weights are.
	whole   attended
	at      [attendQueries]int
	weights [attendWeights]float32
}

var attenders = sync.Pool{New: func() any { return new(attender) }}

// runPlain computes the attention of tokens t0 to t1-1 to one head of keys and values.
func (a *attender) runPlain(s AttentionShape, task *AttentionTask, kv, t0, t1 int) {
	group := s.Heads / s.KVHeads
	n := (t1 - t0) * group
	a.acc = grow(a.acc, n)
	for i := range a.acc {
		a.acc[i].out = grow(a.acc[i].out, s.ValueDim)
	}
	a.block.out = grow(a.block.out, s.ValueDim)
	last := task.Position + t1 - 1
	for b := 0; b*PagePositions <= last; b++ {
		k, v := a.load(s, &task.Pages[b], kv, min(PagePositions, last+1-b*PagePositions))
		for i := range a.acc {
			t, head := t0+i/group, kv*group+i%group
			seen := min(PagePositions, task.Position+t+1-b*PagePositions)
			if seen <= 0 {
				continue
			}
			q := task.Q[(t*s.Heads+head)*s.HeadDim:][:s.HeadDim]
			if b == 0 {
				a.attend(&a.acc[i], q, k, v, seen)
				continue
			}
			a.attend(&a.block, q, k, v, seen)
			a.acc[i].merge(&a.block)
		}
	}
	for i := range a.acc {
		t, head := t0+i/group, kv*group+i%group
		dst := task.Dst[(t*s.Heads+head)*s.ValueDim:][:s.ValueDim]
		for d, o := range a.acc[i].out {
			dst[d] = o / a.acc[i].sum
		}
	}
}

// load returns one head's keys (head dimension, 64) and values (position, head dimension) of the first n positions.
func (a *attender) load(s AttentionShape, p *Page, kv, n int) (k, v []float32) {
	if p.F32 != nil {
		return headOf(p.F32, s, kv)
	}
	hk, hv := headOf(p.F16, s, kv)
	a.k, a.v = grow(a.k, len(hk)), grow(a.v, len(hv))
	if n == PagePositions {
		decode(a.k, hk)
		decode(a.v, hv)
		return a.k, a.v
	}
	for d := range s.HeadDim {
		decode(a.k[d*PagePositions:d*PagePositions+n], hk[d*PagePositions:][:n])
	}
	decode(a.v[:n*s.ValueDim], hv[:n*s.ValueDim])
	return a.k, a.v
}

// headOf returns one head's keys and values of a page.
func headOf[E uint16 | float32](page []E, s AttentionShape, kv int) (k, v []E) {
	return page[s.keys(kv):s.values(kv)], page[s.values(kv):s.keys(kv+1)]
}

// decode converts F16 to float32.
func decode(dst []float32, x []uint16) {
	n := decodeVectors(dst, x)
	f16.DecodeSlice(dst[n:], x[n:len(dst)])
}

// attend sets dst to the attention of q over the first n positions of a block.
func (a *attender) attend(dst *partial, q, k, v []float32, n int) {
	scores := a.scores[:n]
	clear(a.scores[:])
	for d, x := range q {
		axpy(scores, k[d*PagePositions:], x)
	}
	dst.max = scores[0]
	for _, s := range scores[1:] {
		if s > dst.max {
			dst.max = s
		}
	}
	clear(dst.out)
	var sum [16]float32
	for j, s := range scores {
		w := Exp(s - dst.max)
		sum[j%16] += w
		axpy(dst.out, v[j*len(dst.out):], w)
	}
	dst.sum = sum16(&sum)
}

// merge adds the attention over a later block to p.
func (p *partial) merge(b *partial) {
	m := p.max
	if b.max > m {
		m = b.max
	}
	x, y := Exp(p.max-m), Exp(b.max-m)
	p.max = m
	p.sum = float32(p.sum*x) + float32(b.sum*y)
	for d := mergeVectors(p.out, b.out, x, y); d < len(p.out); d++ {
		p.out[d] = float32(p.out[d]*x) + float32(b.out[d]*y)
	}
}

// AttentionScale is what queries are multiplied with before they meet the keys: 1/sqrt(head dimension).
func AttentionScale(headDim int) float32 { return float32(1 / math.Sqrt(float64(headDim))) }
