package tokenizer

import "unicode/utf8"

// encodeWPM appends the tokens of a fragment of text: BERT's basic tokenizer, which normalizes and finds words, then
// WordPiece on each word.
func (e *encoder) encodeWPM(fragment string) {
	v := e.t.v
	s := wellFormed(fragment)
	e.startWord()
	for i := 0; i < len(s); {
		r, n := runeAt(s, i)
		i += n
		if v.StripAccents {
			r = baseOf(r)
		}
		c := classOf(r)
		switch {
		case c.is(isSpace):
			e.endWord()
			continue
		case r == 0, r == utf8.RuneError, c.is(isControl), v.StripAccents && c.is(isMark):
			continue
		}
		alone := c.is(isPunct) || r < 0x7F && c.is(isSymbol) || isCJK(r)
		if alone {
			e.endWord()
		}
		if v.Lowercase {
			r = toLower(r)
		}
		e.text = utf8.AppendRune(e.text, r)
		if alone {
			e.endWord()
		}
	}
	e.endWord()
}

// isCJK reports whether r is a Chinese character, each of which is a word. The start of extension E is off by 256 in
// the original, which models were trained with.
func isCJK(r rune) bool {
	switch {
	case 0x4E00 <= r && r <= 0x9FFF, 0x3400 <= r && r <= 0x4DBF, 0x20000 <= r && r <= 0x2A6DF,
		0x2A700 <= r && r <= 0x2B73F, 0x2B740 <= r && r <= 0x2B81F, 0x2B920 <= r && r <= 0x2CEAF,
		0xF900 <= r && r <= 0xFAFF, 0x2F800 <= r && r <= 0x2FA1F:
		return true
	}
	return false
}

// startWord makes e.text the start of a word. GGUF files mark the first piece of a word where BERT's own vocabulary
// marks the others with ##.
func (e *encoder) startWord() { e.text = append(e.text[:0], spaceMark...) }

// endWord appends the tokens of the word in e.text, if it is not empty, and starts the next: at each place the longest
// token that matches; UNK for the whole word if at some place none does.
func (e *encoder) endWord() {
	if len(e.text) == len(spaceMark) {
		return
	}
	t, word, start := e.t, e.text, len(e.out)
	for len(word) > 0 {
		e.hashes = e.hashes[:0]
		hash := hashSeed
		for _, b := range word[:min(len(word), t.maxLen)] {
			hash = hashByte(hash, b)
			e.hashes = append(e.hashes, hash)
		}
		n, id := len(e.hashes), None
		for ; n > 0; n-- {
			if id = findHashed(t.v, word[:n], e.hashes[n-1]); id != None {
				break
			}
		}
		if id == None {
			e.out = e.out[:start]
			if unk := t.v.Special.UNK; unk != None {
				e.out = append(e.out, unk)
			}
			break
		}
		e.out = append(e.out, id)
		word = word[n:]
	}
	e.startWord()
}
