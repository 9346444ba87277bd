//go:build cgo && node_addon

package main

import (
	"encoding/json"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// chunk is a step of an answer, as JavaScript gets it.
type chunk struct {
	Text        string             `json:"text"`
	Token       int32              `json:"token"`
	Logprob     *float32           `json:"logprob,omitempty"`
	TopLogprobs []abi.LogprobEntry `json:"topLogprobs,omitempty"`
}

// ending is what is known when an answer is over.
type ending struct {
	Text         string `json:"text"` // that was held back, since it might have begun a stop text
	FinishReason string `json:"finishReason"`
	Usage        usage  `json:"usage"`
	PrefillTime  int64  `json:"prefillMilliseconds"`
	DecodeTime   int64  `json:"decodeMilliseconds"`

	Guest *guestUse `json:"guest,omitempty"` // where a guest answered
}

// guestUse is what a guest took for an answer.
type guestUse struct {
	Fuel        uint64           `json:"fuel"`        // units, about one for each instruction
	MemoryBytes int64            `json:"memoryBytes"` // of linear memory at the end
	WeightBytes int64            `json:"weightBytes"` // of tensors that entered the guest
	CacheBytes  int64            `json:"cacheBytes"`  // of the KV cache at the end
	HostCalls   map[string]int64 `json:"hostCalls"`   // by name
}

func newChunk(step realm.Chunk, logprobs bool) chunk {
	out := chunk{Text: step.Text, Token: step.Token}
	if logprobs {
		out.Logprob = &step.Logprob
		for _, t := range step.TopLogprobs {
			out.TopLogprobs = append(out.TopLogprobs, abi.LogprobEntry{ID: t.ID, Logprob: t.Logprob})
		}
	}
	return out
}

func newEnding(step realm.Chunk) ending {
	return ending{
		Text: step.Text, FinishReason: string(step.Finish),
		Usage:       usage{step.Usage.PromptTokens, step.Usage.CompletionTokens},
		PrefillTime: step.Prefill.Milliseconds(), DecodeTime: step.Decode.Milliseconds(),
	}
}

type usage struct {
	PromptTokens     int `json:"promptTokens"`
	CompletionTokens int `json:"completionTokens"`
}

// generate(modelId, request) answers a prompt with the engine itself: its chunks are posted, its result is an ending.
// request is an abi.Request in JSON, whose model counts for nothing.
func generate(c *call) (any, error) {
	if c.op == nil {
		return nil, &realm.Error{Code: realm.CodeInvalidArgument, Msg: "realm: generate: is an operation: begin it with start"}
	}
	id, err := c.modelID(0)
	if err != nil {
		return nil, err
	}
	text, err := c.text(1, "a request in JSON")
	if err != nil {
		return nil, err
	}
	request, err := readRequest(text)
	if err != nil {
		return nil, err
	}
	m, err := models().Model(c.op.ctx, id)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for step, err := range s.Generate(c.op.ctx, request) {
		if err != nil {
			return nil, err
		}
		if step.Finish != "" {
			return newEnding(step), nil
		}
		if err := c.op.post(newChunk(step, request.Logprobs)); err != nil {
			return nil, &realm.Error{Code: realm.CodeCanceled, Msg: "realm: generate: " + err.Error(), Err: err}
		}
	}
	return nil, &realm.Error{Code: realm.CodeInternal, Msg: "realm: generate: the answer has no end"}
}

// readRequest reads the JSON form of a request.
func readRequest(text string) (realm.Request, error) {
	invalid := func(err error) (realm.Request, error) {
		return realm.Request{}, &realm.Error{Code: realm.CodeInvalidArgument, Msg: "realm: generate: the request: " + err.Error(), Err: err}
	}
	var r abi.Request
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return invalid(err)
	}
	out := realm.Request{
		Prompt: r.Prompt, ParseSpecial: r.ParseSpecial, Tokens: r.Tokens, MaxTokens: r.MaxTokens, Stop: r.Stop,
		IgnoreEndOfGeneration: r.IgnoreEndOfGeneration, Special: r.Special, Logprobs: r.Logprobs, Shift: r.Shift, Keep: r.Keep,
	}
	if len(r.Messages) > 0 {
		if err := json.Unmarshal(r.Messages, &out.Messages); err != nil {
			return invalid(err)
		}
	}
	if len(r.Tools) > 0 {
		if err := json.Unmarshal(r.Tools, &out.Tools); err != nil {
			return invalid(err)
		}
	}
	if s := r.Sampling; s != nil {
		out.Sampling = &realm.Sampling{
			Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepeatPenalty: s.RepeatPenalty,
			FrequencyPenalty: s.FrequencyPenalty, PresencePenalty: s.PresencePenalty, RepeatLastN: s.RepeatLastN,
			Seed: s.Seed, TopLogprobs: s.TopLogprobs,
		}
		for id, bias := range s.LogitBias {
			if out.Sampling.LogitBias == nil {
				out.Sampling.LogitBias = map[int32]float32{}
			}
			out.Sampling.LogitBias[id] = float32(bias)
		}
	}
	return out, nil
}
