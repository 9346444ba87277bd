package model_test

import "testing"

// tinyGoldens is testdata/llama_tiny.json: llama.cpp's logits after the last of the tokens, with a float32 KV cache,
// for synthetic models of float32 weights.
type tinyGoldens struct {
	Models []struct {
		Shape  string    `json:"shape"` // as package synth names it; the seed is 0
		Tokens []int32   `json:"tokens"`
		Logits []float32 `json:"logits"`
	} `json:"models"`
}

// TestReferenceIsLlama holds the reference itself to llama.cpp where nothing but rounding is between them: float32
// weights and a float32 cache, for each way to scale rotations, with biases, with an output head of its own, and for
// qwen3. Rounding leaves an NMSE of about 1e-11. A formula that the two understand differently leaves about 1, as each
// model's logits show when they are compared with another's.
func TestReferenceIsLlama(t *testing.T) {
	const rounding, difference = 1e-9, 1e-2
	var golden tinyGoldens
	loadGoldens(t, "llama_tiny.json", &golden)
	exact := map[string][]float64{}
	for _, m := range golden.Models {
		exact[m.Shape] = referenceLogits(t, openSynth(t, m.Shape), m.Tokens, len(m.Tokens)-1)[0]
	}
	for _, m := range golden.Models {
		for shape, logits := range exact {
			squared, energy := squaredError(m.Logits, logits)
			switch nmse := squared / energy; {
			case shape == m.Shape && !(nmse < rounding):
				t.Errorf("%s: NMSE %.3g of llama.cpp, want below %g", shape, nmse, rounding)
			case shape != m.Shape && !(nmse > difference):
				t.Errorf("%s is too much like %s to tell them apart: NMSE %.3g", shape, m.Shape, nmse)
			}
		}
	}
}
