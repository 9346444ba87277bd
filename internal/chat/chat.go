// Package chat owns the step from a conversation to the text of a prompt: it renders a model's own chat template, which
// is a Jinja template in the model's metadata. It knows neither tokens nor models, and is compiled into the guest as
// well as into the native engine.
//
// Both the template and the messages are untrusted. A template may loop, recurse and build strings; the work it does
// is counted and bounded (see the limits below), and what stands in a message is only ever data. The semantics are
// those of Python's jinja2 as transformers sets it up, whose output models were trained on: trim_blocks, lstrip_blocks,
// loop controls, tojson without HTML escapes, raise_exception and strftime_now. They differ in these points: a tuple
// and what jinja2 makes a generator of are lists, safe does nothing, integers have 64 bits, and lists have append and
// pop. What is not built is reported as errs.Unsupported with its line, a statement, filter or test already by Parse.
//
// The work is divided: the lexer (lex.go) and parser (parse.go, statements.go) check the template and rewrite it for
// github.com/ardanlabs/jinja in a core of the language that holds variables, conditions, loops and macros; all
// operations on values come back to the functions of this package (run.go and behind it). Start at Template.Render.
package chat

import (
	"encoding/json"
	"time"

	"github.com/ardanlabs/jinja"

	"github.com/realm-ai/realm/internal/errs"
)

// The limits on templates and conversations. Passing one is errs.LimitExceeded.
const (
	MaxTemplate = 256 << 10 // bytes of a template; the longest published ones have some 20 KiB
	MaxMessages = 10_000
	MaxInput    = 16 << 20 // bytes of all messages, tools and extra variables
	MaxOutput   = 32 << 20 // bytes of a prompt
	MaxNesting  = 100      // of statements and expressions in a template, of JSON and of a value it builds
	MaxCalls    = 64       // macros that call one another

	// MaxWork bounds what one Render does beyond what its input pays for: each operation costs opCost units, and each
	// byte or list element that it reads or makes a few. A Render that uses it all takes about half a second, and what
	// it has made takes at most a few times MaxWork bytes.
	MaxWork = 32 << 20
	opCost  = 16
	// tickCost is for an iteration of a loop or a call of a macro, beside what they do.
	tickCost = 64
	// workPerByte is what each byte of input adds to MaxWork: a template passes over a message some ten times.
	workPerByte = 64
)

// Message is one turn of a conversation, in the JSON form of OpenAI's chat completions.
type Message struct {
	Role             string     `json:"role"`
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
	Parameters  json.RawMessage `json:"parameters,omitempty"` // the order of its keys is kept
}

// Options are what a template is given besides the messages.
type Options struct {
	AddGenerationPrompt bool   // end with the start of the assistant's answer
	Tools               []Tool // nil gives the template none, as transformers does
	BOS, EOS            string // the texts of the model's begin and end tokens: bos_token and eos_token
	Now                 func() time.Time
	// Extra holds further variables, such as enable_thinking. A value is what encoding/json unmarshals into an any, an
	// int, or a json.RawMessage, the keys of which keep their order.
	Extra map[string]any
}

// Template is a parsed chat template. It is safe for concurrent use.
type Template struct {
	sites    []site
	template *jinja.Template
}

// Exception is what a template raised with raise_exception, such as "System role not supported". It is the cause of an
// error with code errs.InvalidArgument, found by errors.As.
type Exception struct{ Message string }

func (e *Exception) Error() string { return e.Message }

// Parse reads a Jinja template. It fails with errs.InvalidFormat where the text is no template, errs.Unsupported where
// it uses what is not built, and errs.LimitExceeded; the message names the line.
func Parse(source string) (*Template, error) {
	if len(source) > MaxTemplate {
		return nil, errs.Errorf(errs.LimitExceeded, "chat: template: %d bytes, at most %d are read", len(source), MaxTemplate)
	}
	sites, rewritten, err := parse(source)
	if err != nil {
		return nil, err
	}
	t, err := jinja.Compile(rewritten)
	if err != nil {
		return nil, errs.Errorf(errs.Internal, "chat: template: rewritten: %w", err)
	}
	return &Template{sites: sites, template: t}, nil
}

// Fallback returns the template for models that have none: ChatML, the form that most models without one understand.
// Each message is <|im_start|>, its role, a newline, its content, <|im_end|> and a newline.
func Fallback() *Template { return fallback }

const chatML = `{% for message in messages %}
{{ '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// fallback is nil only if chatML is no template, which TestFallback rules out.
var fallback, _ = Parse(chatML)

// Render gives the prompt for a conversation. It fails with errs.InvalidArgument, with the *Exception if there was one,
// where the template does not accept the messages, and with errs.LimitExceeded.
//
// The arguments of tool calls are given to the template as objects, as transformers does. If it cannot work with them,
// they are given as the JSON text they are.
func (t *Template) Render(messages []Message, o Options) (string, error) {
	text, err := t.render(messages, o, true)
	if errs.CodeOf(err) == errs.InvalidArgument && callsTools(messages) {
		if text, again := t.render(messages, o, false); again == nil {
			return text, nil
		}
	}
	return text, err
}

func callsTools(messages []Message) bool {
	for _, m := range messages {
		if len(m.ToolCalls) > 0 {
			return true
		}
	}
	return false
}

func (t *Template) render(messages []Message, o Options, objects bool) (string, error) {
	input, size, err := newInput(messages, o, objects)
	if err != nil {
		return "", err
	}
	r := &run{
		sites:      t.sites,
		work:       MaxWork + workPerByte*int64(size),
		now:        o.Now,
		filters:    filters,
		namespaces: map[*jinja.Dict]bool{},
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.globals(input)
	text, err := t.template.RenderValues(input)
	if err != nil {
		if _, ok := err.(*errs.Error); !ok {
			err = errs.Errorf(errs.Internal, "chat: template: %w", err)
		}
		return "", err
	}
	return text, nil
}
