package sample

// maxNeed bounds what Need asks for: choosing more of the largest logits takes longer than passing over all of them.
const maxNeed = 256

// Need returns how many of the largest logits SampleTop must be given for the next token, or 0 where Sample must be given
// all of them. It changes with the tokens that were accepted.
//
// The samplers look at the TopK largest logits only. Where bias and penalties can lower logits but never raise one,
// those are among the TopK+n largest as they were before, with n tokens that may be lowered: of these TopK+n at least TopK
// keep their logits, and whatever was below them still is.
func (s *Sampler) Need() int {
	k := s.params.keep()
	n := k + len(s.params.LogitBias) + len(s.recent.count)
	if k <= 0 || n >= s.vocab || n > maxNeed || n > k && !s.lowers {
		return 0
	}
	return n
}

// lowers reports whether bias and penalties never raise a logit.
func (p *Params) lowers() bool {
	for _, bias := range p.LogitBias {
		if bias > 0 {
			return false
		}
	}
	return !p.penalizes() || p.RepeatPenalty >= 1 && p.FrequencyPenalty >= 0 && p.PresencePenalty >= 0
}

// SampleTop draws a token ID as Sample does, from the Need() largest logits and their token IDs, the largest first and of
// equal ones the lower ID, with a NaN before all numbers. It fails with ErrLogits or ErrLogitsLength.
func (s *Sampler) SampleTop(ids []int32, logits []float32) (int32, error) {
	if n := s.Need(); n == 0 || len(ids) != n || len(logits) != n {
		return 0, ErrLogitsLength
	}
	if !usable(logits[0]) {
		return 0, ErrLogits
	}
	s.kept = s.kept[:0]
	for i, id := range ids {
		s.kept = append(s.kept, candidate{id, s.adjustOne(id, logits[i])})
	}
	if k := s.params.keep(); k < len(s.kept) {
		heapify(s.kept, after)
		sortHeap(s.kept)
		s.kept = s.kept[:k]
	}
	if s.kept[0].logit < -maxFloat32 {
		return 0, ErrLogits
	}
	return s.choose(), nil
}

// adjustOne applies logit bias and penalties to one logit.
func (s *Sampler) adjustOne(id int32, logit float32) float32 {
	logit += s.params.LogitBias[id]
	if n := s.recent.count[id]; n > 0 {
		logit = s.penalize(logit, n)
	}
	return logit
}
