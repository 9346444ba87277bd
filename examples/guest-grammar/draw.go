package main

import (
	"math"

	"github.com/realm-ai/realm/guest"
)

// drawer draws tokens that go on with a text of the language.
type drawer struct {
	t       *guest.Tokenizer
	sampler *guest.Sampler
	grammar *grammar
	state   state // after the text so far
	piece   []byte
}

func newDrawer(m *guest.Model, r *guest.Request, g *grammar) (*drawer, error) {
	t, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	s, err := m.NewSampler(r)
	if err != nil {
		return nil, err
	}
	start, err := g.start()
	return &drawer{t: t, sampler: s, grammar: g, state: start}, err
}

// draw is a hook of guest.Generate. A token is allowed if the language goes on with its text; the tokens that end an answer
// are where the text is complete.
func (d *drawer) draw(logits []float32) (int32, error) {
	banned := float32(math.Inf(-1))
	var first [256]bool // the bytes that a token may begin with: most tokens need no closer look
	for b := range first {
		first[b] = d.state.allows(byte(b))
	}
	for id := range int32(len(logits)) {
		if d.t.IsEndOfGeneration(id) {
			if !d.state.complete() {
				logits[id] = banned
			}
			continue
		}
		d.piece = d.t.AppendPiece(d.piece[:0], id, false)
		if len(d.piece) == 0 || !first[d.piece[0]] {
			logits[id] = banned
		} else if _, ok := d.follow(d.piece); !ok {
			logits[id] = banned
		}
	}
	token, err := d.sampler.Sample(logits)
	if err != nil {
		return 0, guest.Errorf(guest.CodeUnsupported, "no token of the vocabulary goes on with the language: %w", err)
	}
	d.sampler.Accept(token)
	if !d.t.IsEndOfGeneration(token) {
		d.state, _ = d.follow(d.t.AppendPiece(d.piece[:0], token, false))
	}
	return token, nil
}

// follow returns the state after more text, false if the language has no such text.
func (d *drawer) follow(text []byte) (state, bool) {
	s := d.state
	for _, b := range text {
		var err error
		if s, err = d.grammar.step(s, b); err != nil || len(s) == 0 {
			return nil, false
		}
	}
	return s, true
}
