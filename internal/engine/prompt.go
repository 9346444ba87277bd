package engine

import (
	"github.com/realm-ai/realm/internal/chat"
	"github.com/realm-ai/realm/internal/generate"
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
	Request       = generate.Request
	Prompt        = generate.Prompt
	FinishReason  = generate.FinishReason
	Usage         = generate.Usage
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
	return generate.Chat(e.Tokenizer, e.Template, messages, o)
}

// EncodePrompt returns the tokens of a prompt.
func (e *Engine) EncodePrompt(p Prompt) ([]int32, error) { return p.Encode(e.Tokenizer, e.Template) }
