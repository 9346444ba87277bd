package abi

// Parameters that many functions share.
var modelID = Param{Name: "model_id", Type: U32, Doc: "the model, which must be granted to the guest"}

func number(name, doc string) Param { return Param{Name: name, Type: U32, Doc: doc} }

func reads(name string, typ Type, doc string, count ...string) Param {
	return Param{Name: name, Type: typ, Access: Reads, Count: count, Doc: doc}
}

func writes(name string, typ Type, doc string, count ...string) Param {
	return Param{Name: name, Type: typ, Access: Writes, Count: count, Doc: doc}
}

func optional(p Param) Param {
	p.Optional = true
	return p
}

// The names of the host functions.
const (
	EmbedTokens      = "realm_embed_tokens"
	ForwardLayer     = "realm_forward_layer"
	ComputeLogits    = "realm_compute_logits"
	Forward          = "realm_forward"
	TopLogits        = "realm_top_logits"
	GetModelInfo     = "realm_get_model_info"
	GetModelMetadata = "realm_get_model_metadata"
	GetTensor        = "realm_get_tensor"
	KVTruncate       = "realm_kv_truncate"
	KVFork           = "realm_kv_fork"
	KVSelect         = "realm_kv_select"
	KVFree           = "realm_kv_free"
	Emit             = "realm_emit"
	LastError        = "realm_last_error"
	Log              = "realm_log"
	Now              = "realm_now"
)

var functions = [...]Func{
	{
		Name: EmbedTokens,
		Params: []Param{
			modelID,
			reads("token_ids_ptr", U32, "the tokens", "token_count"),
			number("token_count", "how many, at least 1"),
			writes("out_ptr", F32, "their hidden states, (token_count, hidden_size)", "token_count", "hidden_size"),
		},
		Result: I32,
		Doc:    "Writes the hidden states of tokens before the first layer. Returns 0.",
	},
	{
		Name: ForwardLayer,
		Params: []Param{
			modelID,
			number("layer_idx", "the layer, from 0"),
			reads("hidden_states_ptr", F32, "hidden states, (tokens, hidden_size)", "hidden_states_len"),
			number("hidden_states_len", "how many values: a multiple of hidden_size, at least one token's"),
			number("position", "of the first token; the others follow it"),
			writes("out_ptr", F32, "the hidden states after the layer; may be hidden_states_ptr", "hidden_states_len"),
		},
		Result: I32,
		Doc: "Runs one whole transformer layer: norm, attention with its KV cache, feed-forward network, residuals. " +
			"Each layer of a sequence has a length of its own: position is at most that, and what stood at and beyond " +
			"position is dropped from the layer. Returns 0.",
	},
	{
		Name: ComputeLogits,
		Params: []Param{
			modelID,
			reads("hidden_states_ptr", F32, "one token's hidden state after a layer", "hidden_size"),
			number("hidden_size", "how many values: the model's hidden_size"),
			writes("out_ptr", F32, "the logits", "vocab_size"),
		},
		Result: I32,
		Doc:    "Runs the final norm and the LM head for one token. Returns 0.",
	},
	{
		Name: Forward,
		Params: []Param{
			modelID,
			reads("token_ids_ptr", U32, "the tokens", "token_count"),
			number("token_count", "how many, at least 1"),
			number("position", "of the first token, at most the length of the sequence"),
			optional(writes("out_ptr", F32, "the logits of the last token, or 0", "vocab_size")),
		},
		Result: I32,
		Doc: "Runs the whole model on tokens at position, position+1, ... What stood at and beyond position is dropped. " +
			"A host that still has keys and values of the same tokens may use them, which changes no bit. " +
			"Where it fails within a long prompt the sequence may end anywhere from position on. Returns 0.",
	},
	{
		Name: TopLogits,
		Params: []Param{
			modelID,
			number("k", "how many, at least 1"),
			writes("ids_ptr", U32, "the tokens, the largest logit first", "k"),
			writes("logits_ptr", F32, "their logits", "k"),
		},
		Result: I32,
		Doc: "Writes the k largest logits of the selected sequence's last realm_forward, exactly; of equal ones the lower " +
			"id comes first, and a NaN comes before all numbers. Only ids of the vocabulary count, where the model has more " +
			"rows. It fails where the sequence has computed nothing. Returns how many there are: k, or token_count where " +
			"that is less.",
	},
	{
		Name: GetModelInfo,
		Params: []Param{
			modelID,
			writes("out_ptr", U8, "a realm_model_info", "out_len"),
			number("out_len", "the bytes there is room for"),
		},
		Result: I32,
		Doc: "Writes the model's sizes and shape, at most out_len bytes of them. Returns the bytes of the whole struct, " +
			"which later versions extend at its end.",
	},
	{
		Name: GetModelMetadata,
		Params: []Param{
			modelID,
			number("what", "a metadata kind"),
			writes("out_ptr", U8, "the value", "out_len"),
			number("out_len", "the bytes there is room for; 0 asks for the length"),
		},
		Result: I32,
		Doc:    "Writes a piece of the model's metadata, at most out_len bytes of it. Returns the length of the whole.",
	},
	{
		Name: GetTensor,
		Params: []Param{
			modelID,
			reads("name_ptr", U8, "the tensor's name", "name_len"),
			number("name_len", "its bytes"),
			writes("out_ptr", F32, "the weights", "out_len"),
			number("out_len", "the values there is room for: 0, which asks for their number, or at least that"),
		},
		Result: I32,
		Doc: "Dequantizes a tensor. It takes a grant of its own, off by default, and what it writes counts as weights that " +
			"entered the guest. Returns the number of values.",
	},
	{
		Name:   KVTruncate,
		Params: []Param{modelID, number("position", "the length to keep")},
		Result: I32,
		Doc:    "Drops what stands at and beyond position from the selected sequence. Returns 0.",
	},
	{
		Name:   KVFork,
		Params: []Param{modelID, number("position", "how much of the selected sequence to share, at most its length")},
		Result: I32,
		Doc: "Makes a sequence with the first positions of the selected one, whose memory they share until one of them " +
			"changes it. Does not select it. Returns its number, above 0.",
	},
	{
		Name:   KVSelect,
		Params: []Param{modelID, number("seq", "a number from realm_kv_fork, or 0")},
		Result: I32,
		Doc:    "Makes later calls for the model act on a sequence; 0, which always exists, is selected at first. Returns 0.",
	},
	{
		Name:   KVFree,
		Params: []Param{modelID, number("seq", "a number from realm_kv_fork, not the selected one")},
		Result: I32,
		Doc:    "Frees a sequence. Returns 0.",
	},
	{
		Name: Emit,
		Params: []Param{
			number("kind", "an emit kind"),
			reads("ptr", U8, "the chunk", "len"),
			number("len", "its bytes"),
		},
		Result: I32,
		Doc:    "Hands a chunk of output to the embedder. Returns 0.",
	},
	{
		Name: LastError,
		Params: []Param{
			writes("out_ptr", U8, "the text, in UTF-8", "out_len"),
			number("out_len", "the bytes there is room for"),
		},
		Result: I32,
		Doc: "Writes the text of the guest's last failed call, at most out_len bytes of it. Returns the length of the whole, " +
			"0 where no call has failed.",
	},
	{
		Name:   Log,
		Params: []Param{reads("ptr", U8, "a line of UTF-8, without its end", "len"), number("len", "its bytes")},
		Result: I32,
		Doc:    "Hands a line to the embedder's log, which may drop it. Returns 0.",
	},
	{
		Name:   Now,
		Result: I64,
		Doc: "Returns the virtual time in nanoseconds since 1970: what the embedder says it is at the start of the request. " +
			"WASI's clocks show the same.",
	},
}

// The names of a guest's exports.
const (
	ExportVersion  = "realm_abi_version"
	ExportAlloc    = "realm_alloc"
	ExportFree     = "realm_free"
	ExportPrepare  = "realm_prepare"
	ExportGenerate = "realm_generate"
	ExportStart    = "_initialize"
)

var exports = [...]Func{
	{
		Name: ExportStart, Optional: true,
		Doc: "Starts the guest's runtime (WASI's reactor convention). Called once, before anything else.",
	},
	{
		Name: ExportVersion, Result: U32,
		Doc: "Returns the version of the ABI that the guest was built for.",
	},
	{
		Name: ExportAlloc, Params: []Param{number("size", "bytes")}, Result: U32,
		Doc: "Returns a pointer to that many bytes, aligned to 8, for the host to write a request to; 0 where there is no " +
			"memory.",
	},
	{
		Name: ExportFree, Params: []Param{number("ptr", "from realm_alloc")},
		Doc: "Frees what realm_alloc returned.",
	},
	{
		Name: ExportPrepare, Optional: true, Result: I32,
		Params: []Param{number("model_id", "the model that requests will name")},
		Doc: "Reads what requests will need of a model, such as its vocabulary. A host calls it once, takes a snapshot of " +
			"memory and globals, and starts each request from that. Returns 0.",
	},
	{
		Name: ExportGenerate, Result: I32,
		Params: []Param{
			reads("request_ptr", U8, "the request in JSON, from realm_alloc", "request_len"),
			number("request_len", "its bytes"),
		},
		Doc: "Answers a request: chunks go to realm_emit, the result last. Returns 0, or minus an error code after an emit " +
			"of the error's text.",
	},
}
