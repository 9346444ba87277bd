package sample

import (
	"errors"
)

// ErrToken is returned by Logprobs for a token that is not in the vocabulary.
var ErrToken = errors.New("sample: the token is not in the vocabulary")

// TokenLogprob is a token ID and the natural logarithm of its probability.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// Logprobs returns the log-probability of token and the TopLogprobs most probable tokens, largest first and of equal
// ones the lower ID first. The probabilities are those the model gives: a softmax of logits (vocab) over the whole
// vocabulary, before bias, penalties, truncation and temperature. A token of no probability has -Inf. The list is
// valid until the next call. It fails with ErrLogits, ErrLogitsLength or ErrToken.
func (s *Sampler) Logprobs(logits []float32, token int32) (float32, []TokenLogprob, error) {
	if len(logits) != s.vocab {
		return 0, nil, ErrLogitsLength
	}
	if token < 0 || int(token) >= s.vocab {
		return 0, nil, ErrToken
	}
	n := max(s.params.TopLogprobs, 1)
	var ok bool
	if s.kept, ok = topK(s.kept[:0], logits, n); !ok {
		return 0, nil, ErrLogits
	}
	largest := float64(s.kept[0].logit)
	sum := 0.0
	for _, l := range logits {
		sum += exp(float64(l) - largest)
	}
	norm := log(sum)
	logprob := func(l float32) float32 { return float32(float64(l) - largest - norm) }
	s.top = s.top[:0]
	if s.params.TopLogprobs > 0 {
		if n == s.vocab {
			heapify(s.kept, after)
			sortHeap(s.kept)
		}
		for _, c := range s.kept {
			s.top = append(s.top, TokenLogprob{c.id, logprob(c.logit)})
		}
	}
	return logprob(logits[token]), s.top, nil
}
