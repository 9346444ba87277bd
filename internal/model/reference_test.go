package model_test

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/quant"
)

// reference is the forward pass as the papers write it down, in float64 from end to end: the standard against which the
// errors of Realm and of llama.cpp are measured. Its weights are what package quant dequantizes, which is bit for bit
// what llama.cpp dequantizes; from there on nothing is quantized or rounded to less than a float64, neither activations
// nor the keys and values of the KV cache, and there is no KV cache: the tokens of a text go through it together, layer
// by layer. It shares no code with package model and package kernel.
//
// The formulas: RMS norm https://arxiv.org/abs/1910.07467, rotary embedding https://arxiv.org/abs/2104.09864, its
// scaling by YaRN https://arxiv.org/abs/2309.00071, grouped queries https://arxiv.org/abs/2305.13245, SwiGLU
// https://arxiv.org/abs/2002.05202. Where metadata leaves a choice, it is made as in llama.cpp.
type reference struct {
	t    testing.TB
	file *gguf.File
	arch string

	layers  int
	heads   int // of queries
	kvHeads int // of keys and values; heads/kvHeads queries share one
	headDim int
	eps     float64

	frequency []float64 // (rotated dimensions / 2) radians per position
	magnitude float64   // by which a rotation stretches: 1 but for YaRN
	halves    bool      // a rotation pairs dimension i with i + half, and not 2i with 2i + 1
	normQK    bool      // queries and keys are normed by head before they are rotated
}

// referenceLogits gives the logits of tokens[from:], each (vocab_size), of the model in f: row i predicts what follows
// tokens[from+i].
func referenceLogits(t testing.TB, f *gguf.File, tokens []int32, from int) [][]float64 {
	t.Helper()
	r := newReference(t, f)
	return r.logits(r.hidden(tokens)[from:])
}

// newReference reads the configuration of a model of architecture llama or qwen3.
func newReference(t testing.TB, f *gguf.File) *reference {
	t.Helper()
	r := &reference{t: t, file: f, magnitude: 1}
	r.arch, _ = f.String("general.architecture")
	switch r.arch {
	case "llama":
	case "qwen3":
		r.halves, r.normQK = true, true
	default:
		t.Fatalf("reference: architecture %q", r.arch)
	}
	r.layers = r.count("block_count", -1)
	r.heads = r.count("attention.head_count", -1)
	r.kvHeads = r.count("attention.head_count_kv", r.heads)
	r.headDim = r.count("attention.key_length", r.count("embedding_length", -1)/r.heads)
	if values := r.count("attention.value_length", r.headDim); values != r.headDim {
		t.Fatalf("reference: heads of %d keys and %d values", r.headDim, values)
	}
	r.eps = r.number("attention.layer_norm_rms_epsilon", math.NaN())
	r.setFrequencies()
	return r
}

// count reads an integer of the architecture's metadata; fallback < 0 says that it must be there.
func (r *reference) count(key string, fallback int) int {
	n, ok := r.file.Uint(r.arch + "." + key)
	if !ok && fallback < 0 {
		r.t.Fatalf("reference: no %s.%s", r.arch, key)
	}
	if !ok {
		return fallback
	}
	return int(n)
}

// number reads a float of the architecture's metadata.
func (r *reference) number(key string, fallback float64) float64 {
	if x, ok := r.file.Float(r.arch + "." + key); ok {
		return x
	}
	return fallback
}

// setFrequencies works out how fast each pair of dimensions turns: pair i by base^(-2i/n) radians per position, slowed
// down by one of the three ways to stretch a model's context length.
func (r *reference) setFrequencies() {
	n := r.count("rope.dimension_count", r.headDim)
	base := r.number("rope.freq_base", 10000)
	r.frequency = make([]float64, n/2)
	for i := range r.frequency {
		r.frequency[i] = math.Pow(base, -2*float64(i)/float64(n))
	}
	// Llama 3 divides each frequency by a factor of its own, which the converter has worked out.
	if r.has("rope_freqs.weight") && r.arch == "llama" {
		for i, factor := range r.vector("rope_freqs.weight") {
			r.frequency[i] /= factor
		}
	}
	factor := r.number("rope.scaling.factor", r.number("rope.scale_linear", 0))
	if factor == 0 {
		factor = 1
	}
	r.magnitude = r.number("rope.scaling.attn_factor", 1)
	scaling, ok := r.file.String(r.arch + ".rope.scaling.type")
	if !ok {
		scaling = "linear"
	}
	switch scaling {
	case "none":
	case "linear":
		for i := range r.frequency {
			r.frequency[i] /= factor
		}
	case "yarn":
		// Pairs that turn more than betaFast times within the original context length keep their frequency, those
		// that turn less than betaSlow times are slowed down by the factor, and between the two there is a ramp. The
		// betas are llama.cpp's constants: for these architectures it does not read them from metadata.
		const betaFast, betaSlow = 32, 1
		original := float64(r.count("rope.scaling.original_context_length", r.count("context_length", -1)))
		pairTurning := func(times float64) float64 {
			return float64(n) * math.Log(original/(times*2*math.Pi)) / (2 * math.Log(base))
		}
		low := max(0, math.Floor(pairTurning(betaFast)))
		high := min(float64(n-1), math.Ceil(pairTurning(betaSlow)))
		for i := range r.frequency {
			ramp := (float64(i) - low) / max(0.001, high-low)
			slowed := min(1, max(0, ramp))
			r.frequency[i] *= slowed/factor + (1 - slowed)
		}
		if factor > 1 {
			r.magnitude *= 1 + 0.1*math.Log(factor)
		}
	default:
		r.t.Fatalf("reference: rope scaling %q", scaling)
	}
}

// hidden gives the final hidden state of every token after the output norm, (tokens, embedding).
func (r *reference) hidden(tokens []int32) [][]float64 {
	x := r.embed(tokens)
	for layer := range r.layers {
		name := func(tensor string) string { return fmt.Sprintf("blk.%d.%s", layer, tensor) }

		// Attention.
		h := r.norm(x, name("attn_norm"))
		q := r.linear(h, name("attn_q"))
		k := r.linear(h, name("attn_k"))
		v := r.linear(h, name("attn_v"))
		if r.normQK {
			r.normHeads(q, name("attn_q_norm"))
			r.normHeads(k, name("attn_k_norm"))
		}
		r.rotate(q)
		r.rotate(k)
		add(x, r.linear(r.attend(q, k, v), name("attn_output")))

		// Feed-forward network.
		h = r.norm(x, name("ffn_norm"))
		gate := r.linear(h, name("ffn_gate"))
		up := r.linear(h, name("ffn_up"))
		for t := range gate {
			for i, g := range gate[t] {
				gate[t][i] = g / (1 + math.Exp(-g)) * up[t][i]
			}
		}
		add(x, r.linear(gate, name("ffn_down")))
	}
	return r.norm(x, "output_norm")
}

// logits gives the logits, (rows, vocab_size), of normed hidden states. A model without an output head uses its
// embedding table.
func (r *reference) logits(hidden [][]float64) [][]float64 {
	if r.has("output.weight") {
		return r.linear(hidden, "output")
	}
	return r.linear(hidden, "token_embd")
}

// embed looks up the rows of the embedding table.
func (r *reference) embed(tokens []int32) [][]float64 {
	table := r.tensor("token_embd.weight")
	x := make([][]float64, len(tokens))
	for t, token := range tokens {
		x[t] = r.rows(table, int(token), 1)
	}
	return x
}

// norm gives x / sqrt(mean(x^2) + eps) * weight for each row.
func (r *reference) norm(x [][]float64, name string) [][]float64 {
	weight := r.vector(name + ".weight")
	y := make([][]float64, len(x))
	for t, row := range x {
		y[t] = append([]float64(nil), row...)
		r.normInto(y[t], weight)
	}
	return y
}

// normHeads norms each head of each row by itself, in place.
func (r *reference) normHeads(x [][]float64, name string) {
	weight := r.vector(name + ".weight")
	for _, row := range x {
		for i := 0; i < len(row); i += r.headDim {
			r.normInto(row[i:i+r.headDim], weight)
		}
	}
}

func (r *reference) normInto(x, weight []float64) {
	scale := 1 / math.Sqrt(dot(x, x)/float64(len(x))+r.eps)
	for i := range x {
		x[i] *= scale * weight[i]
	}
}

// rotate turns each pair of dimensions of each head by position * frequency, in place; row t has position t.
func (r *reference) rotate(x [][]float64) {
	half := len(r.frequency)
	for position, row := range x {
		for i, frequency := range r.frequency {
			sin, cos := math.Sincos(float64(position) * frequency)
			sin, cos = sin*r.magnitude, cos*r.magnitude
			a, b := 2*i, 2*i+1
			if r.halves {
				a, b = i, i+half
			}
			for head := 0; head < len(row); head += r.headDim {
				p, q := row[head+a], row[head+b]
				row[head+a], row[head+b] = p*cos-q*sin, p*sin+q*cos
			}
		}
	}
}

// attend gives each query's mean of the values of its own and all earlier positions, weighted by
// softmax(q.k / sqrt(head size)): (tokens, heads * head size).
func (r *reference) attend(q, k, v [][]float64) [][]float64 {
	out := make([][]float64, len(q))
	parallel(len(q), func(t int) {
		out[t] = make([]float64, r.heads*r.headDim)
		weight := make([]float64, t+1)
		for head := range r.heads {
			mine := head * r.headDim
			shared := head / (r.heads / r.kvHeads) * r.headDim
			query := q[t][mine : mine+r.headDim]
			largest := math.Inf(-1)
			for s := range weight {
				weight[s] = dot(query, k[s][shared:shared+r.headDim]) / math.Sqrt(float64(r.headDim))
				largest = max(largest, weight[s])
			}
			sum := 0.0
			for s := range weight {
				weight[s] = math.Exp(weight[s] - largest)
				sum += weight[s]
			}
			y := out[t][mine : mine+r.headDim]
			for s := range weight {
				share := weight[s] / sum
				for i, value := range v[s][shared : shared+r.headDim] {
					y[i] += share * value
				}
			}
		}
	})
	return out
}

// linear gives W x + b for each row of x, with W (out, in) and, where the model has one, b (out).
func (r *reference) linear(x [][]float64, name string) [][]float64 {
	w := r.tensor(name + ".weight")
	in, out := int(w.Shape[0]), int(w.Shape[1])
	y := make([][]float64, len(x))
	for t := range y {
		y[t] = make([]float64, out)
	}
	// Each worker dequantizes a few rows, which then stay in its core's cache while all of x passes by.
	const tile = 32
	parallel((out+tile-1)/tile, func(i int) {
		first := i * tile
		count := min(tile, out-first)
		multiply(y, first, r.rows(w, first, count), in, count, x)
	})
	if r.has(name + ".bias") {
		b := r.vector(name + ".bias")
		for t := range y {
			for i := range b {
				y[t][i] += b[i]
			}
		}
	}
	return y
}

// multiply sets y[t][first+o] to the product of row o of w, (count, in), with x[t], for all t and o. It takes four rows
// of x and two of w at a time, so that a number loaded is used more than once; at an uneven end the last row is taken
// twice.
func multiply(y [][]float64, first int, w []float64, in, count int, x [][]float64) {
	for t := 0; t < len(x); t += 4 {
		t1, t2, t3 := min(t+1, len(x)-1), min(t+2, len(x)-1), min(t+3, len(x)-1)
		x0, x1, x2, x3 := x[t][:in], x[t1][:in], x[t2][:in], x[t3][:in]
		for o := 0; o < count; o += 2 {
			o1 := min(o+1, count-1)
			w0, w1 := w[o*in:][:in], w[o1*in:][:in]
			var s00, s10, s20, s30, s01, s11, s21, s31 float64
			for i := range in {
				a, b := w0[i], w1[i]
				s00 += a * x0[i]
				s01 += b * x0[i]
				s10 += a * x1[i]
				s11 += b * x1[i]
				s20 += a * x2[i]
				s21 += b * x2[i]
				s30 += a * x3[i]
				s31 += b * x3[i]
			}
			y[t][first+o], y[t][first+o1] = s00, s01
			y[t1][first+o], y[t1][first+o1] = s10, s11
			y[t2][first+o], y[t2][first+o1] = s20, s21
			y[t3][first+o], y[t3][first+o1] = s30, s31
		}
	}
}

func (r *reference) has(name string) bool {
	_, ok := r.file.Tensor(name)
	return ok
}

func (r *reference) tensor(name string) *gguf.Tensor {
	tensor, ok := r.file.Tensor(name)
	if !ok {
		r.t.Fatalf("reference: no tensor %s", name)
	}
	return tensor
}

// vector dequantizes a tensor of one dimension.
func (r *reference) vector(name string) []float64 {
	return r.rows(r.tensor(name), 0, 1)
}

// rows dequantizes count rows of a tensor from row first on, (count, Shape[0]).
func (r *reference) rows(tensor *gguf.Tensor, first, count int) []float64 {
	in := int(tensor.Shape[0])
	rowBytes := int(tensor.Size) / (int(tensor.Elements()) / in)
	weights := make([]float32, count*in)
	dtype := quant.DType(tensor.DType)
	if err := quant.Dequantize(weights, tensor.Data()[first*rowBytes:(first+count)*rowBytes], dtype); err != nil {
		panic(err) // in a worker's goroutine, where t.Fatal must not be called
	}
	wide := make([]float64, len(weights))
	for i, weight := range weights {
		wide[i] = float64(weight)
	}
	return wide
}

// add adds y to x, row by row.
func add(x, y [][]float64) {
	for t := range x {
		for i := range x[t] {
			x[t][i] += y[t][i]
		}
	}
}

// dot sums in four strands, so that an addition need not wait for the one before it.
func dot(x, y []float64) float64 {
	y = y[:len(x)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// parallel calls f(0), ..., f(n-1) on as many goroutines as there are processors.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	workers.Wait()
}
