package hostcall

import (
	"context"
	"encoding/json"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// EncodeRequest writes a request as the JSON that guests take.
func EncodeRequest(ctx context.Context, m *realm.Model, r *realm.Request) ([]byte, error) {
	id, err := m.ID(ctx)
	if err != nil {
		return nil, err
	}
	out := abi.Request{
		Model: id, Prompt: r.Prompt, ParseSpecial: r.ParseSpecial, Tokens: r.Tokens, MaxTokens: r.MaxTokens, Stop: r.Stop,
		IgnoreEndOfGeneration: r.IgnoreEndOfGeneration, Special: r.Special, Logprobs: r.Logprobs, Shift: r.Shift, Keep: r.Keep,
	}
	if r.Messages != nil {
		if out.Messages, err = json.Marshal(r.Messages); err != nil {
			return nil, errorf(realm.CodeInvalidArgument, "messages: %w", err)
		}
	}
	if r.Tools != nil {
		if out.Tools, err = json.Marshal(r.Tools); err != nil {
			return nil, errorf(realm.CodeInvalidArgument, "tools: %w", err)
		}
	}
	if s := r.Sampling; s != nil {
		out.Sampling = &abi.Sampling{
			Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepeatPenalty: s.RepeatPenalty,
			FrequencyPenalty: s.FrequencyPenalty, PresencePenalty: s.PresencePenalty, RepeatLastN: s.RepeatLastN,
			Seed: s.Seed, TopLogprobs: s.TopLogprobs,
		}
		for token, bias := range s.LogitBias {
			if out.Sampling.LogitBias == nil {
				out.Sampling.LogitBias = map[int32]abi.Bias{}
			}
			out.Sampling.LogitBias[token] = abi.Bias(bias)
		}
	}
	body, err := json.Marshal(&out)
	if err != nil {
		return nil, errorf(realm.CodeInvalidArgument, "request: %w", err)
	}
	return body, nil
}

// ReadRequest reads a request in the JSON of docs/abi.md, whose model counts for nothing.
func ReadRequest(text string) (realm.Request, error) {
	invalid := func(err error) (realm.Request, error) {
		return realm.Request{}, errorf(realm.CodeInvalidArgument, "the request: %w", err)
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
