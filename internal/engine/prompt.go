package engine

import (
	"slices"

	"github.com/realm-ai/realm/internal/chat"
	"github.com/realm-ai/realm/internal/sample"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// The types of the packages below that callers of an engine need.
type (
	Message       = chat.Message
	ToolCall      = chat.ToolCall
	FunctionCall  = chat.FunctionCall
	Tool          = chat.Tool
	Function      = chat.Function
	ChatOptions   = chat.Options
	Sampling      = sample.Params
	Tokenizer     = tokenizer.Tokenizer
	EncodeOptions = tokenizer.EncodeOptions
	DecodeOptions = tokenizer.DecodeOptions
	Decoder       = tokenizer.Decoder
)

// DefaultSampling returns llama.cpp's default sampling parameters.
func DefaultSampling() Sampling { return sample.Defaults() }

// ChatPrompt renders messages with the model's template, for the start of the assistant's answer, and returns the text
// and its tokens.
func (e *Engine) ChatPrompt(messages []Message, o ChatOptions) (text string, tokens []int32, err error) {
	t := e.Tokenizer
	special := t.Special()
	piece := func(id int32) string { return string(t.AppendPiece(nil, id, true)) }
	o.BOS, o.EOS = piece(special.BOS), piece(special.EOS)
	text, err = e.Template.Render(messages, o)
	if err != nil {
		return "", nil, err
	}
	tokens, err = t.Encode(nil, text, EncodeOptions{ParseSpecial: true})
	if err != nil {
		return "", nil, err
	}
	// Most templates write the BOS token themselves; it must come once.
	if t.AddsBOS() && (len(tokens) == 0 || tokens[0] != special.BOS) {
		tokens = slices.Insert(tokens, 0, special.BOS)
	}
	return text, tokens, nil
}
