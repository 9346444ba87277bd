package tokenizer

import (
	"slices"
	"unicode/utf8"
)

// Byte-level BPE: vocabularies spell the bytes of a text as printable characters. byteRune and runeByte translate.

// byteRune is the character that stands for a byte: itself if it is printable in Latin-1, else one from U+0100 on.
func byteRune(b byte) rune {
	switch {
	case b <= ' ':
		return 0x100 + rune(b)
	case b < 0x7F:
		return rune(b)
	case b <= 0xA0:
		return 0x121 + rune(b) - 0x7F
	case b == 0xAD:
		return 0x143
	}
	return rune(b)
}

// runeByte is the byte that a character stands for, false if it stands for none.
func runeByte(r rune) (b byte, ok bool) {
	switch {
	case r > 0x143:
		return 0, false
	case r == 0x143:
		return 0xAD, true
	case r >= 0x121:
		return byte(r - 0x121 + 0x7F), true
	case r >= 0x100:
		return byte(r - 0x100), true
	}
	return byte(r), byteRune(byte(r)) == r
}

// indexMerges fills the table of merges and the token that each gives. Merges into no token are left out, and of two
// for the same pair the first counts.
func (t *Tokenizer) indexMerges() error {
	v := t.v
	n := len(v.Merges) / 2
	var err error
	if t.merges, err = makeTable(n); err != nil {
		return err
	}
	t.results = make([]int32, n)
	var text []byte
	for row := range n {
		left, right := v.Merges[2*row], v.Merges[2*row+1]
		text = append(append(text[:0], v.text(left)...), v.text(right)...)
		t.results[row] = find(v, text)
		if t.results[row] == None || t.findMerge(left, right) >= 0 {
			continue
		}
		if err := t.merges.insert(hashPair(left, right), row); err != nil {
			return err
		}
	}
	return nil
}

// findMerge returns the rank of the merge of two tokens, -1 if they do not merge.
func (t *Tokenizer) findMerge(left, right int32) int {
	p := t.merges.start(hashPair(left, right))
	for {
		row := t.merges.next(&p)
		if row < 0 || t.v.Merges[2*row] == left && t.v.Merges[2*row+1] == right {
			return row
		}
	}
}

// split passes the words of s to encodeWord, after all passes of the pre-tokenizer.
func (e *encoder) split(s string, passes []splitter) {
	if len(passes) == 0 {
		e.encodeWord(s)
		return
	}
	for len(s) > 0 {
		n := passes[0](s)
		e.split(s[:n], passes[1:])
		s = s[n:]
	}
}

// encodeWord appends the tokens of one word. Bytes that the vocabulary has no token for are left out, as in llama.cpp.
func (e *encoder) encodeWord(word string) {
	t := e.t
	if t.v.IgnoreMerges && len(word) <= t.maxLen {
		e.text = e.text[:0]
		for i := range len(word) {
			e.text = utf8.AppendRune(e.text, byteRune(word[i]))
		}
		if id := find(t.v, e.text); id != None {
			e.out = append(e.out, id)
			return
		}
	}
	e.symbols = slices.Grow(e.symbols[:0], len(word))
	for i := range len(word) {
		e.symbols = append(e.symbols, symbol{prev: int32(i) - 1, next: int32(i) + 1, id: t.bytes[word[i]]})
	}
	e.symbols[len(word)-1].next = none
	e.merge()
	for i := int32(0); i != none; i = e.symbols[i].next {
		if id := e.symbols[i].id; id != None {
			e.out = append(e.out, id)
		}
	}
}

// pairBPE finds how symbol i merges with the next.
func (e *encoder) pairBPE(i int32) {
	s := &e.symbols[i]
	s.priority = never
	if row := e.t.findMerge(s.id, e.symbols[s.next].id); row >= 0 {
		s.priority, s.merged = uint32(row), e.t.results[row]
	}
}
