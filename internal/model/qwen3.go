package model

import "fmt"

// qwen3 is the architecture of the dense Qwen3 models: llama with an RMS norm on each head of Q and K, and pairs that
// are half a head apart.
var qwen3 = architecture{
	config: func(c *Config, _ *reader) { c.RopeHalves = true },
	layer: func(w *Layer, c *Config, l *loader, i int) {
		w.QNorm = l.vector(fmt.Sprintf("blk.%d.attn_q_norm.weight", i), c.HeadDim)
		w.KNorm = l.vector(fmt.Sprintf("blk.%d.attn_k_norm.weight", i), c.HeadDim)
	},
}
