package tokenizer

import (
	"slices"
	"sync/atomic"
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
	row, p := t.merges.next(t.merges.start(hashPair(left, right)))
	for row >= 0 && (t.v.Merges[2*row] != left || t.v.Merges[2*row+1] != right) {
		row, p = t.merges.next(p)
	}
	return row
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
	whole := None
	if len(word) <= t.maxLen {
		if whole = e.findWord(word); whole != None && (t.v.IgnoreMerges || t.wholes.has(whole)) {
			e.out = append(e.out, whole)
			return
		}
	}
	from := len(e.out)
	if len(word) <= scanLimit {
		e.mergeShort(word)
	} else {
		e.mergeLong(word)
	}
	if whole != None && len(e.out) == from+1 && e.out[from] == whole {
		t.wholes.add(whole)
	}
}

// mergeLong appends the tokens of a word of any length.
func (e *encoder) mergeLong(word string) {
	e.symbols = slices.Grow(e.symbols[:0], len(word))
	for i := range len(word) {
		e.symbols = append(e.symbols, symbol{prev: int32(i) - 1, next: int32(i) + 1, id: e.t.bytes[word[i]]})
	}
	e.symbols[len(word)-1].next = none
	e.merge()
	for i := int32(0); i != none; i = e.symbols[i].next {
		e.appendToken(e.symbols[i].id)
	}
}

// mergeShort does the same for a word of at most scanLimit bytes, with what a guest has to compute for it kept small:
// its symbols lie side by side and move up where two merge.
func (e *encoder) mergeShort(word string) {
	t, n := e.t, len(word)
	ids, ranks := &e.shortIDs, &e.shortRanks
	for i := range n {
		ids[i] = t.bytes[word[i]]
		if i > 0 {
			ranks[i-1] = uint32(t.findMerge(ids[i-1], ids[i])) // never where they do not merge
		}
	}
	for {
		best, at := never, 0
		for i, rank := range ranks[:n-1] {
			if rank < best {
				best, at = rank, i
			}
		}
		if best == never {
			break
		}
		n--
		for i := at + 1; i < n; i++ {
			ids[i], ranks[i-1] = ids[i+1], ranks[i]
		}
		ids[at] = t.results[best]
		if at+1 < n {
			ranks[at] = uint32(t.findMerge(ids[at], ids[at+1]))
		}
		if at > 0 {
			ranks[at-1] = uint32(t.findMerge(ids[at-1], ids[at]))
		}
	}
	for _, id := range ids[:n] {
		e.appendToken(id)
	}
}

// appendToken appends a token, if it is one.
func (e *encoder) appendToken(id int32) {
	if id != None {
		e.out = append(e.out, id)
	}
}

// findWord returns the token for a whole word, None if there is none.
func (e *encoder) findWord(word string) int32 {
	e.text = slices.Grow(e.text[:0], 2*len(word))
	text, hash, n := e.text[:2*len(word)], hashSeed, 0
	for i := range len(word) {
		b := word[i]
		if b <= ' ' || b >= 0x7F { // spelled by two bytes
			r := byteRune(b)
			b = 0x80 | byte(r&0x3F)
			text[n] = 0xC0 | byte(r>>6)
			hash = hashByte(hash, text[n])
			n++
		}
		text[n] = b
		hash = hashByte(hash, b)
		n++
	}
	return findHashed(e.t.v, text[:n], hash)
}

// wholes remembers tokens that are what merging the bytes of their own text gives, as it does for nearly all words that are
// tokens, so that the next such word takes one lookup. It is a set with a bit for each token, and safe for concurrent use:
// where two add at once one may be forgotten, and found again.
type wholes []uint32

func makeWholes(tokens int) wholes { return make(wholes, (tokens+31)/32) }

func (w wholes) has(id int32) bool { return atomic.LoadUint32(&w[id/32])>>(id%32)&1 != 0 }

func (w wholes) add(id int32) {
	bits := &w[id/32]
	atomic.StoreUint32(bits, atomic.LoadUint32(bits)|1<<(id%32))
}

// pairBPE finds how symbol i merges with the next.
func (e *encoder) pairBPE(i int32) {
	s := &e.symbols[i]
	s.priority = never
	if row := e.t.findMerge(s.id, e.symbols[s.next].id); row >= 0 {
		s.priority, s.merged = uint32(row), e.t.results[row]
	}
}
