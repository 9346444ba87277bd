package bridge

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// Requests of a guest's own shape: what it is sent, what it emits, and how that ended.

// emittedText is text that a guest emitted, emittedToken a token.
type emittedText struct {
	Text string `json:"text"`
}

type emittedToken struct {
	Token       int32              `json:"token"`
	Logprob     *float32           `json:"logprob,omitempty"`
	TopLogprobs []abi.LogprobEntry `json:"topLogprobs,omitempty"`
}

// NewEmitted makes what JavaScript gets of a chunk that a guest emitted.
func NewEmitted(kind uint32, chunk []byte) (any, error) {
	if kind != abi.EmitToken {
		return emittedText{string(chunk)}, nil
	}
	token, top, err := abi.ParseTokenChunk(chunk)
	if err != nil {
		return nil, err
	}
	step := realm.Chunk{Token: int32(token.ID), Logprob: token.Logprob}
	for _, l := range top {
		step.TopLogprobs = append(step.TopLogprobs, realm.TokenLogprob{ID: int32(l.ID), Logprob: l.Logprob})
	}
	c := NewChunk(step, token.Logprob == token.Logprob) // a NaN was not asked for
	return emittedToken{c.Token, c.Logprob, c.TopLogprobs}, nil
}

// RawEnding is what is known when such a request is over.
type RawEnding struct {
	Result json.RawMessage `json:"result,omitempty"` // what the guest emitted as such
	Guest  *GuestUse       `json:"guest"`
}

// NewRawEnding makes an ending of the result that a guest emitted, if it did.
func NewRawEnding(result []byte, use *GuestUse) (RawEnding, error) {
	if result != nil && !json.Valid(result) {
		return RawEnding{}, &realm.Error{Code: realm.CodeGuestFailed, Msg: "realm: the guest's result is not JSON"}
	}
	return RawEnding{result, use}, nil
}

// Body returns a copy of an argument that is a request of a guest's own, text or bytes.
func (c *Call) Body(i int) ([]byte, error) {
	if c.Is(i, String) {
		return []byte(c.Args[i].Text), nil
	}
	b, err := c.Buffer(i, "a request's text or bytes")
	return bytes.Clone(b), err
}

// Seed returns an argument that is a seed: decimals, since JavaScript's numbers do not hold 64 bits.
func (c *Call) Seed(i int) (uint64, error) {
	text, err := c.Text(i, "a seed in decimals")
	if err != nil {
		return 0, err
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, c.Invalid(i, "a seed, a whole number of 64 bits")
	}
	return seed, nil
}
