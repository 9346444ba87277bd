// Package tokenizer turns text into token ids and back, as llama.cpp does: SentencePiece models (SPM), byte-level
// byte-pair encoding (BPE) and WordPiece (WPM), each from the metadata of a GGUF file alone.
//
// It owns the vocabulary, the pre-tokenizers, special tokens and what they mean, and the streaming decoder. It must not
// know files, templates or models: the same code runs in the engine and, compiled to WebAssembly, in a guest, which
// gets the vocabulary as one flat table. Everything here takes time linear in the text, but for a factor of log n in
// the length of its longest word, and no text makes it fail but one over MaxText.
//
// Start at New and Tokenizer.Encode.
package tokenizer

import (
	"slices"
	"sync"

	"github.com/realm-ai/realm/internal/errs"
)

// MaxText is the longest text that Encode takes, in bytes. Encoding needs some 60 bytes of memory per byte of a single
// long word, far less for other text.
const MaxText = 1 << 28

// Tokenizer encodes and decodes with one vocabulary. The same text always gives the same tokens, and any number of goroutines may
// use it.
type Tokenizer struct {
	v      *Vocab
	maxLen int        // bytes of the longest token
	bytes  [256]int32 // the token for each byte on its own, None if there is none

	passes  []splitter // BPE: the pre-tokenizer
	merges  table      // BPE: rows of v.Merges by pair
	results []int32    // BPE: by row of v.Merges, the token that it gives
	wholes  wholes     // BPE: tokens found by merging their own text

	splitAtMark bool // SPM: words can be merged one by one

	special     *matcher // tokens to find if special tokens are parsed
	userDefined *matcher // tokens to find in any text

	encoders sync.Pool // of *encoder
}

// New makes a tokenizer. It keeps the arrays of the vocabulary, which must not change afterwards. A vocabulary that
// contradicts itself is errs.InvalidFormat, a pre-tokenizer that Realm does not have errs.Unsupported.
func New(vocab *Vocab) (*Tokenizer, error) {
	v := new(Vocab)
	*v = *vocab
	if err := v.validate(); err != nil {
		return nil, err
	}
	if err := v.indexTexts(); err != nil {
		return nil, err
	}
	t := &Tokenizer{v: v}
	for id := range int32(v.size()) {
		t.maxLen = max(t.maxLen, len(v.text(id)))
	}
	for b := range 256 {
		t.bytes[b] = t.findByte(byte(b))
	}
	switch v.Model {
	case BPE:
		rule, err := preTokenizer(v.Pre)
		if err != nil {
			return nil, err
		}
		t.passes = rule.passes
		if err := t.indexMerges(); err != nil {
			return nil, err
		}
		t.wholes = makeWholes(v.size())
	case SPM:
		t.splitAtMark = marksStartTokens(v)
	}
	t.special = newMatcher(v, Control|UserDefined|Unknown, 0)
	t.userDefined = newMatcher(v, UserDefined, Control|Unknown)
	t.encoders.New = func() any { return &encoder{t: t} }
	return t, nil
}

// findByte finds the token for a byte: in BPE the character that stands for it, else "<0x0A>" or the byte itself.
func (t *Tokenizer) findByte(b byte) int32 {
	if t.v.Model == BPE {
		return find(t.v, string(byteRune(b)))
	}
	const hex = "0123456789ABCDEF"
	if id := find(t.v, []byte{'<', '0', 'x', hex[b>>4], hex[b&15], '>'}); id != None {
		return id
	}
	return find(t.v, []byte{b})
}

// EncodeOptions say how a text is to be read.
type EncodeOptions struct {
	AddSpecial   bool // add the BOS and EOS, or CLS and SEP, that the model wants round a text
	ParseSpecial bool // read the texts of control tokens as these tokens; never set this for what users type
	// Guard, if set, is the one that protected parts of the text from ParseSpecial.
	Guard Guard
}

// Encode appends the tokens of text to dst. The text may be any bytes; what is not UTF-8 is read as llama.cpp reads it.
// The only error is errs.LimitExceeded, for a text longer than MaxText.
func (t *Tokenizer) Encode(dst []int32, text string, opts EncodeOptions) ([]int32, error) {
	if len(text) > MaxText {
		return dst, errs.Errorf(errs.LimitExceeded, "tokenizer: encode: %d bytes of text: the limit is %d",
			len(text), MaxText)
	}
	e := t.encoders.Get().(*encoder)
	e.out = dst
	e.encode(text, opts)
	dst = e.out
	e.release()
	return dst, nil
}

// VocabSize is the number of tokens; ids run from 0 to VocabSize()-1.
func (t *Tokenizer) VocabSize() int { return t.v.size() }

// Model is the kind of tokenizer.
func (t *Tokenizer) Model() Model { return t.v.Model }

// Pre returns the name of the pre-tokenizer, empty where the model is not BPE.
func (t *Tokenizer) Pre() string { return t.v.Pre }

// Special names the special tokens.
func (t *Tokenizer) Special() Special { return t.v.Special }

// AddsBOS reports whether AddSpecial puts a BOS or CLS token before the text.
func (t *Tokenizer) AddsBOS() bool {
	return t.v.Special.BOS != None && (t.v.AddBOS || t.v.Model == WPM)
}

// AddsEOS reports whether AddSpecial puts an EOS or SEP token after the text.
func (t *Tokenizer) AddsEOS() bool {
	if t.v.Model == WPM {
		return t.v.Special.SEP != None
	}
	return t.v.AddEOS && t.v.Special.EOS != None
}

// IsEndOfGeneration reports whether a token ends an answer: the end of a sequence, turn or message, and whatever else
// the model is known to stop with.
func (t *Tokenizer) IsEndOfGeneration(id int32) bool { return slices.Contains(t.v.EndOfGeneration, id) }

// EndOfGeneration lists those tokens, ascending.
func (t *Tokenizer) EndOfGeneration() []int32 { return slices.Clone(t.v.EndOfGeneration) }

// Attr is the set of attributes of a token, empty for an id that is none.
func (t *Tokenizer) Attr(id int32) Attr {
	if !t.has(id) {
		return 0
	}
	return t.v.Attrs[id]
}

// has reports whether id is a token.
func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < t.v.size() }

// TokenByText finds a token by its text in the vocabulary, which for special tokens is the text that they have in
// prompts.
func (t *Tokenizer) TokenByText(text string) (id int32, ok bool) {
	id = find(t.v, text)
	return id, id != None
}

// encoder is the scratch memory of one call of Encode.
type encoder struct {
	t   *Tokenizer
	out []int32

	shortIDs   [scanLimit]int32  // BPE: the symbols of a short word
	shortRanks [scanLimit]uint32 // and the merge of each with the next

	symbols []symbol
	heap    heap
	text    []byte   // SPM: the text with marks for spaces; WPM: the word; BPE: the word as the vocabulary spells it
	end     int      // SPM: where the text of the symbols ends
	hashes  []uint64 // WPM: of the prefixes of the rest of the word
	spans   []span
	taken   []uint64 // a bit for each byte of the text that a span covers
}

// keepSymbols bounds the scratch memory that outlives a call: about 6 MiB.
const keepSymbols = 1 << 17

// release gives the encoder back to its tokenizer, unless a hostile text has made it large.
func (e *encoder) release() {
	e.out = nil
	if max(cap(e.symbols), cap(e.heap), cap(e.spans), cap(e.hashes)) <= keepSymbols && cap(e.text) <= 8*keepSymbols {
		e.t.encoders.Put(e)
	}
}

func (e *encoder) encode(text string, opts EncodeOptions) {
	t, s := e.t, &e.t.v.Special
	if opts.AddSpecial && t.AddsBOS() {
		e.out = append(e.out, s.BOS)
	}
	m := t.userDefined
	if opts.ParseSpecial {
		m = t.special
	}
	e.findSpans(m, text)
	start, afterSpecial := 0, true
	for _, span := range e.spans {
		if start < span.from {
			e.encodeFragment(opts.Guard.Remove(text[start:span.from]), afterSpecial)
			afterSpecial = false
		}
		if span.id != None {
			e.out = append(e.out, span.id)
			afterSpecial = true
		}
		start = span.to
	}
	if start < len(text) {
		e.encodeFragment(opts.Guard.Remove(text[start:]), afterSpecial)
	}
	if opts.AddSpecial && t.AddsEOS() {
		if t.v.Model == WPM {
			e.out = append(e.out, s.SEP)
		} else {
			e.out = append(e.out, s.EOS)
		}
	}
}

// encodeFragment appends the tokens of a text without special tokens. afterSpecial is set if none precedes it, or
// nothing at all.
func (e *encoder) encodeFragment(fragment string, afterSpecial bool) {
	switch e.t.v.Model {
	case BPE:
		e.split(wellFormed(fragment), e.t.passes)
	case SPM:
		e.encodeSPM(fragment, afterSpecial && e.t.v.AddSpacePrefix)
	case WPM:
		e.encodeWPM(fragment)
	}
}

// pair finds whether symbol i merges with the next, at what priority and into which token.
func (e *encoder) pair(i int32) {
	if e.t.v.Model == BPE {
		e.pairBPE(i)
	} else {
		e.pairSPM(i)
	}
}
