package bridge

import (
	"math"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/hostcall"
)

// Chunk is a step of an answer, as JavaScript gets it.
type Chunk struct {
	Text        string             `json:"text"`
	Token       int32              `json:"token"`
	Logprob     *float32           `json:"logprob,omitempty"`
	TopLogprobs []abi.LogprobEntry `json:"topLogprobs,omitempty"`
}

// Ending is what is known when an answer is over.
type Ending struct {
	Text         string `json:"text"` // that was held back, since it might have begun a stop text
	FinishReason string `json:"finishReason"`
	Usage        Usage  `json:"usage"`
	PrefillTime  int64  `json:"prefillMilliseconds"`
	DecodeTime   int64  `json:"decodeMilliseconds"`

	Guest *GuestUse `json:"guest,omitempty"` // where a guest answered
}

// GuestUse is what a guest took for an answer.
type GuestUse struct {
	Fuel        uint64           `json:"fuel"`        // units, about one for each instruction
	MemoryBytes int64            `json:"memoryBytes"` // of linear memory at the end
	WeightBytes int64            `json:"weightBytes"` // of tensors that entered the guest
	CacheBytes  int64            `json:"cacheBytes"`  // of the KV cache at the end
	HostCalls   map[string]int64 `json:"hostCalls"`   // by name
}

// NewGuestUse makes it of what came of a request.
func NewGuestUse(r hostcall.Result) *GuestUse {
	return &GuestUse{Fuel: r.Fuel, MemoryBytes: r.MemoryBytes, WeightBytes: r.WeightBytes, CacheBytes: r.CacheBytes, HostCalls: r.HostCalls}
}

// LogLine is a line that a guest logged, as JavaScript gets it among the chunks.
type LogLine struct {
	Log string `json:"log"`
}

// NewChunk makes a chunk of a step of an answer.
func NewChunk(step realm.Chunk, logprobs bool) Chunk {
	out := Chunk{Text: step.Text, Token: step.Token}
	if logprobs {
		p := jsonLogprob(step.Logprob)
		out.Logprob = &p
		for _, t := range step.TopLogprobs {
			out.TopLogprobs = append(out.TopLogprobs, abi.LogprobEntry{ID: t.ID, Logprob: jsonLogprob(t.Logprob)})
		}
	}
	return out
}

// jsonLogprob is a logarithm as JSON can hold it, whatever a guest made of it: no probability at all, such as a banned
// token's, is -9999, as in the JSON of guests.
func jsonLogprob(p float32) float32 {
	if !(p >= -9999) { // a NaN too
		return -9999
	}
	return min(p, math.MaxFloat32)
}

// NewEnding makes an ending of the last step of an answer.
func NewEnding(step realm.Chunk) Ending {
	return Ending{
		Text: step.Text, FinishReason: string(step.Finish),
		Usage:       Usage{step.Usage.PromptTokens, step.Usage.CompletionTokens},
		PrefillTime: step.Prefill.Milliseconds(), DecodeTime: step.Decode.Milliseconds(),
	}
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int `json:"promptTokens"`
	CompletionTokens int `json:"completionTokens"`
}

// generate(modelId, request, together) answers a prompt with the engine itself: its chunks are posted, its result is an
// ending. request is an abi.Request in JSON, whose model counts for nothing.
func generate(c *Call) (any, error) {
	if c.Op == nil {
		return nil, &realm.Error{Code: realm.CodeInvalidArgument, Msg: "realm: generate: is an operation: begin it with start"}
	}
	id, err := c.ModelID(0)
	if err != nil {
		return nil, err
	}
	text, err := c.Text(1, "a request in JSON")
	if err != nil {
		return nil, err
	}
	request, err := hostcall.ReadRequest(text)
	if err != nil {
		return nil, err
	}
	if err := c.Together(2); err != nil {
		return nil, err
	}
	m, err := Models().Model(c.Op.Context, id)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for step, err := range s.Generate(c.Op.Context, request) {
		if err != nil {
			return nil, err
		}
		if step.Finish != "" {
			return NewEnding(step), nil
		}
		if err := c.Op.Post(c.Op.Context, NewChunk(step, request.Logprobs)); err != nil {
			return nil, &realm.Error{Code: realm.CodeCanceled, Msg: "realm: generate: " + err.Error(), Err: err}
		}
	}
	return nil, &realm.Error{Code: realm.CodeInternal, Msg: "realm: generate: the answer has no end"}
}
