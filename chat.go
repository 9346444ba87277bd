package realm

import (
	"encoding/json"

	"github.com/realm-ai/realm/internal/engine"
)

// Message is one turn of a conversation, in the JSON form of OpenAI's chat completions.
type Message struct {
	Role             string     `json:"role"` // "system", "user", "assistant" or "tool"
	Content          string     `json:"content"`
	ReasoningContent string     `json:"reasoning_content,omitempty"` // what the assistant thought, where kept apart
	Name             string     `json:"name,omitempty"`              // of the tool whose answer this is, or of the speaker
	ToolCalls        []ToolCall `json:"tool_calls,omitempty"`
	ToolCallID       string     `json:"tool_call_id,omitempty"` // of the call that this is the answer to
}

// ToolCall is the assistant's request to call a tool.
type ToolCall struct {
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type"` // "function", also where empty
	Function FunctionCall `json:"function"`
}

// FunctionCall names a function and its arguments.
type FunctionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // a JSON object
}

// Tool describes a tool that the assistant may call.
type Tool struct {
	Type     string   `json:"type"` // "function", also where empty
	Function Function `json:"function"`
}

// Function describes a function and, as a JSON schema, its parameters.
type Function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

func toMessages(messages []Message) []engine.Message {
	out := make([]engine.Message, len(messages))
	for i, m := range messages {
		out[i] = engine.Message{
			Role: m.Role, Content: m.Content, ReasoningContent: m.ReasoningContent, Name: m.Name, ToolCallID: m.ToolCallID,
		}
		for _, c := range m.ToolCalls {
			out[i].ToolCalls = append(out[i].ToolCalls, engine.ToolCall{ID: c.ID, Type: c.Type, Function: engine.FunctionCall(c.Function)})
		}
	}
	return out
}

func toTools(tools []Tool) []engine.Tool {
	var out []engine.Tool
	for _, t := range tools {
		out = append(out, engine.Tool{Type: t.Type, Function: engine.Function(t.Function)})
	}
	return out
}
