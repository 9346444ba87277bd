package synth

import (
	"fmt"
	"math"

	"github.com/realm-ai/realm/internal/quant"
)

// modelShape is all that distinguishes one synthetic model from another, apart from the seed.
type modelShape struct {
	name      string
	arch      string
	layers    int
	embedding int // hidden size
	ff        int // size between the matrices of the feed-forward network
	heads     int
	kvHeads   int
	headDim   int
	context   int // context length
	ropeBase  float32
	fileType  uint32 // general.file_type, enum llama_ftype in llama.h
	vocab     func() vocabulary

	untied bool      // output.weight is a tensor of its own
	biases bool      // every matrix of a layer has a bias
	rope   []pair    // metadata that scales RoPE frequencies
	freqs  []float32 // rope_freqs.weight: divisors of the headDim/2 frequencies
	// dtype chooses the dtype of a matrix, named without ".weight" and "blk.N.", in layer i (-1 outside layers).
	dtype func(matrix string, i int) quant.DType
}

// pair is one metadata key and its value.
type pair struct {
	key   string
	value any
}

// shapes is every shape there is.
var shapes = append([]modelShape{
	{
		// TinyLlama-1.1B-Chat as llama.cpp's Q4_K_M recipe leaves it: 201 tensors.
		name: "tinyllama-1.1b-q4_k_m", arch: "llama",
		layers: 22, embedding: 2048, ff: 5632, heads: 32, kvHeads: 4, headDim: 64, context: 2048, ropeBase: 10000,
		fileType: 15, vocab: func() vocabulary { return spmVocabulary(32000) }, untied: true,
		dtype: func(matrix string, i int) quant.DType { return q4KM(matrix, i, 22) },
	},
	smolLM2("smollm2-135m-q4_1", quant.Q4_1, 3),
	smolLM2("smollm2-135m-q4_0", quant.Q4_0, 2),
}, tinyShapes()...)

// smolLM2 is SmolLM2-135M-Instruct, whose rows of 576 no K-quant fits: 272 tensors. The embedding is the output too and is
// kept in Q8_0.
func smolLM2(name string, dtype quant.DType, fileType uint32) modelShape {
	return modelShape{
		name: name, arch: "llama",
		layers: 30, embedding: 576, ff: 1536, heads: 9, kvHeads: 3, headDim: 64, context: 8192, ropeBase: 100000,
		fileType: fileType, vocab: func() vocabulary { return bpeVocabulary("smollm", 49152, smolSpecials, 1, 2) },
		dtype: func(matrix string, _ int) quant.DType {
			if matrix == "token_embd" {
				return quant.Q8_0
			}
			return dtype
		},
	}
}

// q4KM is where llama.cpp's Q4_K_M recipe spends more bits (llama_tensor_get_type_impl in llama-quant.cpp, for a llama
// model of this size): the output, and attn_v and ffn_down in the first and last eighth of the layers and in every
// third between.
func q4KM(matrix string, i, layers int) quant.DType {
	switch matrix {
	case "output":
		return quant.Q6_K
	case "attn_v", "ffn_down":
		if i < layers/8 || i >= 7*layers/8 || (i-layers/8)%3 == 2 {
			return quant.Q6_K
		}
	}
	return quant.Q4_K
}

// tinyDTypes are the dtypes that have a tiny model, by the last part of its name, with their general.file_type.
var tinyDTypes = []struct {
	name     string
	dtype    quant.DType
	fileType uint32
}{
	{"f32", quant.F32, 0},
	{"f16", quant.F16, 1},
	{"bf16", quant.BF16, 32},
	{"q4_0", quant.Q4_0, 2},
	{"q4_1", quant.Q4_1, 3},
	{"q5_0", quant.Q5_0, 8},
	{"q5_1", quant.Q5_1, 9},
	{"q8_0", quant.Q8_0, 7},
	{"q2_k", quant.Q2_K, 10},
	{"q3_k", quant.Q3_K, 12},
	{"q4_k", quant.Q4_K, 15},
	{"q5_k", quant.Q5_K, 17},
	{"q6_k", quant.Q6_K, 18},
	{"iq4_nl", quant.IQ4_NL, 25},
	{"iq4_xs", quant.IQ4_XS, 30},
}

// tinyShapes are models for tests: every dtype in the llama and the qwen3 architecture, and the llama architecture with
// one thing changed, in F32 so that a difference is that thing's. All have two layers and a hidden size of 256, one
// super-block.
func tinyShapes() []modelShape {
	llama := modelShape{
		arch: "llama", layers: 2, embedding: 256, ff: 512, heads: 4, kvHeads: 2, headDim: 64, context: 1024,
		ropeBase: 10000, vocab: func() vocabulary { return bpeVocabulary("smollm", 300, chatSpecials, 0, 2) },
	}
	qwen3 := llama
	qwen3.arch = "qwen3"
	qwen3.headDim = 128 // not embedding/heads, as in the real ones
	qwen3.ropeBase = 1_000_000
	qwen3.vocab = func() vocabulary { return bpeVocabulary("qwen2", 300, chatSpecials, 0, 2) }

	var all []modelShape
	for _, base := range []modelShape{llama, qwen3} {
		for _, d := range tinyDTypes {
			s := base
			s.name = "tiny-" + s.arch + "-" + d.name
			s.fileType = d.fileType
			s.dtype = func(string, int) quant.DType { return d.dtype }
			all = append(all, s)
		}
	}
	for _, v := range []struct {
		name   string
		change func(s *modelShape)
	}{
		{"rope-linear", func(s *modelShape) { s.rope = ropeScaling("linear", 4) }},
		{"rope-yarn", func(s *modelShape) {
			s.rope = append(ropeScaling("yarn", 4), pair{"llama.rope.scaling.original_context_length", uint32(256)})
		}},
		{"rope-llama3", func(s *modelShape) { s.ropeBase, s.freqs = 500_000, llama3Factors(500_000, s.headDim) }},
		{"bias", func(s *modelShape) { s.biases = true }},
		{"untied", func(s *modelShape) { s.untied = true }},
		{"spm", func(s *modelShape) { s.vocab = func() vocabulary { return spmVocabulary(512) } }},
	} {
		s := llama
		s.name = "tiny-llama-" + v.name
		s.dtype = func(string, int) quant.DType { return quant.F32 }
		v.change(&s)
		all = append(all, s)
	}
	return all
}

func ropeScaling(kind string, factor float32) []pair {
	return []pair{{"llama.rope.scaling.type", kind}, {"llama.rope.scaling.factor", factor}}
}

// llama3Factors are the frequency divisors of Llama 3.1 as its configuration gives them (factor 8, low_freq_factor 1,
// high_freq_factor 4, original context length 8192), which conversion to GGUF stores as the tensor rope_freqs.weight:
// waves shorter than a quarter of the original context stay, those longer than it are slowed by the factor, and between
// the two the divisor's reciprocal goes from one to the other in a straight line over context/wavelength.
func llama3Factors(base float64, headDim int) []float32 {
	const (
		factor  = 8.0
		low     = 1.0
		high    = 4.0
		context = 8192.0
	)
	// Frequency i is base^(-2i/headDim). Square roots are exact to the last bit everywhere, package math's Pow is not;
	// headDim is a power of two.
	step := base
	for n := headDim; n > 2; n /= 2 {
		step = math.Sqrt(step)
	}
	factors := make([]float32, headDim/2)
	wavelength := 2 * math.Pi
	for i := range factors {
		switch turns := context / wavelength; {
		case turns > high:
			factors[i] = 1
		case turns < low:
			factors[i] = factor
		default:
			smooth := (turns - low) / (high - low)
			factors[i] = float32(1 / (float64((1-smooth)/factor) + smooth))
		}
		wavelength *= step
	}
	return factors
}

// metadata is what the file says about the model, in the order of the file.
func (s *modelShape) metadata(v vocabulary, seed uint64) []pair {
	key := func(suffix string) string { return s.arch + "." + suffix }
	pairs := []pair{
		{"general.architecture", s.arch},
		{"general.type", "model"},
		{"general.name", fmt.Sprintf("%s, synthetic, seed %d", s.name, seed)},
		{"general.license", "apache-2.0"},
		{key("block_count"), uint32(s.layers)},
		{key("context_length"), uint32(s.context)},
		{key("embedding_length"), uint32(s.embedding)},
		{key("feed_forward_length"), uint32(s.ff)},
		{key("attention.head_count"), uint32(s.heads)},
		{key("attention.head_count_kv"), uint32(s.kvHeads)},
		{key("rope.freq_base"), s.ropeBase},
		{key("attention.layer_norm_rms_epsilon"), float32(1e-5)},
		{"general.file_type", s.fileType},
		{key("rope.dimension_count"), uint32(s.headDim)},
	}
	if s.headDim*s.heads != s.embedding {
		pairs = append(
			pairs,
			pair{key("attention.key_length"), uint32(s.headDim)},
			pair{key("attention.value_length"), uint32(s.headDim)},
		)
	}
	pairs = append(pairs, s.rope...)
	pairs = append(pairs, pair{key("vocab_size"), uint32(len(v.tokens))})
	pairs = append(pairs, v.metadata()...)
	return append(pairs, pair{"general.quantization_version", uint32(2)})
}
