package synth

import (
	"math"
	"sort"
	"strconv"

	"github.com/realm-ai/realm/internal/quant"
)

// tensor describes one tensor and the distribution of its weights.
type tensor struct {
	name      string
	dtype     quant.DType
	shape     []uint64 // row length first
	mean, std float64
	values    []float32 // the weights themselves, where they are not random
}

// Standard deviations follow from what keeps activations near one: a matrix whose weights have 1/sqrt(row length) keeps
// the size of what it multiplies. Where another size makes a better test, the weights are so many times larger.
const (
	embeddingStd = 0.5 // of hidden states before the first layer, where the output is a tensor of its own
	// All layers together add about this many times sqrt(1/2) to the hidden states, whatever their number: enough that a
	// model whose output is its embedding says something else than the token it was given.
	residualGain = 4
	outputGain   = 4   // of logits, so that the largest of 32000 stands out as it does in a real model
	queryGain    = 2   // of attention scores, so that attention prefers some positions
	normStd      = 0.1 // of the norms' weights around one
	biasStd      = 0.2
)

// tensors lists the tensors of a model in the order that conversion from Hugging Face's files gives them: by name, so
// layer 10 comes before layer 2. vocab is the number of tokens.
func (s *modelShape) tensors(vocab int) []tensor {
	var all []tensor
	vector := func(name string, n int, mean, std float64) {
		all = append(all, tensor{name: name, dtype: quant.F32, shape: []uint64{uint64(n)}, mean: mean, std: std})
	}
	matrix := func(prefix, name string, layer, in, out int, gain float64) {
		all = append(all, tensor{
			name: prefix + name + ".weight", dtype: s.dtype(name, layer), shape: []uint64{uint64(in), uint64(out)},
			std: gain / math.Sqrt(float64(in)),
		})
		if s.biases && layer >= 0 {
			vector(prefix+name+".bias", out, 0, biasStd)
		}
	}

	if s.untied {
		matrix("", "output", -1, s.embedding, vocab, outputGain)
	}
	embedding := tensor{
		name: "token_embd.weight", dtype: s.dtype("token_embd", -1),
		shape: []uint64{uint64(s.embedding), uint64(vocab)}, std: embeddingStd,
	}
	if !s.untied {
		embedding.std = outputGain / math.Sqrt(float64(s.embedding))
	}
	all = append(all, embedding)
	if s.freqs != nil {
		all = append(all, tensor{
			name: "rope_freqs.weight", dtype: quant.F32, shape: []uint64{uint64(len(s.freqs))}, values: s.freqs,
		})
	}

	order := make([]string, s.layers)
	for i := range order {
		order[i] = strconv.Itoa(i)
	}
	sort.Strings(order)
	q, kv := s.heads*s.headDim, s.kvHeads*s.headDim
	residual := residualGain / math.Sqrt(float64(s.layers))
	for _, number := range order {
		i, _ := strconv.Atoi(number)
		prefix := "blk." + number + "."
		vector(prefix+"attn_norm.weight", s.embedding, 1, normStd)
		matrix(prefix, "ffn_down", i, s.ff, s.embedding, residual)
		matrix(prefix, "ffn_gate", i, s.embedding, s.ff, 1)
		matrix(prefix, "ffn_up", i, s.embedding, s.ff, 1)
		vector(prefix+"ffn_norm.weight", s.embedding, 1, normStd)
		if s.arch == "qwen3" {
			vector(prefix+"attn_k_norm.weight", s.headDim, 1, normStd)
		}
		matrix(prefix, "attn_k", i, s.embedding, kv, 1)
		matrix(prefix, "attn_output", i, q, s.embedding, residual)
		if s.arch == "qwen3" {
			vector(prefix+"attn_q_norm.weight", s.headDim, queryGain, normStd)
		}
		matrix(prefix, "attn_q", i, s.embedding, q, queryGain)
		matrix(prefix, "attn_v", i, s.embedding, kv, 1)
	}
	vector("output_norm.weight", s.embedding, 1, normStd)
	return all
}
