package realm

import (
	"github.com/realm-ai/realm/internal/engine"
	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/store"
)

// Tokenizer turns text into token IDs and back. It is safe for concurrent use, and stays usable when the model that it
// came from is closed.
type Tokenizer struct{ t *engine.Tokenizer }

// OpenTokenizer reads the tokenizer of a GGUF file, which may hold a vocabulary and no weights. If pre is not empty, it
// replaces the file's `tokenizer.ggml.pre`.
func OpenTokenizer(path, pre string) (*Tokenizer, error) {
	entry, err := store.Open(path)
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	t, err := engine.NewTokenizer(entry.File, pre)
	if err != nil {
		return nil, errs.Wrap(err, path)
	}
	return &Tokenizer{t}, nil
}

// EncodeOptions say how a text is to be read.
type EncodeOptions struct {
	AddSpecial   bool // add the BOS and EOS, or CLS and SEP, that the model wants round a text
	ParseSpecial bool // read the texts of control tokens as these tokens; never set this for what users type
}

// Encode returns the token IDs of a text, which may be any bytes. It fails with CodeLimitExceeded for more than 256 MiB.
func (t *Tokenizer) Encode(text string, o EncodeOptions) ([]int32, error) {
	return t.t.Encode(nil, text, engine.EncodeOptions{AddSpecial: o.AddSpecial, ParseSpecial: o.ParseSpecial})
}

// Decode returns the text of token IDs: with special, control tokens as their texts, else as nothing. IDs that are not in
// the vocabulary are nothing.
func (t *Tokenizer) Decode(tokens []int32, special bool) string {
	return t.t.Decode(tokens, engine.DecodeOptions{Special: special})
}

// Piece returns the bytes that one token stands for, which may be part of a character: with special, a control token's
// text, else nothing for it.
func (t *Tokenizer) Piece(id int32, special bool) []byte { return t.t.AppendPiece(nil, id, special) }

// NewDecoder returns a decoder for tokens that come one at a time, which gives whole UTF-8 characters only.
func (t *Tokenizer) NewDecoder(special bool) *Decoder { return &Decoder{t.t.NewDecoder(special)} }

// VocabTable writes the vocabulary as the table that guests read, metadata kind 1 in docs/abi.md.
func (t *Tokenizer) VocabTable() ([]byte, error) { return t.t.VocabTable() }

// VocabSize is the number of tokens; IDs run from 0 to VocabSize()-1.
func (t *Tokenizer) VocabSize() int { return t.t.VocabSize() }

// BOS returns the ID of the token that begins a sequence, or -1.
func (t *Tokenizer) BOS() int32 { return t.t.Special().BOS }

// EOS returns the ID of the token that ends a sequence, or -1.
func (t *Tokenizer) EOS() int32 { return t.t.Special().EOS }

// IsEndOfGeneration reports whether a token ends an answer.
func (t *Tokenizer) IsEndOfGeneration(id int32) bool { return t.t.IsEndOfGeneration(id) }

// Decoder decodes a stream of tokens.
type Decoder struct{ d *engine.Decoder }

// Push adds a token and returns the text that is complete with it.
func (d *Decoder) Push(token int32) string { return string(d.d.Push(token)) }

// Flush returns what is left at the end of the stream, and makes the decoder as new.
func (d *Decoder) Flush() string { return string(d.d.Flush()) }
