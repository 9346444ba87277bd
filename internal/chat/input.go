package chat

import (
	"encoding/json"
	"math"
	"sort"
	"strings"

	"github.com/ardanlabs/jinja"

	"github.com/realm-ai/realm/internal/errs"
)

// input makes the values that a template is given and counts their bytes.
type input struct {
	size    int
	objects bool // give the arguments of tool calls as objects, not as text
}

// newInput returns the variables of a template, by their names in the rewritten source, and the bytes of their texts.
func newInput(messages []Message, o Options, objects bool) (map[string]jinja.Value, int, error) {
	if len(messages) > MaxMessages {
		return nil, 0, errs.Errorf(errs.LimitExceeded, "chat: %d messages, at most %d are taken", len(messages), MaxMessages)
	}
	in := &input{objects: objects}
	vars := map[string]jinja.Value{}
	for name, v := range o.Extra {
		value, err := in.any(v, 0)
		if err != nil {
			return nil, 0, errs.Wrap(err, "chat: variable "+name)
		}
		vars[variable(name)] = value
	}
	list := make([]jinja.Value, len(messages))
	for i := range messages {
		value, err := in.message(&messages[i])
		if err != nil {
			return nil, 0, err
		}
		list[i] = value
	}
	vars["v_messages"] = jinja.NewList(list)
	vars["v_documents"] = jinja.None()
	vars["v_tools"] = jinja.None()
	if o.Tools != nil {
		tools := make([]jinja.Value, len(o.Tools))
		for i := range o.Tools {
			value, err := in.tool(&o.Tools[i])
			if err != nil {
				return nil, 0, err
			}
			tools[i] = value
		}
		vars["v_tools"] = jinja.NewList(tools)
	}
	vars["v_add_generation_prompt"] = jinja.NewBool(o.AddGenerationPrompt)
	vars["v_bos_token"] = in.str(o.BOS)
	vars["v_eos_token"] = in.str(o.EOS)
	if in.size > MaxInput {
		return nil, 0, errs.Errorf(errs.LimitExceeded, "chat: input of %d bytes, at most %d are taken", in.size, MaxInput)
	}
	return vars, in.size, nil
}

func (in *input) str(s string) jinja.Value {
	in.size += len(s)
	return jinja.NewString(s)
}

func (in *input) message(m *Message) (jinja.Value, error) {
	in.size += jsonCost
	v := jinja.NewDict()
	d := v.AsDict()
	d.Set("role", in.str(m.Role))
	d.Set("content", in.str(m.Content))
	if m.ReasoningContent != "" {
		d.Set("reasoning_content", in.str(m.ReasoningContent))
	}
	if m.Name != "" {
		d.Set("name", in.str(m.Name))
	}
	if len(m.ToolCalls) > 0 {
		calls := make([]jinja.Value, len(m.ToolCalls))
		for i := range m.ToolCalls {
			call, err := in.toolCall(&m.ToolCalls[i])
			if err != nil {
				return v, err
			}
			calls[i] = call
		}
		d.Set("tool_calls", jinja.NewList(calls))
	}
	if m.ToolCallID != "" {
		d.Set("tool_call_id", in.str(m.ToolCallID))
	}
	return v, nil
}

func (in *input) toolCall(c *ToolCall) (jinja.Value, error) {
	function := jinja.NewDict()
	function.AsDict().Set("name", in.str(c.Function.Name))
	arguments := in.str(c.Function.Arguments)
	if in.objects {
		if value, err := in.json(c.Function.Arguments); errs.CodeOf(err) == errs.LimitExceeded {
			return value, errs.Wrap(err, "chat: arguments of the tool call "+c.Function.Name)
		} else if err == nil && value.IsDict() {
			arguments = value
		}
	}
	function.AsDict().Set("arguments", arguments)
	v := jinja.NewDict()
	if c.ID != "" {
		v.AsDict().Set("id", in.str(c.ID))
	}
	v.AsDict().Set("type", in.str(typeOr(c.Type)))
	v.AsDict().Set("function", function)
	return v, nil
}

func typeOr(name string) string {
	if name == "" {
		return "function"
	}
	return name
}

func (in *input) tool(t *Tool) (jinja.Value, error) {
	function := jinja.NewDict()
	function.AsDict().Set("name", in.str(t.Function.Name))
	if t.Function.Description != "" {
		function.AsDict().Set("description", in.str(t.Function.Description))
	}
	if len(t.Function.Parameters) > 0 {
		parameters, err := in.json(string(t.Function.Parameters))
		if err != nil {
			return parameters, errs.Wrap(err, "chat: parameters of the tool "+t.Function.Name)
		}
		function.AsDict().Set("parameters", parameters)
	}
	v := jinja.NewDict()
	v.AsDict().Set("type", in.str(typeOr(t.Type)))
	v.AsDict().Set("function", function)
	return v, nil
}

// any converts a Go value. The keys of a map come in sorted order.
func (in *input) any(v any, depth int) (jinja.Value, error) {
	if depth > MaxNesting {
		return jinja.None(), errs.Errorf(errs.LimitExceeded, "a value nested more than %d deep", MaxNesting)
	}
	in.size++
	switch v := v.(type) {
	case nil:
		return jinja.None(), nil
	case bool:
		return jinja.NewBool(v), nil
	case int:
		return jinja.NewInt(int64(v)), nil
	case int64:
		return jinja.NewInt(v), nil
	case float64:
		return jinja.NewFloat(v), nil
	case string:
		return in.str(v), nil
	case json.RawMessage:
		return in.json(string(v))
	case []any:
		items := make([]jinja.Value, len(v))
		for i := range v {
			var err error
			if items[i], err = in.any(v[i], depth+1); err != nil {
				return jinja.None(), err
			}
		}
		return jinja.NewList(items), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		dict := jinja.NewDict()
		for _, key := range keys {
			value, err := in.any(v[key], depth+1)
			if err != nil {
				return jinja.None(), err
			}
			in.size += len(key)
			key, _ := dictKey(jinja.NewString(key))
			dict.AsDict().Set(key, value)
		}
		return dict, nil
	}
	return jinja.None(), errs.Errorf(errs.InvalidArgument, "a value of Go type %T", v)
}

// json parses one JSON value and keeps the order of its keys.
func (in *input) json(text string) (jinja.Value, error) {
	in.size += len(text)
	if in.size > MaxInput {
		return jinja.None(), errs.Errorf(errs.LimitExceeded, "JSON of %d bytes, at most %d are read", len(text), MaxInput)
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := in.decode(d, 0)
	if err != nil {
		return v, err
	}
	if _, err := d.Token(); err == nil {
		return v, errs.Errorf(errs.InvalidArgument, "more than one JSON value")
	}
	return v, nil
}

// jsonCost is what each value in JSON adds to the size of the input: about the bytes that it is kept in.
const jsonCost = 64

func (in *input) decode(d *json.Decoder, depth int) (jinja.Value, error) {
	if depth > MaxNesting {
		return jinja.None(), errs.Errorf(errs.LimitExceeded, "JSON nested more than %d deep", MaxNesting)
	}
	if in.size += jsonCost; in.size > MaxInput {
		return jinja.None(), errs.Errorf(errs.LimitExceeded, "JSON of too many values")
	}
	t, err := d.Token()
	if err != nil {
		return jinja.None(), errs.Errorf(errs.InvalidArgument, "JSON: %w", err)
	}
	switch t := t.(type) {
	case bool:
		return jinja.NewBool(t), nil
	case string:
		return jinja.NewString(t), nil
	case json.Number:
		return jsonNumber(t), nil
	case json.Delim:
		v := jinja.NewDict()
		if t == '[' {
			v = jinja.NewList(nil)
		}
		for d.More() {
			key := ""
			if t == '{' {
				name, err := d.Token()
				if err != nil {
					return v, errs.Errorf(errs.InvalidArgument, "JSON: %w", err)
				}
				key, _ = name.(string)
			}
			item, err := in.decode(d, depth+1)
			if err != nil {
				return v, err
			}
			if t == '{' {
				key, _ := dictKey(jinja.NewString(key))
				v.AsDict().Set(key, item)
			} else {
				v.AsList().Append(item)
			}
		}
		if _, err := d.Token(); err != nil {
			return v, errs.Errorf(errs.InvalidArgument, "JSON: %w", err)
		}
		return v, nil
	}
	return jinja.None(), nil
}

// jsonNumber keeps integers apart from floats, as Python does.
func jsonNumber(n json.Number) jinja.Value {
	if i, err := n.Int64(); err == nil {
		return jinja.NewInt(i)
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return jinja.NewString(n.String())
	}
	return jinja.NewFloat(f)
}
