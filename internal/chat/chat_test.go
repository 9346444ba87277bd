package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

// render parses and renders a template for one message of a user.
func render(source, content string, o Options) (string, error) {
	t, err := Parse(source)
	if err != nil {
		return "", err
	}
	return t.Render([]Message{{Role: "user", Content: content}}, o)
}

func TestFallback(t *testing.T) {
	got, err := Fallback().Render([]Message{
		{Role: "system", Content: "Be brief."},
		{Role: "user", Content: " Hi\n"},
	}, Options{AddGenerationPrompt: true})
	want := "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi\n<|im_end|>\n<|im_start|>assistant\n"
	if got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestOptions(t *testing.T) {
	o := Options{
		BOS: "<s>", EOS: "</s>", Now: someTime,
		Extra: map[string]any{
			"enable_thinking": false,
			"ordered":         json.RawMessage(`{"z": 1, "a": [1.0, 9007199254740993, null]}`),
			"map":             map[string]any{"z": 1, "a": []any{"x", nil, 2.5, int64(3)}},
			"bos_token":       "not this one",
		},
	}
	got, err := render("{{ bos_token }}{{ eos_token }} {{ enable_thinking }} {{ ordered|tojson }} {{ map|tojson }} "+
		"{{ tools is none }} {{ strftime_now('%H:%M') }} {{ add_generation_prompt }}", "", o)
	want := `<s></s> False {"z": 1, "a": [1.0, 9007199254740993, null]} {"a": ["x", null, 2.5, 3], "z": 1} True 13:04 False`
	if got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	before := time.Now().UTC().Year()
	if got, err := render("{{ strftime_now('%Y') }}", "", Options{}); got < fmt.Sprint(before) || err != nil {
		t.Errorf("without Now the year is %q, %v", got, err)
	}
	for name, v := range map[string]any{"channel": make(chan int), "JSON": json.RawMessage(`{"a"`), "two": json.RawMessage("1 2")} {
		if _, err := render("", "", Options{Extra: map[string]any{"x": v}}); errs.CodeOf(err) != errs.InvalidArgument {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestToolArguments(t *testing.T) {
	messages := []Message{
		{Role: "user", Content: "Go"},
		{Role: "assistant", ToolCalls: []ToolCall{{ID: "1", Function: FunctionCall{Name: "f", Arguments: `{"z":1,"a":"x"}`}}}},
	}
	for source, want := range map[string]string{
		"{{ messages[1].tool_calls[0]|tojson }}":                          `{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"z": 1, "a": "x"}}}`,
		"{{ 'args: ' + messages[1].tool_calls[0].function.arguments }}":   `args: {"z":1,"a":"x"}`, // text is asked for
		"{{ messages[1].content == '' }}{{ messages[1].name is defined}}": "TrueFalse",
	} {
		template, err := Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := template.Render(messages, Options{}); got != want || err != nil {
			t.Errorf("%s\ngot  %q, %v\nwant %q", source, got, err, want)
		}
	}
	messages[1].ToolCalls[0].Function.Arguments = "no JSON"
	template, _ := Parse("{{ messages[1].tool_calls[0].function.arguments }}")
	if got, err := template.Render(messages, Options{}); got != "no JSON" || err != nil {
		t.Errorf("arguments that are no JSON: %q, %v", got, err)
	}
	tools := []Tool{{Function: Function{Name: "f", Parameters: json.RawMessage(`{"type": `)}}}
	if _, err := template.Render(messages, Options{Tools: tools}); errs.CodeOf(err) != errs.InvalidArgument {
		t.Errorf("a tool with broken parameters: %v", err)
	}
}

// TestContentIsData holds that nothing in a message is taken for a part of the template.
func TestContentIsData(t *testing.T) {
	for _, content := range []string{
		"{{ bos_token }}", "{% for x in messages %}x{% endfor %}", "{# gone #}", "}}", "%}", "{%- raw -%}", "{% endraw %}",
		"'", `"`, `\`, "\x00i1", "\n\n", "  spaces  ", "\xff\xfe", "o(0)", "v_messages", "t1",
	} {
		got, err := Fallback().Render([]Message{{Role: content, Content: content}}, Options{})
		if want := "<|im_start|>" + content + "\n" + content + "<|im_end|>\n"; got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		source := "{% set c = messages[0].content %}{% set ns = namespace(x=c) %}{% macro m(x) %}{{ x }}{% endmacro %}" +
			"{{ m(ns.x) }}{% for x in [c] %}{{ x }}{% endfor %}{% set b %}{{ c }}{% endset %}{{ b }}"
		if got, err := render(source, content, Options{}); got != content+content+content || err != nil {
			t.Errorf("got %q, %v, want three times %q", got, err, content)
		}
	}
	// Text of the template that looks like the rewritten source stays text, and its names are not the template's.
	source := "{% raw %}{{o(0)}}{%if%}{% endraw %}o(0){{ o is defined }}{{ t1 is defined }}{{ v_messages is defined }}"
	if got, err := render(source, "", Options{}); got != "{{o(0)}}{%if%}o(0)FalseFalseFalse" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestException(t *testing.T) {
	_, err := render("a\n{{ raise_exception('System role not supported') }}", "", Options{})
	var raised *Exception
	if !errors.As(err, &raised) || raised.Message != "System role not supported" || errs.CodeOf(err) != errs.InvalidArgument {
		t.Fatalf("error %v", err)
	}
	if want := "chat: template: line 2: System role not supported"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for source, want := range map[string]struct {
		code errs.Code
		text string
	}{
		"\n\n{{ x":                                               {errs.InvalidFormat, "line 3: tag without end"},
		"\r\n\r\n{{ 1 + }}":                                      {errs.InvalidFormat, "line 3: expected an expression, found '}}'"},
		"{% if true %}\n\n":                                      {errs.InvalidFormat, "expected 'endif' before the end of the template"},
		"\n{{ x | frobnicate }}":                                 {errs.Unsupported, "line 2: the filter 'frobnicate'"},
		"\n{{ x is frobnicated }}":                               {errs.Unsupported, "line 2: the test 'frobnicated'"},
		"\n\n{% include 'x' %}":                                  {errs.Unsupported, "line 3: the statement 'include'"},
		"{% for x in y recursive %}":                             {errs.Unsupported, "line 1: a recursive loop"},
		"{{ [1,\n2,\n'a' + 1] }}":                                {errs.InvalidArgument, "line 3: a string + an integer"},
		"{{ '\n\n' }}\n{{ missing.x }}":                          {errs.InvalidArgument, "line 4: .x of an undefined value"},
		"{#\n#}\n\n{% for x in none %}{% endfor %}":              {errs.InvalidArgument, "line 4: none cannot be iterated"},
		"{% macro f() %}\n{{ 1 // 0 }}{% endmacro %}\n{{ f() }}": {errs.InvalidArgument, "line 2: division by zero"},
		"{{ ''.frobnicate() }}":                                  {errs.Unsupported, "line 1: the method .frobnicate() of a string"},
		"{{ größe }}":                                            {errs.Unsupported, "line 1"},
	} {
		_, err := render(source, "", Options{})
		if errs.CodeOf(err) != want.code || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%q: %v, want %v with %q", source, err, want.code.Name(), want.text)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	template, err := Parse("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.content|length %}" +
		"{% set _ = messages.append(m) %}{% endfor %}{{ ns.n }}")
	if err != nil {
		t.Fatal(err)
	}
	messages := []Message{{Role: "user", Content: "abc"}, {Role: "assistant", Content: "de"}}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				if got, err := template.Render(messages, Options{}); got != "5" || err != nil {
					t.Errorf("got %q, %v, want 5", got, err)
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse(chatML); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	var messages []Message
	for i := range 20 {
		role := [2]string{"user", "assistant"}[i%2]
		messages = append(messages, Message{Role: role, Content: strings.Repeat("Some words of a conversation. ", 20)})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Fallback().Render(messages, Options{AddGenerationPrompt: true}); err != nil {
			b.Fatal(err)
		}
	}
}
