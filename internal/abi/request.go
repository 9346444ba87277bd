package abi

import (
	"encoding/json"
	"math"
)

// Request is what realm_generate reads, in JSON. One of Prompt, Messages and Tokens is set. A guest of your own may take
// any other JSON; this is what the guest that ships with Realm takes, and what embedders send unless told otherwise.
type Request struct {
	Model        uint32          `json:"model"`                   // the model's id
	Prompt       string          `json:"prompt,omitempty"`        // text that the model goes on with
	ParseSpecial bool            `json:"parse_special,omitempty"` // control tokens written in the prompt are read as such
	Messages     json.RawMessage `json:"messages,omitempty"`      // a conversation, as in OpenAI's chat completions
	Tools        json.RawMessage `json:"tools,omitempty"`         // the tools of the conversation, likewise
	Tokens       []int32         `json:"tokens,omitzero"`         // a prompt in token ids

	MaxTokens             int       `json:"max_tokens,omitempty"`               // of the answer; 0 for what fits the context length
	Sampling              *Sampling `json:"sampling,omitempty"`                 // how tokens are drawn; llama.cpp's defaults if missing
	Stop                  []string  `json:"stop,omitempty"`                     // texts that end the answer, which they are not part of
	IgnoreEndOfGeneration bool      `json:"ignore_end_of_generation,omitempty"` // go on when the model says that it is done
	Special               bool      `json:"special,omitempty"`                  // write control tokens as their texts
	Logprobs              bool      `json:"logprobs,omitempty"`                 // report the probability of each token
	Shift                 bool      `json:"shift,omitempty"`                    // when the context length is reached, drop older tokens
	Keep                  int       `json:"keep,omitempty"`                     // how many at the start stay then
}

// Sampling says how a token is drawn from logits, as package realm's Sampling does. Unlike a missing Sampling, a missing
// field of one is zero.
type Sampling struct {
	Temperature      float32        `json:"temperature"`                 // logits are divided by it; 0 takes the most probable token
	TopK             int            `json:"top_k"`                       // keep the K most probable tokens; 0 keeps all
	TopP             float32        `json:"top_p"`                       // keep the fewest tokens whose probabilities reach it
	MinP             float32        `json:"min_p"`                       // keep tokens at least this times as probable as the first
	RepeatPenalty    float32        `json:"repeat_penalty"`              // divides the logits of recent tokens; 1 is off
	FrequencyPenalty float32        `json:"frequency_penalty,omitempty"` // subtracted from them for each occurrence
	PresencePenalty  float32        `json:"presence_penalty,omitempty"`  // subtracted from them once
	RepeatLastN      int            `json:"repeat_last_n,omitempty"`     // how many tokens are recent; -1 counts all
	LogitBias        map[int32]Bias `json:"logit_bias,omitempty"`        // added to the logits of tokens; null bans one
	Seed             uint64         `json:"seed,string,omitempty"`       // in decimal, in a string: it has 64 bits
	TopLogprobs      int            `json:"top_logprobs,omitempty"`      // how many of the most probable tokens to list
}

// Bias is a number that may be negative infinity, which is null in JSON, as in JavaScript.
type Bias float32

// MarshalJSON implements json.Marshaler.
func (b Bias) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(b), -1) {
		return []byte("null"), nil
	}
	return json.Marshal(float32(b))
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bias) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*b = Bias(math.Inf(-1))
		return nil
	}
	return json.Unmarshal(data, (*float32)(b))
}

// Result is what a guest emits last, in JSON.
type Result struct {
	Tokens       []int32        `json:"tokens"`             // of the answer, without the one that ended it
	FinishReason string         `json:"finish_reason"`      // "stop" or "length"
	Usage        Usage          `json:"usage"`              // counts of tokens
	Logprobs     []LogprobEntry `json:"logprobs,omitempty"` // for each token, if asked for
}

// Usage counts tokens. What a host found in its cache is the host's to say.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`     // of the prompt
	CompletionTokens int `json:"completion_tokens"` // of the answer
}

// LogprobEntry is the probability of a token of the answer.
type LogprobEntry struct {
	ID      int32          `json:"id"`            // the token
	Logprob float32        `json:"logprob"`       // natural logarithm of its probability; -9999 for none at all
	Top     []LogprobEntry `json:"top,omitempty"` // the most probable tokens in its place, the most probable first
}
