package chat

import (
	"strings"
)

// nested parses the body of a macro or of a call, which has a scope of its own and no loop around it.
func (p *parser) nested(end string) (string, error) {
	loops := p.loops
	p.loops = 0
	p.scopes = append(p.scopes, &scope{})
	body, err := p.body(end)
	p.scopes = p.scopes[:len(p.scopes)-1]
	p.loops = loops
	if err != nil {
		return "", err
	}
	return body, p.end(end)
}

// macroStatement rewrites a macro. Its parameters' defaults are computed in its body, and the callable that the library
// makes of it is replaced by one that checks the arguments and bounds the recursion.
func (p *parser) macroStatement() (string, error) {
	line := p.peek().line
	name, err := p.name()
	if err != nil {
		return "", err
	}
	if err := p.expect(tokOp, "("); err != nil {
		return "", err
	}
	p.declare(name)
	var params, variables []string
	var defaults strings.Builder
	for !p.accept(tokOp, ")") {
		param, err := p.name()
		if err != nil {
			return "", err
		}
		params, variables = append(params, param), append(variables, variable(param))
		if p.accept(tokOp, "=") {
			value, err := p.expression()
			if err != nil {
				return "", err
			}
			missing, err := p.do(site{op: opTest, line: line, name: "undefined"}, code{variable(param), 1})
			if err != nil {
				return "", err
			}
			defaults.WriteString("{%if " + missing.text + "%}\n{%set " + variable(param) + "=" + value.text + "%}\n{%endif%}\n")
		}
		if !p.is(tokOp, ")") {
			if err := p.expect(tokOp, ","); err != nil {
				return "", err
			}
		}
	}
	if err := p.expect(tokBlockEnd, "%}"); err != nil {
		return "", err
	}
	body, err := p.nested("endmacro")
	if err != nil {
		return "", err
	}
	tick, err := p.tick(line, defaults.Len()+len(body))
	if err != nil {
		return "", err
	}
	guarded, err := p.do(site{op: opMacro, line: line, name: name, keys: params}, code{variable(name), 1})
	return "{%macro " + variable(name) + "(" + strings.Join(variables, ",") + ")%}\n" +
		tick + defaults.String() + body + "{%endmacro%}\n" +
		"{%set " + variable(name) + "=" + guarded.text + "%}\n", err
}

// callStatement parses {% call(a, b) macro(...) %}...{% endcall %}.
func (p *parser) callStatement() (string, error) {
	line := p.peek().line
	var params []string
	if p.accept(tokOp, "(") {
		for !p.accept(tokOp, ")") {
			param, err := p.name()
			if err != nil {
				return "", err
			}
			params = append(params, variable(param))
			if !p.is(tokOp, ")") {
				if err := p.expect(tokOp, ","); err != nil {
					return "", err
				}
			}
		}
	}
	c, err := p.unary(false)
	if err != nil {
		return "", err
	}
	if last := p.tokens[p.pos-1]; last.kind != tokOp || last.text != ")" {
		return "", syntaxError(line, "expected a call")
	}
	if err := p.expect(tokBlockEnd, "%}"); err != nil {
		return "", err
	}
	body, err := p.nested("endcall")
	if err != nil {
		return "", err
	}
	tick, err := p.tick(line, len(body))
	return "{%call(" + strings.Join(params, ",") + ") " + c.text + "%}\n" + tick + body + "{%endcall%}\n", err
}
