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
// and its tokens. The texts of control tokens are read as these tokens where the template wrote them, and as plain text
// where they stand in a message: a message cannot end its own turn or begin another's.
func (e *Engine) ChatPrompt(messages []Message, o ChatOptions) (text string, tokens []int32, err error) {
	t := e.Tokenizer
	special := t.Special()
	o.BOS, o.EOS = string(t.AppendPiece(nil, special.BOS, true)), string(t.AppendPiece(nil, special.EOS, true))
	guard, messages, err := protect(t, messages)
	if err != nil {
		return "", nil, err
	}
	text, err = e.Template.Render(messages, o)
	if err != nil {
		return "", nil, err
	}
	tokens, err = t.Encode(nil, text, EncodeOptions{ParseSpecial: true, Guard: guard})
	if err != nil {
		return "", nil, err
	}
	// Most templates write the BOS token themselves; it must come once.
	if t.AddsBOS() && (len(tokens) == 0 || tokens[0] != special.BOS) {
		tokens = slices.Insert(tokens, 0, special.BOS)
	}
	return guard.Remove(text), tokens, nil
}

// protect returns the messages with their texts guarded against being read as control tokens.
func protect(t *Tokenizer, messages []Message) (tokenizer.Guard, []Message, error) {
	messages = slices.Clone(messages)
	var texts []*string
	for i := range messages {
		m := &messages[i]
		texts = append(texts, &m.Role, &m.Content, &m.ReasoningContent, &m.Name, &m.ToolCallID)
		m.ToolCalls = slices.Clone(m.ToolCalls)
		for j := range m.ToolCalls {
			f := &m.ToolCalls[j].Function
			texts = append(texts, &f.Name, &f.Arguments)
		}
	}
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = *text
	}
	guard, err := t.NewGuard(all...)
	if err != nil {
		return guard, nil, err
	}
	for _, text := range texts {
		*text = guard.Protect(*text)
	}
	return guard, messages, nil
}
