package model

import "github.com/realm-ai/realm/internal/errs"

// llama is the architecture of Llama 1 to 3, Mistral, TinyLlama and SmolLM2. Its files hold the rows of Q and K in an
// order in which neighbouring dimensions rotate together.
var llama = architecture{
	config: func(c *Config, r *reader) {
		if r.has("expert_count") {
			if n, _ := r.f.Uint(r.prefix + "expert_count"); n > 0 {
				r.err = errs.Errorf(errs.Unsupported, "model: a mixture of %d experts is not supported", n)
			}
		}
	},
	layer: func(*Layer, *Config, *loader, int) {},
}
