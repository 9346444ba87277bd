package sample

import (
	"fmt"
	"math"
)

// Params says how a token is drawn. The zero value samples greedily; Defaults gives llama.cpp's defaults.
type Params struct {
	Temperature float32 // logits are divided by it before the draw; 0 or less takes the largest logit
	TopK        int     // keep the K largest logits; 0 or less keeps all
	TopP        float32 // keep the fewest tokens, most probable first, whose probabilities reach it; 1 keeps all
	MinP        float32 // keep the tokens at least MinP times as probable as the most probable one; 0 keeps all

	RepeatPenalty    float32 // a recent token's logit is divided by it if positive, else multiplied; 1 is off
	FrequencyPenalty float32 // subtracted from a recent token's logit once per occurrence; 0 is off
	PresencePenalty  float32 // subtracted once from a recent token's logit; 0 is off
	RepeatLastN      int     // how many accepted tokens are recent; 0 turns the penalties off, -1 counts all of them

	LogitBias   map[int32]float32 // added to the logit of a token ID before anything else; -Inf bans the token
	Seed        uint64            // the same seed, logits and calls give the same tokens
	TopLogprobs int               // how many of the most probable tokens Logprobs lists
}

// Defaults returns llama.cpp's default parameters (common_params_sampling in its common/common.h), with seed 0.
func Defaults() Params {
	return Params{
		Temperature:   0.8,
		TopK:          40,
		TopP:          0.95,
		MinP:          0.05,
		RepeatPenalty: 1,
		RepeatLastN:   64,
	}
}

// ParamError reports a parameter that New refuses.
type ParamError struct {
	Field   string // name of the field of Params
	Problem string // the value and what it must be, such as "-0.5 is not from 0 to 1"
}

func (e *ParamError) Error() string { return "sample: " + e.Field + ": " + e.Problem }

// check validates p for a vocabulary of vocab tokens.
func (p *Params) check(vocab int) error {
	bad := func(field, format string, args ...any) error {
		return &ParamError{Field: field, Problem: fmt.Sprintf(format, args...)}
	}
	switch {
	case !finite(p.Temperature):
		return bad("Temperature", "%v is not finite", p.Temperature)
	case !(p.TopP >= 0 && p.TopP <= 1): // written so that NaN fails
		return bad("TopP", "%v is not from 0 to 1", p.TopP)
	case !(p.MinP >= 0 && p.MinP <= 1):
		return bad("MinP", "%v is not from 0 to 1", p.MinP)
	case p.penalizes() && !(p.RepeatPenalty > 0 && finite(p.RepeatPenalty)):
		return bad("RepeatPenalty", "%v is not positive and finite", p.RepeatPenalty)
	case !finite(p.FrequencyPenalty):
		return bad("FrequencyPenalty", "%v is not finite", p.FrequencyPenalty)
	case !finite(p.PresencePenalty):
		return bad("PresencePenalty", "%v is not finite", p.PresencePenalty)
	case p.RepeatLastN < -1:
		return bad("RepeatLastN", "%d is less than -1", p.RepeatLastN)
	case p.TopLogprobs < 0 || p.TopLogprobs > vocab:
		return bad("TopLogprobs", "%d is not from 0 to the vocabulary's %d", p.TopLogprobs, vocab)
	}
	for id, bias := range p.LogitBias {
		if id < 0 || int(id) >= vocab {
			return bad("LogitBias", "token %d is not in the vocabulary of %d", id, vocab)
		}
		if !finite(bias) && !math.IsInf(float64(bias), -1) {
			return bad("LogitBias", "token %d: %v is neither finite nor -Inf", id, bias)
		}
	}
	return nil
}

// penalizes reports whether any penalty can change a logit.
func (p *Params) penalizes() bool {
	return p.RepeatLastN != 0 && (p.RepeatPenalty != 1 || p.FrequencyPenalty != 0 || p.PresencePenalty != 0)
}

func finite(x float32) bool { return x-x == 0 }
