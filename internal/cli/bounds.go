package cli

import "github.com/realm-ai/realm"

// Rates are what a number of threads of this machine do in a second at best.
type Rates struct {
	Threads int     `json:"threads"`
	Read    float64 `json:"read_bytes_per_second"`
	Ints    float64 `json:"int8_ops_per_second"` // 2 for each multiply-add
	Floats  float64 `json:"float32_ops_per_second"`
}

// Bound is a speed that cannot be exceeded with a machine's rates: all weights that a pass needs are read, as are the
// keys and values, and all products of weights are computed, integers one after the other with floats, but both while
// memory is read. Arithmetic of attention is left out.
type Bound struct {
	TPS   float64 `json:"tps"`   // tokens per second
	By    string  `json:"by"`    // what sets it: "memory" or "arithmetic"
	Share float64 `json:"share"` // the measured speed by TPS
}

// Of returns the bound with the share that a speed has of it.
func (b Bound) Of(tps float64) *Bound {
	b.Share = tps / b.TPS
	return &b
}

// Work is what a model's tokens take.
type Work struct {
	Read   int64    // bytes of weights that a pass over the model reads, however many tokens it computes
	Cache  int64    // bytes of keys and values of a position
	layers products // of a token
	output products // of a token whose logits are wanted
}

// products are numbers of multiply-adds of weights, by the activations they meet.
type products struct{ ints, floats float64 }

// WorkOf finds the work in a model's tensors.
func WorkOf(tensors []realm.Tensor, cacheBytesPerToken int64) Work {
	w := Work{Cache: cacheBytesPerToken}
	// Without an output matrix the embedding is one too. Otherwise only single rows of it are read.
	output := "token_embd.weight"
	for _, t := range tensors {
		if t.Name == "output.weight" {
			output = t.Name
		}
	}
	for _, t := range tensors {
		if t.Name == "token_embd.weight" && t.Name != output {
			continue
		}
		w.Read += t.Bytes
		if len(t.Shape) != 2 {
			continue
		}
		p := &w.layers
		if t.Name == output {
			p = &w.output
		}
		n := float64(t.Shape[0]) * float64(t.Shape[1])
		switch t.DType {
		case "F32", "F16", "BF16":
			p.floats += n
		default:
			p.ints += n
		}
	}
	return w
}

// Prefill is the bound of a prompt of n tokens behind depth others.
func (w *Work) Prefill(r Rates, depth, n int) Bound { return w.bound(r, n, 1, float64(depth)) }

// Decode is the bound of n tokens decoded one at a time behind depth others, by a number of sessions together.
func (w *Work) Decode(r Rates, sessions, depth, n int) Bound {
	return w.bound(r, sessions, sessions, float64(sessions)*(float64(depth)+float64(n+1)/2))
}

// bound is that of passes which compute tokens, of which some want logits, and read a number of cached positions.
func (w *Work) bound(r Rates, tokens, logits int, positions float64) Bound {
	const ops = 2 // of a multiply-add
	memory := (float64(w.Read) + positions*float64(w.Cache)) / r.Read
	arithmetic := ops*(float64(tokens)*w.layers.ints+float64(logits)*w.output.ints)/r.Ints +
		ops*(float64(tokens)*w.layers.floats+float64(logits)*w.output.floats)/r.Floats
	if memory > arithmetic {
		return Bound{TPS: float64(tokens) / memory, By: "memory"}
	}
	return Bound{TPS: float64(tokens) / arithmetic, By: "arithmetic"}
}
