package generate

import (
	"slices"

	"github.com/realm-ai/realm/internal/chat"
	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// Prompt is what an answer goes on from. One of Text, Messages and Tokens is set.
type Prompt struct {
	// Text is text that the model goes on with. Control tokens written in it are plain text, unless ParseSpecial is set.
	Text         string
	ParseSpecial bool
	// Messages is a conversation, which the template makes a text of, with the tools.
	Messages []chat.Message
	Tools    []chat.Tool
	Tokens   []int32
}

// Encode returns the tokens of the prompt.
func (p *Prompt) Encode(t *tokenizer.Tokenizer, template *chat.Template) ([]int32, error) {
	switch {
	case p.Messages != nil && p.Text == "" && p.Tokens == nil:
		_, tokens, err := Chat(t, template, p.Messages, chat.Options{AddGenerationPrompt: true, Tools: p.Tools})
		return tokens, err
	case p.Messages == nil && p.Tokens == nil:
		tokens, err := t.Encode(nil, p.Text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: p.ParseSpecial})
		if err == nil && len(tokens) == 0 {
			err = errs.Errorf(errs.InvalidArgument, "generate: the prompt is empty")
		}
		return tokens, err
	case p.Messages == nil && p.Text == "":
		return p.Tokens, nil
	}
	return nil, errs.Errorf(errs.InvalidArgument, "generate: want one of a text, messages and tokens as the prompt")
}

// Chat renders messages with a template and returns the text and its tokens. The texts of control tokens are read as these
// tokens where the template wrote them, and as plain text where they stand in a message: a message cannot end its own
// turn or begin another's. BOS and EOS of the options are filled in.
func Chat(t *tokenizer.Tokenizer, template *chat.Template, messages []chat.Message, o chat.Options) (
	text string, tokens []int32, err error,
) {
	special := t.Special()
	o.BOS, o.EOS = string(t.AppendPiece(nil, special.BOS, true)), string(t.AppendPiece(nil, special.EOS, true))
	guard, messages, err := protect(t, messages)
	if err != nil {
		return "", nil, err
	}
	text, err = template.Render(messages, o)
	if err != nil {
		return "", nil, err
	}
	tokens, err = t.Encode(nil, text, tokenizer.EncodeOptions{ParseSpecial: true, Guard: guard})
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
func protect(t *tokenizer.Tokenizer, messages []chat.Message) (tokenizer.Guard, []chat.Message, error) {
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
