package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// AppendPiece appends the text that a token stands for, which may be a part of a UTF-8 sequence. Control and unknown
// tokens stand for nothing unless special is set, ids that are no token for nothing ever.
func (t *Tokenizer) AppendPiece(dst []byte, id int32, special bool) []byte {
	attr := t.Attr(id)
	switch {
	case attr.Has(Control | Unknown):
		if special {
			dst = append(dst, t.v.text(id)...)
		}
	case attr.Has(UserDefined):
		dst = append(dst, t.v.text(id)...)
	case attr.Has(Normal) && t.v.Model == BPE:
		dst = appendBytes(dst, t.v.text(id))
	case attr.Has(Normal):
		dst = appendUnmarked(dst, string(t.v.text(id)))
	case attr.Has(Byte):
		if b, ok := parseByte(t.v.text(id)); ok {
			dst = append(dst, b)
		}
	}
	return dst
}

// appendBytes appends the bytes that the characters of a BPE token stand for. A character that stands for no byte,
// which only a token outside the merges can have, stands for itself.
func appendBytes(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if b, ok := runeByte(r); ok {
			dst = append(dst, b)
		} else {
			dst = append(dst, text[i:i+n]...)
		}
		i += n
	}
	return dst
}

// appendUnmarked appends the text of an SPM or WPM token with spaces for its marks.
func appendUnmarked(dst []byte, text string) []byte {
	for {
		before, after, found := strings.Cut(text, spaceMark)
		dst = append(dst, before...)
		if !found {
			return dst
		}
		dst = append(dst, ' ')
		text = after
	}
}

// parseByte reads the text of a byte token, such as <0x0A>.
func parseByte(text []byte) (b byte, ok bool) {
	if len(text) != 6 || string(text[:3]) != "<0x" || text[5] != '>' {
		return 0, false
	}
	for _, digit := range text[3:5] {
		switch {
		case '0' <= digit && digit <= '9':
			b = b<<4 | (digit - '0')
		case 'A' <= digit && digit <= 'F':
			b = b<<4 | (digit - 'A' + 10)
		case 'a' <= digit && digit <= 'f':
			b = b<<4 | (digit - 'a' + 10)
		default:
			return 0, false
		}
	}
	return b, true
}

// DecodeOptions say how tokens are to be written out.
type DecodeOptions struct {
	Special       bool // write control and unknown tokens as their texts
	RemoveSpecial bool // leave out a BOS at the start and an EOS at the end where Encode adds these
	CleanSpaces   bool // drop spaces before punctuation if the model asks for that, which loses information
}

// Decode returns the text of tokens. The space that Encode puts before a text is removed from the start, but not after
// a BOS. With CleanSpaces set, Decode gives what llama_detokenize of llama.cpp does; without, it undoes Encode.
func (t *Tokenizer) Decode(ids []int32, opts DecodeOptions) string {
	removeSpace := t.v.AddSpacePrefix
	if opts.RemoveSpecial && t.v.AddBOS && len(ids) > 0 && ids[0] == t.v.Special.BOS {
		ids, removeSpace = ids[1:], false
	}
	if opts.RemoveSpecial && t.v.AddEOS && len(ids) > 0 && ids[len(ids)-1] == t.v.Special.EOS {
		ids = ids[:len(ids)-1]
	}
	var text []byte
	for i, id := range ids {
		text = t.AppendPiece(text, id, opts.Special)
		if i == 0 && removeSpace && len(text) > 0 && text[0] == ' ' {
			text = text[1:]
		}
	}
	if opts.CleanSpaces && t.v.CleanSpaces {
		text = cleanSpaces(text)
	}
	return string(text)
}

// cleanSpaces undoes what tokenizers of the BERT family do to English text: it drops the space before ? ! . and , then
// both spaces round a lone apostrophe, then the space before 's 'm 're and 've. Each rule sees what the one before has
// left.
func cleanSpaces(text []byte) []byte {
	out := text[:0]
	for _, c := range text {
		if n := len(out); n > 0 && out[n-1] == ' ' && (c == '?' || c == '!' || c == '.' || c == ',') {
			out = out[:n-1]
		}
		out = append(out, c)
	}
	text, out = out, out[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		lone := c == '\'' && i > 0 && i+1 < len(text) && text[i-1] == ' ' && text[i+1] == ' '
		if lone && len(out) > 0 && out[len(out)-1] == ' ' {
			out = out[:len(out)-1]
			i++
		}
		out = append(out, c)
	}
	text, out = out, out[:0]
	for i, c := range text {
		if n := len(out); n > 0 && out[n-1] == ' ' && startsContraction(text[i:]) {
			out = out[:n-1]
		}
		out = append(out, c)
	}
	return out
}

// startsContraction reports whether text starts with a contraction that loses the space before it.
func startsContraction(text []byte) bool {
	return hasAnyPrefix(string(text[:min(len(text), 3)]), "'s", "'m", "'re", "'ve")
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// Decoder decodes tokens as they come. It returns whole characters only: the start of a UTF-8 sequence waits for the
// tokens that complete it, and becomes U+FFFD if they do not.
type Decoder struct {
	t       *Tokenizer
	special bool
	pending []byte // bytes that have come and not gone: first those of an incomplete sequence
	out     []byte
}

// NewDecoder makes a decoder that writes control tokens as their texts if special is set.
func (t *Tokenizer) NewDecoder(special bool) *Decoder { return &Decoder{t: t, special: special} }

// Push adds a token and returns the text that is complete with it, in UTF-8. The result is valid until the next call.
func (d *Decoder) Push(id int32) []byte {
	d.pending = d.t.AppendPiece(d.pending, id, d.special)
	return d.decode(false)
}

// Flush returns what is left at the end of the tokens, and makes the decoder as new.
func (d *Decoder) Flush() []byte { return d.decode(true) }

// decode moves whole characters from pending to the result, and with all set the rest as well. Each maximal part of a
// sequence that can no longer be completed becomes one U+FFFD, as Unicode recommends and as JavaScript decodes.
func (d *Decoder) decode(all bool) []byte {
	d.out = d.out[:0]
	rest := d.pending
	for len(rest) > 0 {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			if !all && !utf8.FullRune(rest) {
				break
			}
			for n < len(rest) && !utf8.FullRune(rest[:n]) && !utf8.FullRune(rest[:n+1]) {
				n++
			}
			d.out = utf8.AppendRune(d.out, utf8.RuneError)
		} else {
			d.out = append(d.out, rest[:n]...)
		}
		rest = rest[n:]
	}
	d.pending = append(d.pending[:0], rest...)
	return d.out
}
