package tokenizer

import (
	"bytes"
	"math"
	"strings"
)

// spaceMark is U+2581, which stands for a space in the tokens of SPM and WPM.
const spaceMark = "▁"

// encodeSPM appends the tokens of a fragment of text. SPM reads bytes, not characters: each byte tells by its high bits
// how many belong to its symbol, and what is no token in the end goes out byte by byte.
func (e *encoder) encodeSPM(fragment string, addSpace bool) {
	e.text = e.text[:0]
	if addSpace {
		e.text = append(e.text, spaceMark...)
	}
	for {
		before, after, found := strings.Cut(fragment, " ")
		e.text = append(e.text, before...)
		if !found {
			break
		}
		e.text = append(e.text, spaceMark...)
		fragment = after
	}
	e.symbols = e.symbols[:0]
	wasMark := true
	for i := 0; i < len(e.text); {
		n := min(symbolLength(e.text[i]), len(e.text)-i)
		isMark := string(e.text[i:i+n]) == spaceMark
		if isMark && !wasMark && e.t.splitAtMark {
			e.mergeSPM(i)
		}
		k := int32(len(e.symbols))
		e.symbols = append(e.symbols, symbol{prev: k - 1, next: k + 1, start: uint32(i), id: None})
		i += n
		wasMark = isMark
	}
	e.mergeSPM(len(e.text))
}

// symbolLength is the length of the UTF-8 sequence that a first byte announces, 1 for a byte that cannot be first.
func symbolLength(b byte) int {
	switch {
	case b < 0xC0:
		return 1
	case b < 0xE0:
		return 2
	case b < 0xF0:
		return 3
	}
	return 4
}

// mergeSPM merges the symbols collected so far, whose text ends at e.text[end], and appends their tokens.
func (e *encoder) mergeSPM(end int) {
	if len(e.symbols) == 0 {
		return
	}
	e.symbols[len(e.symbols)-1].next = none
	e.end = end
	e.merge()
	for i := int32(0); i != none; i = e.symbols[i].next {
		s := &e.symbols[i]
		if s.id == None {
			text := e.text[s.start:e.textEnd(s)]
			if s.id = find(e.t.v, text); s.id == None {
				e.fallBack(text)
				continue
			}
		}
		e.out = append(e.out, s.id)
	}
	e.symbols = e.symbols[:0]
}

// fallBack appends a token for each byte of text, or UNK where the vocabulary has no token for a byte.
func (e *encoder) fallBack(text []byte) {
	for _, b := range text {
		id := e.t.bytes[b]
		if id == None {
			id = e.t.v.Special.UNK
		}
		if id != None {
			e.out = append(e.out, id)
		}
	}
}

// textEnd is where the text of a symbol ends in e.text.
func (e *encoder) textEnd(s *symbol) int {
	if s.next == none {
		return e.end
	}
	return int(e.symbols[s.next].start)
}

// pairSPM finds how symbol i merges with the next: if their texts together are a token, with its score.
func (e *encoder) pairSPM(i int32) {
	s := &e.symbols[i]
	s.priority = never
	text := e.text[s.start:e.textEnd(&e.symbols[s.next])]
	if len(text) > e.t.maxLen {
		return
	}
	if id := find(e.t.v, text); id != None {
		s.priority, s.merged = priority(e.t.v, id), id
	}
}

// priority maps scores to numbers that ascend as scores descend. A NaN comes last of all.
func priority(v *Vocab, id int32) uint32 {
	var score float32
	if len(v.Scores) > 0 {
		score = v.Scores[id]
	}
	if math.IsNaN(float64(score)) {
		return never - 1
	}
	if score == 0 {
		score = 0 // minus zero is no different
	}
	bits := math.Float32bits(score)
	if bits>>31 == 0 {
		return ^(bits | 1<<31)
	}
	return bits
}

// marksStartTokens reports whether the space mark only ever stands at the start of a token, besides other marks. Then
// nothing merges across the start of a word, and the words of a text can be merged one by one.
func marksStartTokens(v *Vocab) bool {
	for id := range int32(v.size()) {
		text := bytes.TrimLeft(v.text(id), spaceMark)
		if bytes.Contains(text, []byte(spaceMark)) {
			return false
		}
	}
	return true
}
