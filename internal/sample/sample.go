// Package sample owns the step from logits to a token ID: logit bias, penalties, the truncating samplers, temperature,
// the seeded draw and log-probabilities. It imports nothing of Realm and knows neither models nor text, and it is
// compiled into the guest as well as into the native engine: both get the same tokens to the last bit, because all its
// arithmetic is additions, multiplications, divisions and bit operations in a fixed order.
//
// The order of the samplers is llama.cpp's default: logit bias, penalties, top-k, top-p, min-p, temperature, draw.
// Start at Sampler.Sample.
package sample

import (
	"errors"
	"maps"
	"math"
	"slices"
)

// ErrLogits is returned for logits that no token can be drawn from: one of them is NaN or +Inf, or all are -Inf.
var ErrLogits = errors.New("sample: logits hold NaN or +Inf, or only -Inf")

// ErrLogitsLength is returned for logits whose number is not that of the vocabulary.
var ErrLogitsLength = errors.New("sample: the number of logits is not the size of the vocabulary")

// candidate is a token that may be drawn.
type candidate struct {
	id    int32
	logit float32
}

// before is the order of candidates: the larger logit first, and of equal logits the lower token ID.
func (c candidate) before(d candidate) bool {
	return c.logit > d.logit || c.logit == d.logit && c.id < d.id
}

// Sampler draws the tokens of one sequence. It is not safe for concurrent use. After its first token it allocates
// nothing, except where the map of recent tokens grows.
type Sampler struct {
	params Params
	vocab  int
	recent history
	random splitMix64
	lowers bool // bias and penalties never raise a logit

	adjusted []float32   // (vocab) the logits after bias and penalties
	kept     []candidate // what the truncating samplers have left
	weights  []float64   // (len(kept)) unnormalized probabilities
	top      []TokenLogprob
}

// New returns a sampler for a vocabulary of vocab tokens, or a *ParamError.
func New(p Params, vocab int) (*Sampler, error) {
	if vocab <= 0 || vocab > math.MaxInt32 {
		return nil, &ParamError{Field: "vocab", Problem: "the size of the vocabulary is not a positive int32"}
	}
	if err := p.check(vocab); err != nil {
		return nil, err
	}
	p.LogitBias = maps.Clone(p.LogitBias) // the caller's map may change later
	s := &Sampler{params: p, vocab: vocab, lowers: p.lowers()}
	s.Reset()
	return s, nil
}

// Reset forgets the accepted tokens and starts the random numbers again from the seed.
func (s *Sampler) Reset() {
	s.random = splitMix64(s.params.Seed)
	s.recent = history{}
	if s.params.penalizes() {
		s.recent = newHistory(s.params.RepeatLastN)
	}
}

// Accept tells the penalties that token is now part of the sequence, be it drawn or given in the prompt. Tokens outside
// the vocabulary are ignored.
func (s *Sampler) Accept(token int32) {
	if token >= 0 && int(token) < s.vocab {
		s.recent.add(token)
	}
}

// Sample draws a token ID from logits (vocab), which it does not change. It fails with ErrLogits or ErrLogitsLength.
// With a Temperature of 0 or less it takes the largest logit after bias and penalties, of equal ones the lowest ID.
func (s *Sampler) Sample(logits []float32) (int32, error) {
	if len(logits) != s.vocab {
		return 0, ErrLogitsLength
	}
	logits = s.adjust(logits)
	k := s.params.keep()
	if k <= 0 || k >= s.vocab {
		k = s.vocab
	}
	var ok bool
	if s.kept, ok = topK(s.kept[:0], logits, k); !ok {
		return 0, ErrLogits
	}
	return s.choose(), nil
}

// choose draws from what top-k has kept.
func (s *Sampler) choose() int32 {
	if len(s.kept) == 1 {
		return s.kept[0].id
	}
	s.topP()
	s.minP()
	return s.draw()
}

// keep is the number of candidates that top-k keeps, 0 or less for all.
func (p *Params) keep() int {
	if p.Temperature <= 0 {
		return 1 // every sampler keeps the most probable token, and the draw is then of that one
	}
	return p.TopK
}

// adjust applies logit bias and penalties, in s.adjusted if there are any.
func (s *Sampler) adjust(logits []float32) []float32 {
	if len(s.params.LogitBias) == 0 && len(s.recent.count) == 0 {
		return logits
	}
	s.adjusted = append(s.adjusted[:0], logits...)
	// The order within a map does not matter: each token ID stands in it once.
	for id, bias := range s.params.LogitBias {
		s.adjusted[id] += bias
	}
	for id, n := range s.recent.count {
		s.adjusted[id] = s.penalize(s.adjusted[id], n)
	}
	return s.adjusted
}

// penalize returns the logit of a token that occurred n times, n > 0, in the recent tokens: the repeat penalty moves
// it down whatever its sign, then come the penalties OpenAI defines.
func (s *Sampler) penalize(logit float32, n int32) float32 {
	p := &s.params
	if logit <= 0 {
		logit *= p.RepeatPenalty
	} else {
		logit /= p.RepeatPenalty
	}
	return logit - (float32(float32(n)*p.FrequencyPenalty) + p.PresencePenalty)
}

// weigh fills s.weights with e^((logit-max)/temperature) of each kept candidate and returns their sum. The candidates
// are summed in the order in which they stand, and the first one has the largest logit.
func (s *Sampler) weigh(temperature float32) float64 {
	s.weights = slices.Grow(s.weights[:0], len(s.kept))
	sum, largest := 0.0, s.kept[0].logit
	for _, c := range s.kept {
		w := exp((float64(c.logit) - float64(largest)) / float64(temperature))
		s.weights = append(s.weights, w)
		sum += w
	}
	return sum
}

// topP keeps the fewest candidates whose probabilities, largest first, sum to TopP or more, and at least one.
func (s *Sampler) topP() {
	if s.params.TopP >= 1 {
		return
	}
	goal, reached := float64(s.params.TopP)*s.weigh(1), 0.0
	if len(s.kept) < s.vocab { // sorted by topK
		for i, w := range s.weights {
			if reached += w; reached >= goal {
				s.kept = s.kept[:i+1]
				return
			}
		}
		return
	}
	// The whole vocabulary is a heap: take from it only what is needed. What is taken is put behind what remains.
	largest, n := s.kept[0].logit, len(s.kept)
	for n > 0 {
		n--
		s.kept[0], s.kept[n] = s.kept[n], s.kept[0]
		siftDown(s.kept[:n], 0, candidate.before)
		if reached += exp(float64(s.kept[n].logit) - float64(largest)); reached >= goal {
			break
		}
	}
	taken := s.kept[n:]
	slices.Reverse(taken)
	s.kept = s.kept[:copy(s.kept, taken)] // moved to the front, so that the next token has the slice's whole capacity
}

// minP keeps the candidates whose probability is at least MinP times the largest. The first one has the largest logit.
func (s *Sampler) minP() {
	if s.params.MinP <= 0 {
		return
	}
	least := float64(s.kept[0].logit) + log(float64(s.params.MinP))
	n := 1
	for _, c := range s.kept[1:] {
		if float64(c.logit) >= least {
			s.kept[n] = c
			n++
		}
	}
	s.kept = s.kept[:n]
}

// draw divides the kept logits by the temperature and draws one candidate by its probability.
func (s *Sampler) draw() int32 {
	goal := s.random.float64() * s.weigh(s.params.Temperature)
	reached, chosen := 0.0, 0
	for i, w := range s.weights {
		if w == 0 {
			continue // a banned token, or one too improbable for float64: never drawn, not even by rounding at the end
		}
		chosen = i
		if reached += w; reached > goal {
			break
		}
	}
	return s.kept[chosen].id
}
