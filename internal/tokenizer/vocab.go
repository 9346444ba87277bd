package tokenizer

import (
	"github.com/realm-ai/realm/internal/errs"
)

// Limits on a vocabulary. The largest published ones have 262,144 tokens, and no text of theirs is near 1 KiB.
const (
	maxTokens     = maxRows
	maxTokenBytes = 1 << 16
)

// Model is the kind of tokenizer that a vocabulary is for.
type Model uint8

// The models, by what tokenizer.ggml.model calls them.
const (
	SPM Model = iota + 1 // "llama": SentencePiece, merging by score
	BPE                  // "gpt2": byte-level byte-pair encoding, merging by rank
	WPM                  // "bert": WordPiece, longest match first
)

// Attr is a set of properties of a token, with the first bit that is set standing for its type in the GGUF file.
type Attr uint8

// The attributes. A token with none of them is of no defined type: it has an id and a text, but decodes to nothing.
const (
	Normal Attr = 1 << iota
	Unknown
	Control     // decodes to nothing unless special tokens are asked for
	UserDefined // found in any text before everything else
	Unused
	Byte        // "<0x0A>": one byte, whatever its text
	StripBefore // spaces before it in the text belong to it
	StripAfter  // spaces after it in the text belong to it
)

// Has reports whether any of attrs is set.
func (a Attr) Has(attrs Attr) bool { return a&attrs != 0 }

// None stands where a vocabulary has no token for a purpose.
const None int32 = -1

// Special names the tokens with a purpose; None where there is none. A WPM vocabulary has its CLS token in BOS.
type Special struct {
	BOS, EOS  int32 // begin and end of sequence
	EOT, EOM  int32 // end of turn, end of message
	UNK       int32 // stands for what has no token
	SEP, MASK int32
	PAD       int32
}

// all lists the ids.
func (s *Special) all() [8]*int32 {
	return [...]*int32{&s.BOS, &s.EOS, &s.EOT, &s.EOM, &s.UNK, &s.SEP, &s.MASK, &s.PAD}
}

// Vocab is everything a tokenizer is made from, in flat arrays that are indexed in place: a guest gets them as one
// table written by the host. The number of tokens is n = len(Attrs). A Vocab is read-only once New has been given it.
type Vocab struct {
	Model Model
	Pre   string // BPE: the name of the pre-tokenizer, as in tokenizer.ggml.pre

	Offsets []uint32  // n+1: the text of token i is Bytes[Offsets[i]:Offsets[i+1]]
	Bytes   []byte    // the texts, as the file has them: "Ġthe" (BPE), "▁the" (SPM)
	Scores  []float32 // n, or none for all zero: SPM merges the pair with the highest score first
	Attrs   []Attr    // n
	Merges  []int32   // BPE: left and right id of each merge, the first merge first

	Special         Special
	EndOfGeneration []int32 // the tokens that end an answer, ascending

	AddBOS, AddEOS bool // SPM and BPE: what AddSpecial adds; WPM always adds BOS and SEP
	AddSpacePrefix bool // SPM: a space goes before the text, and before text that follows a special token
	IgnoreMerges   bool // BPE: a word that is a token stays whole
	CleanSpaces    bool // decoding may drop spaces before punctuation
	Lowercase      bool // WPM
	StripAccents   bool // WPM

	texts table // text to id; VocabFromMetadata makes it, else New does
}

// size is the number of tokens.
func (v *Vocab) size() int { return len(v.Attrs) }

// text is the text of a token.
func (v *Vocab) text(id int32) []byte { return v.Bytes[v.Offsets[id]:v.Offsets[id+1]] }

// find returns the token with the given text, None if there is none.
func find[T string | []byte](v *Vocab, text T) int32 {
	return findHashed(v, text, hashText(text))
}

func findHashed[T string | []byte](v *Vocab, text T, hash uint64) int32 {
	id, p := v.texts.next(v.texts.start(hash))
	for id >= 0 && string(v.text(int32(id))) != string(text) {
		id, p = v.texts.next(p)
	}
	return int32(id)
}

// validate checks all that Encode and Decode rely on, but for the texts being distinct, which indexTexts checks.
func (v *Vocab) validate() error {
	invalid := func(format string, args ...any) error {
		return errs.Errorf(errs.InvalidFormat, "tokenizer: vocabulary: "+format, args...)
	}
	n := v.size()
	switch {
	case v.Model != SPM && v.Model != BPE && v.Model != WPM:
		return errs.Errorf(errs.Unsupported, "tokenizer: vocabulary: unknown model %d", v.Model)
	case n == 0:
		return invalid("no tokens")
	case n > maxTokens:
		return errs.Errorf(errs.LimitExceeded, "tokenizer: vocabulary: %d tokens: the limit is %d", n, maxTokens)
	case len(v.Offsets) != n+1:
		return invalid("%d offsets for %d tokens", len(v.Offsets), n)
	case len(v.Scores) != 0 && len(v.Scores) != n:
		return invalid("%d scores for %d tokens", len(v.Scores), n)
	case len(v.Merges)%2 != 0:
		return invalid("half a merge")
	case uint64(v.Offsets[n]) > uint64(len(v.Bytes)):
		return invalid("texts end at %d of %d bytes", v.Offsets[n], len(v.Bytes))
	}
	for i := range n {
		switch from, to := v.Offsets[i], v.Offsets[i+1]; {
		case from >= to:
			return invalid("token %d: no text", i)
		case to-from > maxTokenBytes:
			return errs.Errorf(errs.LimitExceeded, "tokenizer: vocabulary: token %d: %d bytes: the limit is %d",
				i, to-from, maxTokenBytes)
		}
	}
	for _, list := range [][]int32{v.Merges, v.EndOfGeneration} {
		for _, id := range list {
			if id < 0 || int(id) >= n {
				return invalid("token %d of %d", id, n)
			}
		}
	}
	for _, id := range v.Special.all() {
		if *id < None || int(*id) >= n {
			return invalid("special token %d of %d", *id, n)
		}
	}
	return nil
}

// indexTexts fills the table of texts, unless it has been.
func (v *Vocab) indexTexts() error {
	if v.texts != nil {
		return nil
	}
	texts, err := makeTable(v.size())
	if err != nil {
		return err
	}
	v.texts = texts
	for id := range int32(v.size()) {
		text := v.text(id)
		hash := hashText(text)
		if other := findHashed(v, text, hash); other != None {
			v.texts = nil
			return errs.Errorf(errs.InvalidFormat, "tokenizer: tokens %d and %d have the same text %.64q",
				other, id, text)
		}
		if err := v.texts.insert(hash, int(id)); err != nil {
			v.texts = nil
			return err
		}
	}
	return nil
}
