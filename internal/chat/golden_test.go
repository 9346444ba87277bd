package chat

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

// golden is what jinja2 made of a template: one of the three. See testdata/make_goldens.py.
type golden struct {
	Source string
	Text   *string
	Raised *string // by raise_exception
	Error  string
}

type goldens struct {
	Templates   map[string]map[string]golden // by file and conversation
	Expressions []golden
}

type conversation struct {
	Name                string
	AddGenerationPrompt bool `json:"add_generation_prompt"`
	Tools               []Tool
	Messages            []struct {
		Message
		ToolCalls []struct {
			ID, Type string
			Function struct {
				Name      string
				Arguments json.RawMessage // an object here, as jinja2 is given it
			}
		} `json:"tool_calls"`
	}
}

func (c *conversation) messages() []Message {
	var out []Message
	for _, m := range c.Messages {
		message := m.Message
		for _, call := range m.ToolCalls {
			function := FunctionCall{call.Function.Name, string(call.Function.Arguments)}
			message.ToolCalls = append(message.ToolCalls, ToolCall{call.ID, call.Type, function})
		}
		out = append(out, message)
	}
	return out
}

func (c *conversation) options() Options {
	return Options{AddGenerationPrompt: c.AddGenerationPrompt, Tools: c.Tools, BOS: "<s>", EOS: "</s>", Now: someTime}
}

// someTime is NOW in testdata/make_goldens.py.
func someTime() time.Time { return time.Date(2024, 7, 6, 13, 4, 5, 0, time.UTC) }

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func conversations(t *testing.T) []conversation {
	var out []conversation
	readJSON(t, "testdata/conversations.json", &out)
	return out
}

// compare reports how what chat made differs from jinja2's, or "".
func compare(text string, err error, want golden) string {
	var raised *Exception
	switch {
	case want.Text != nil && err != nil:
		return "error: " + err.Error()
	case want.Text != nil && text != *want.Text:
		return "got  " + text + "\nwant " + *want.Text
	case want.Raised != nil && (!errors.As(err, &raised) || raised.Message != *want.Raised):
		return "want the exception " + *want.Raised
	case want.Raised != nil && errs.CodeOf(err) != errs.InvalidArgument:
		return "code " + errs.CodeOf(err).Name() + " of an exception"
	case want.Error != "" && err == nil:
		return "no error, but text " + text + "\nwant " + want.Error
	case want.Error != "" && (errs.CodeOf(err) == errs.Internal || !strings.Contains(err.Error(), "line ")):
		return "untyped or without a line: " + err.Error()
	}
	return ""
}

func TestTemplatesAgreeWithJinja2(t *testing.T) {
	var want goldens
	readJSON(t, "testdata/goldens.json", &want)
	checkTemplates(t, "testdata/templates", want)
}

// TestTemplatesOf compares with jinja2 on templates that are not in this repository: REALM_TEMPLATES is a folder of
// them, and REALM_TEMPLATES_GOLDENS what testdata/make_goldens.py wrote for it.
func TestTemplatesOf(t *testing.T) {
	folder, path := os.Getenv("REALM_TEMPLATES"), os.Getenv("REALM_TEMPLATES_GOLDENS")
	if folder == "" || path == "" {
		t.Skip("REALM_TEMPLATES and REALM_TEMPLATES_GOLDENS are not set")
	}
	var want goldens
	readJSON(t, path, &want)
	checkTemplates(t, folder, want)
}

func checkTemplates(t *testing.T, folder string, want goldens) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.jinja"))
	if err != nil || len(paths) == 0 || len(paths) != len(want.Templates) {
		t.Fatalf("%d templates, %d with goldens, %v", len(paths), len(want.Templates), err)
	}
	texts := 0
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			template, err := Parse(string(source))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range conversations(t) {
				g, ok := want.Templates[filepath.Base(path)][c.Name]
				if !ok {
					t.Fatalf("%s: no golden", c.Name)
				}
				text, err := template.render(c.messages(), c.options(), true)
				if difference := compare(text, err, g); difference != "" {
					t.Errorf("%s: %s", c.Name, difference)
				} else if err == nil {
					texts++
				}
			}
		})
	}
	t.Logf("%d prompts are those of jinja2", texts)
}

func TestExpressionsAgreeWithJinja2(t *testing.T) {
	var want goldens
	readJSON(t, "testdata/goldens.json", &want)
	if len(want.Expressions) < 100 {
		t.Fatalf("%d expressions, want 100 or more", len(want.Expressions))
	}
	first := conversations(t)[0]
	o := first.options()
	o.Extra = map[string]any{"a": json.RawMessage(`{"b": 1, "c": [1, 2, 3]}`), "text": "Some text, café."}
	for _, g := range want.Expressions {
		var text string
		template, err := Parse(g.Source)
		if err == nil {
			text, err = template.render(first.messages(), o, true)
		}
		if difference := compare(text, err, g); difference != "" {
			t.Errorf("%s\n%s", g.Source, difference)
		}
	}
}
