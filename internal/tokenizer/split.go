package tokenizer

// The pre-tokenizers: byte-pair encoding never merges across the borders of the words that these functions find. Their
// published form is one regular expression or several, each applied to the pieces that the one before has left; the
// comment above a function quotes it, from llama.cpp's src/llama-vocab.cpp. Each is written out here as a scanner that
// reads every character a bounded number of times, so that no text makes splitting slow.

// A splitter returns the length of the first piece of s, which is not empty and well-formed. The pieces of a text are
// found by calling it until nothing is left; s always extends to the end of the text being split.
type splitter func(s string) int

// runOf returns where the run of characters of the given classes that starts at s[i] ends.
func runOf(s string, i int, bits class) int {
	for i < len(s) {
		if b := s[i]; b < 0x80 {
			if !asciiClass[b].is(bits) {
				break
			}
			i++
			continue
		}
		r, n := runeAt(s, i)
		if !classOf(r).is(bits) {
			break
		}
		i += n
	}
	return i
}

// runOfOthers returns where the run of characters of other than the given classes that starts at s[i] ends.
func runOfOthers(s string, i int, bits class) int {
	for i < len(s) {
		if b := s[i]; b < 0x80 {
			if asciiClass[b].is(bits) {
				break
			}
			i++
			continue
		}
		r, n := runeAt(s, i)
		if classOf(r).is(bits) {
			break
		}
		i += n
	}
	return i
}

// contraction returns the length of 's, 't, 're, 've, 'm, 'll or 'd at the start of s, 0 if there is none. With fold
// 0x20, capitals count as well.
func contraction(s string, fold byte) int {
	if s[0] != '\'' || len(s) < 2 {
		return 0
	}
	switch s[1] | fold {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) > 2 {
		switch [2]byte{s[1] | fold, s[2] | fold} {
		case [2]byte{'r', 'e'}, [2]byte{'v', 'e'}, [2]byte{'l', 'l'}:
			return 3
		}
	}
	return 0
}

// spaces splits the run of spaces at the start of s: \s+(?!\S)|\s+ takes all of a run but the last space, which goes
// with the word that follows; all of it if nothing follows or there is only one.
func spaces(s string) int {
	end, last := 0, 0
	for end < len(s) {
		c, n := classAt(s, end)
		if !c.is(isSpace) {
			break
		}
		last = end
		end += n
	}
	if end < len(s) && last > 0 {
		return last
	}
	return end
}

// gpt2Words splits by
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2Words(s string) int {
	if n := contraction(s, 0); n > 0 {
		return n
	}
	start := 0
	if s[0] == ' ' {
		start = 1
	}
	c, n := classAt(s, start)
	switch {
	case c.is(isLetter):
		return runOf(s, start+n, isLetter)
	case c.is(isNumber):
		return runOf(s, start+n, isNumber)
	case n > 0 && !c.is(isSpace):
		return runOfOthers(s, start+n, isSpace|isLetter|isNumber)
	}
	return spaces(s)
}

// llama3Words splits by
//
//	(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//	 ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func llama3Words(s string) int { return words(s, 3) }

// qwen2Words is the same with \p{N} instead of \p{N}{1,3}.
func qwen2Words(s string) int { return words(s, 1) }

func words(s string, digits int) int {
	if n := contraction(s, 0x20); n > 0 {
		return n
	}
	c, n := classAt(s, 0)
	next, nextLen := classAt(s, n)
	switch {
	case c.is(isLetter):
		return runOf(s, n, isLetter)
	case c.is(isNumber):
		for digits--; digits > 0 && next.is(isNumber); digits-- {
			n += nextLen
			next, nextLen = classAt(s, n)
		}
		return n
	case next.is(isLetter) && s[0] != '\r' && s[0] != '\n':
		return runOf(s, n+nextLen, isLetter)
	}
	if s[0] == ' ' && nextLen > 0 {
		c, n = next, n+nextLen
	}
	if !c.is(isSpace | isLetter | isNumber) {
		n = runOfOthers(s, n, isSpace|isLetter|isNumber)
		for n < len(s) && (s[n] == '\r' || s[n] == '\n') {
			n++
		}
		return n
	}
	return linesOrSpaces(s)
}

// linesOrSpaces splits the run of spaces at the start of s: up to its last line break, if it has one, else as spaces.
func linesOrSpaces(s string) int {
	end := 0
	for i := 0; i < len(s); {
		c, n := classAt(s, i)
		if !c.is(isSpace) {
			break
		}
		if i += n; s[i-1] == '\r' || s[i-1] == '\n' {
			end = i
		}
	}
	if end > 0 {
		return end
	}
	return spaces(s)
}

// search makes a splitter of a pattern that need not match everywhere: what it matches are pieces, and so is what
// stands between two matches. match returns the length of the match at s[i], 0 if there is none; starts are the classes that
// a match may start with, none for any character.
func search(starts class, match func(s string, i int) int) splitter {
	return func(s string) int {
		for i := 0; i < len(s); {
			if starts != 0 {
				if i = runOfOthers(s, i, starts); i == len(s) {
					break
				}
			}
			if n := match(s, i); n > 0 {
				if i == 0 {
					return n
				}
				return i
			}
			i += lengthAt(s, i)
		}
		return len(s)
	}
}

// lengthAt is the length in bytes of the character that starts at s[i].
func lengthAt(s string, i int) int {
	switch c := s[i]; {
	case c < 0x80:
		return 1
	case c < 0xE0:
		return 2
	case c < 0xF0:
		return 3
	}
	return 4
}

// The patterns for search.

// runs matches [class]+.
func runs(bits class) func(string, int) int {
	return func(s string, i int) int { return runOf(s, i, bits) - i }
}

// singles matches [class].
func singles(bits class) func(string, int) int {
	return func(s string, i int) int {
		if c, n := classAt(s, i); c.is(bits) {
			return n
		}
		return 0
	}
}

// spaceRuns matches \s?[class]+.
func spaceRuns(bits class) func(string, int) int {
	return func(s string, i int) int {
		start := i
		if c, n := classAt(s, i); c.is(isSpace) {
			start += n
		}
		if end := runOf(s, start, bits); end > start {
			return end - i
		}
		return 0
	}
}

// lineBreaks matches [\r\n].
func lineBreaks(s string, i int) int {
	if s[i] == '\r' || s[i] == '\n' {
		return 1
	}
	return 0
}

// threeDigits matches [0-9][0-9][0-9].
func threeDigits(s string, i int) int {
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	if i+3 <= len(s) && isDigit(s[i]) && isDigit(s[i+1]) && isDigit(s[i+2]) {
		return 3
	}
	return 0
}

// defaultPunct matches [\p{P}\$\+<=>\^~\|]+, and falconPunct the same with the grave accent.
func defaultPunct(s string, i int) int { return punctRun(s, i, false) }
func falconPunct(s string, i int) int  { return punctRun(s, i, true) }

func punctRun(s string, from int, grave bool) int {
	i := from
	for i < len(s) {
		c, n := classAt(s, i)
		// The symbols named are all there are in ASCII, the grave accent apart.
		if !c.is(isPunct) && (!c.is(isSymbol) || s[i] >= 0x80 || s[i] == '`' && !grave) {
			break
		}
		i += n
	}
	return i - from
}

// trailingSpaces splits off the spaces at the end of s: \s+$.
func trailingSpaces(s string) int {
	start := len(s)
	for start > 0 {
		i := start - 1
		for s[i]&0xC0 == 0x80 {
			i--
		}
		if c, _ := classAt(s, i); !c.is(isSpace) {
			break
		}
		start = i
	}
	if start == 0 {
		return len(s)
	}
	return start
}
