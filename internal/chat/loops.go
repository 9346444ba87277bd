package chat

import (
	"strings"
)

// targets parses the names before "in" or "=", and reports whether they take a value apart.
func (p *parser) targets() (names []string, apart bool, err error) {
	closing := p.accept(tokOp, "(")
	for {
		name, err := p.name()
		if err != nil {
			return nil, false, err
		}
		names = append(names, name)
		if !p.accept(tokOp, ",") {
			break
		}
		apart = true
		if p.peek().kind != tokName || p.is(tokName, "in") {
			break
		}
	}
	if closing {
		err = p.expect(tokOp, ")")
	}
	return names, apart, err
}

// assign is the code that gives the names the value that the variable temp holds.
func (p *parser) assign(line int, names []string, apart bool, temp string) (string, error) {
	var b strings.Builder
	for i, name := range names {
		value := code{temp, 1}
		if apart {
			var err error
			s := site{op: opUnpack, line: line, n: i, of: len(names)}
			if value, err = p.do(s, value); err != nil {
				return "", err
			}
		}
		b.WriteString("{%set " + variable(name) + "=" + value.text + "%}\n")
	}
	return b.String(), nil
}

// tuple parses an expression, or several with commas between them, which make a list.
func (p *parser) tuple(line int) (code, error) {
	c, err := p.expression()
	if err != nil || !p.is(tokOp, ",") {
		return c, err
	}
	items := []code{c}
	for p.accept(tokOp, ",") {
		if t := p.peek(); t.kind == tokBlockEnd || t.kind == tokOutputEnd {
			break
		}
		if c, err = p.expression(); err != nil {
			return code{}, err
		}
		items = append(items, c)
	}
	return p.do(site{op: opList, line: line}, items...)
}

// tick is the statement that charges for so many bytes of rewritten source before they run, because the library does
// not count what it does itself. It stands at the start of all that can run more than once.
func (p *parser) tick(line, body int) (string, error) {
	return p.output(p.do(site{op: opTick, line: line, body: body}))
}

// forStatement rewrites a loop. Two things in it are not left to the library:
//
//   - It keeps what a body sets for the next iteration, where jinja2 starts each one from the values before the loop.
//     So those are saved before it and set again at the start of each iteration.
//   - It applies a filter ("for x in y if z") only to loops over one variable. So that is a loop of its own, which
//     collects the items.
func (p *parser) forStatement() (string, error) {
	line := p.peek().line
	names, apart, err := p.targets()
	if err != nil {
		return "", err
	}
	if err := p.expect(tokName, "in"); err != nil {
		return "", err
	}
	items, err := p.or() // a condition is the loop's, not the expression's
	if err == nil {
		items, err = p.do(site{op: opIterate, line: line}, items)
	}
	if err != nil {
		return "", err
	}
	item := p.temp()
	assign, err := p.assign(line, names, apart, item)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if p.accept(tokName, "if") {
		condition, err := p.expression()
		if err != nil {
			return "", err
		}
		chosen := code{p.temp(), 1}
		list, err := p.do(site{op: opList, line: line})
		if err != nil {
			return "", err
		}
		add, err := p.output(p.do(site{op: opAppend, line: line}, chosen, code{item, 1}))
		if err != nil {
			return "", err
		}
		tick, err := p.tick(line, len(assign)+len(condition.text))
		if err != nil {
			return "", err
		}
		b.WriteString("{%set " + chosen.text + "=" + list.text + "%}\n" +
			"{%for " + item + " in " + items.text + "%}\n" + tick + assign +
			"{%if " + condition.text + "%}\n" + add + "{%endif%}\n{%endfor%}\n")
		if items, err = p.do(site{op: opIterate, line: line}, chosen); err != nil {
			return "", err
		}
	}
	if p.is(tokName, "recursive") {
		return "", unsupported(line, "a recursive loop")
	}
	if err := p.expect(tokBlockEnd, "%}"); err != nil {
		return "", err
	}
	set := &scope{}
	p.scopes = append(p.scopes, set)
	p.loops++
	body, err := p.body("else", "endfor")
	p.loops--
	p.scopes = p.scopes[:len(p.scopes)-1]
	if err != nil {
		return "", err
	}
	var restore strings.Builder
	for _, name := range set.names {
		saved := p.temp()
		b.WriteString("{%set " + saved + "=" + variable(name) + "%}\n")
		restore.WriteString("{%set " + variable(name) + "=" + saved + "%}\n")
	}
	tick, err := p.tick(line, restore.Len()+len(assign)+len(body))
	if err != nil {
		return "", err
	}
	b.WriteString("{%for " + item + " in " + items.text + "%}\n" + tick + restore.String() + assign + body)
	p.next() // {%
	if p.next().text == "else" {
		if err := p.expect(tokBlockEnd, "%}"); err != nil {
			return "", err
		}
		otherwise, err := p.body("endfor")
		if err != nil {
			return "", err
		}
		b.WriteString("{%else%}\n" + otherwise)
		p.pos += 2 // {% endfor
	}
	b.WriteString("{%endfor%}\n")
	return b.String(), p.expect(tokBlockEnd, "%}")
}
