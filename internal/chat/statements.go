package chat

import (
	"slices"
	"strings"

	"github.com/ardanlabs/jinja"
)

// body parses text, outputs and statements up to the end or up to a statement that starts with one of the words, which
// it leaves to the caller.
func (p *parser) body(until ...string) (string, error) {
	if err := p.enter(); err != nil {
		return "", err
	}
	defer p.leave()
	var b strings.Builder
	for {
		var text string
		var err error
		switch t := p.peek(); t.kind {
		case tokEOF:
			if len(until) > 0 {
				return "", syntaxError(t.line, "expected '%s' before the end of the template", until[len(until)-1])
			}
			return b.String(), nil
		case tokData:
			p.next()
			text, err = p.output(p.do(site{op: opText, line: t.line, val: jinja.NewString(t.text)}))
		case tokOutputBegin:
			p.next()
			var c code
			if c, err = p.tuple(t.line); err == nil {
				text, err = p.output(p.do(site{op: opOutput, line: t.line}, c))
			}
			if err == nil {
				err = p.expect(tokOutputEnd, "}}")
			}
		case tokBlockBegin:
			word := p.tokens[p.pos+1]
			if word.kind == tokName && slices.Contains(until, word.text) {
				return b.String(), nil
			}
			p.next()
			text, err = p.statement()
		}
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
}

// output is a statement of the rewritten source that prints what an operation returns.
func (p *parser) output(c code, err error) (string, error) { return "{{" + c.text + "}}", err }

// end parses the rest of a tag behind the given word.
func (p *parser) end(word string) error {
	if err := p.expect(tokBlockBegin, "{%"); err != nil {
		return err
	}
	if err := p.expect(tokName, word); err != nil {
		return err
	}
	return p.expect(tokBlockEnd, "%}")
}

// statement parses a statement whose opening is behind.
func (p *parser) statement() (string, error) {
	line := p.peek().line
	word, err := p.name()
	if err != nil {
		return "", err
	}
	switch word {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement()
	case "set":
		return p.setStatement()
	case "macro":
		return p.macroStatement()
	case "call":
		return p.callStatement()
	case "filter":
		return p.filterStatement()
	case "break", "continue":
		if p.loops == 0 {
			return "", syntaxError(line, "'%s' outside a loop", word)
		}
		return "{%" + word + "%}\n", p.expect(tokBlockEnd, "%}")
	case "generation": // marks what a model is trained on, and prints as it stands
		if err := p.expect(tokBlockEnd, "%}"); err != nil {
			return "", err
		}
		body, err := p.body("endgeneration")
		if err != nil {
			return "", err
		}
		return body, p.end("endgeneration")
	case "elif", "else", "endif", "endfor", "endset", "endmacro", "endcall", "endfilter", "endgeneration":
		return "", syntaxError(line, "unexpected '%s'", word)
	}
	return "", unsupported(line, "the statement '%s'", word)
}

func (p *parser) ifStatement() (string, error) {
	var b strings.Builder
	for word := "if"; ; {
		b.WriteString("{%" + word + " ")
		if word != "else" {
			c, err := p.expression()
			if err != nil {
				return "", err
			}
			b.WriteString(c.text)
		}
		b.WriteString("%}\n")
		if err := p.expect(tokBlockEnd, "%}"); err != nil {
			return "", err
		}
		until := []string{"elif", "else", "endif"}
		if word == "else" {
			until = until[2:]
		}
		body, err := p.body(until...)
		if err != nil {
			return "", err
		}
		b.WriteString(body)
		p.next() // {%
		if word = p.next().text; word == "endif" {
			b.WriteString("{%endif%}\n")
			return b.String(), p.expect(tokBlockEnd, "%}")
		}
	}
}

// scope is the top level, a for loop or a macro.
type scope struct {
	names []string // that it sets, each once
	seen  map[string]bool
}

// declare notes that the innermost scope sets a name.
func (p *parser) declare(name string) {
	s := p.scopes[len(p.scopes)-1]
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	if !s.seen[name] {
		s.seen[name] = true
		s.names = append(s.names, name)
	}
}

func (p *parser) setStatement() (string, error) {
	line := p.peek().line
	if t := p.tokens[p.pos+1]; p.peek().kind == tokName && t.kind == tokOp && t.text == "." {
		return p.setAttribute()
	}
	names, apart, err := p.targets()
	if err != nil {
		return "", err
	}
	if !p.is(tokOp, "=") && len(names) == 1 {
		return p.setBlock(names[0])
	}
	if err := p.expect(tokOp, "="); err != nil {
		return "", err
	}
	value, err := p.tuple(line)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		p.declare(name)
	}
	temp := p.temp()
	assign, err := p.assign(line, names, apart, temp)
	if err != nil {
		return "", err
	}
	return "{%set " + temp + "=" + value.text + "%}\n" + assign, p.expect(tokBlockEnd, "%}")
}

// setAttribute parses {% set namespace.name = value %}.
func (p *parser) setAttribute() (string, error) {
	object := p.next()
	p.next()
	name, err := p.name()
	if err != nil {
		return "", err
	}
	if err := p.expect(tokOp, "="); err != nil {
		return "", err
	}
	value, err := p.tuple(object.line)
	if err != nil {
		return "", err
	}
	s := site{op: opSetAttribute, line: object.line, name: name}
	text, err := p.output(p.do(s, code{variable(object.text), 1}, value))
	if err != nil {
		return "", err
	}
	return text, p.expect(tokBlockEnd, "%}")
}

// captured parses a body up to the end word and returns the code that renders it into a variable.
func (p *parser) captured(end string) (statement, temp string, err error) {
	if err := p.expect(tokBlockEnd, "%}"); err != nil {
		return "", "", err
	}
	loops := p.loops
	p.loops = 0 // the library does not carry a break out of a body that it captures
	body, err := p.body(end)
	p.loops = loops
	if err != nil {
		return "", "", err
	}
	temp = p.temp()
	return "{%set " + temp + "%}\n" + body + "{%endset%}\n", temp, p.end(end)
}

// setBlock parses {% set name %}...{% endset %}, with filters behind the name.
func (p *parser) setBlock(name string) (string, error) {
	temp := p.temp()
	value, err := p.filters(code{temp, 1})
	if err != nil {
		return "", err
	}
	p.declare(name)
	statement, body, err := p.captured("endset")
	return statement + "{%set " + temp + "=" + body + "%}\n{%set " + variable(name) + "=" + value.text + "%}\n", err
}

func (p *parser) filterStatement() (string, error) {
	line := p.peek().line
	temp := p.temp()
	value, err := p.filter(code{temp, 1})
	if err == nil {
		value, err = p.filters(value)
	}
	if err != nil {
		return "", err
	}
	statement, body, err := p.captured("endfilter")
	if err != nil {
		return "", err
	}
	text, err := p.output(p.do(site{op: opOutput, line: line}, value))
	return statement + "{%set " + temp + "=" + body + "%}\n" + text, err
}
