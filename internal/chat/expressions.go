package chat

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"
)

// expression parses the loosest binding form: a if b else c.
func (p *parser) expression() (code, error) {
	if err := p.enter(); err != nil {
		return code{}, err
	}
	defer p.leave()
	line := p.peek().line
	value, err := p.or()
	for err == nil && p.accept(tokName, "if") {
		var condition, otherwise code
		if condition, err = p.or(); err != nil {
			break
		}
		text := "(" + value.text + " if " + condition.text
		if p.accept(tokName, "else") {
			if otherwise, err = p.expression(); err != nil {
				break
			}
			text += " else " + otherwise.text
		}
		value, err = p.bounded(line, code{text + ")", max(value.depth, condition.depth, otherwise.depth) + 1})
	}
	return value, err
}

func (p *parser) or() (code, error)  { return p.logical("or", p.and) }
func (p *parser) and() (code, error) { return p.logical("and", p.not) }

// logical parses operands joined by "and" or "or". The library sees a chain of n as a tree n deep.
func (p *parser) logical(word string, operand func() (code, error)) (code, error) {
	line := p.peek().line
	c, err := operand()
	if err != nil || !p.is(tokName, word) {
		return c, err
	}
	var b strings.Builder
	b.WriteString("(" + c.text)
	for p.accept(tokName, word) {
		right, err := operand()
		if err != nil {
			return code{}, err
		}
		b.WriteString(" " + word + " " + right.text)
		if c, err = p.bounded(line, code{depth: max(c.depth, right.depth) + 1}); err != nil {
			return code{}, err
		}
	}
	c.text = b.String() + ")"
	return c, nil
}

func (p *parser) not() (code, error) {
	if !p.is(tokName, "not") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return code{}, err
	}
	defer p.leave()
	line := p.next().line
	c, err := p.not()
	if err != nil {
		return code{}, err
	}
	return p.bounded(line, code{"(not " + c.text + ")", c.depth + 1})
}

// chain parses operands joined by operators of one precedence as one operation.
func (p *parser) chain(op operation, operand func() (code, error), operator func() string) (code, error) {
	line := p.peek().line
	first, err := operand()
	if err != nil {
		return code{}, err
	}
	operands, names := []code{first}, []string(nil)
	for {
		name := operator()
		if name == "" {
			break
		}
		right, err := operand()
		if err != nil {
			return code{}, err
		}
		operands, names = append(operands, right), append(names, name)
	}
	if len(names) == 0 {
		return first, nil
	}
	return p.do(site{op: op, line: line, name: strings.Join(names, " ")}, operands...)
}

// oneOf returns a function for chain that accepts one of the operators.
func (p *parser) oneOf(operators ...string) func() string {
	return func() string {
		if t := p.peek(); t.kind == tokOp && slices.Contains(operators, t.text) {
			return p.next().text
		}
		return ""
	}
}

func (p *parser) comparison() (code, error) {
	symbols := p.oneOf("==", "!=", "<", "<=", ">", ">=")
	return p.chain(opCompare, p.sum, func() string {
		if p.is(tokName, "not") && p.tokens[p.pos+1].kind == tokName && p.tokens[p.pos+1].text == "in" {
			p.pos += 2
			return "notin"
		}
		if p.accept(tokName, "in") {
			return "in"
		}
		return symbols()
	})
}

func (p *parser) sum() (code, error)    { return p.chain(opArithmetic, p.concat, p.oneOf("+", "-")) }
func (p *parser) concat() (code, error) { return p.chain(opConcat, p.product, p.oneOf("~")) }
func (p *parser) product() (code, error) {
	return p.chain(opArithmetic, p.power, p.oneOf("*", "/", "//", "%"))
}

func (p *parser) power() (code, error) {
	return p.chain(opArithmetic, func() (code, error) { return p.unary(true) }, p.oneOf("**"))
}

// unary parses a sign or a primary expression and what follows it. As in jinja2, a filter applies to the signed number.
func (p *parser) unary(filters bool) (code, error) {
	var c code
	var err error
	if t := p.peek(); t.kind == tokOp && (t.text == "-" || t.text == "+") {
		if err = p.enter(); err != nil {
			return code{}, err
		}
		defer p.leave()
		p.next()
		if c, err = p.unary(false); err == nil {
			c, err = p.do(site{op: opSign, line: t.line, name: t.text}, c)
		}
	} else {
		c, err = p.primary()
	}
	for err == nil {
		t := p.peek()
		switch {
		case t.kind == tokOp && t.text == ".":
			c, err = p.attribute(c)
		case t.kind == tokOp && t.text == "[":
			c, err = p.subscript(c)
		case t.kind == tokOp && t.text == "(":
			c, err = p.call(site{op: opCall, line: t.line}, c)
		default:
			if filters {
				return p.filters(c)
			}
			return c, nil
		}
	}
	return code{}, err
}

// filters parses the filters and tests behind an expression.
func (p *parser) filters(c code) (code, error) {
	for {
		var err error
		switch line := p.peek().line; {
		case p.accept(tokOp, "|"):
			c, err = p.filter(c)
		case p.accept(tokName, "is"):
			c, err = p.test(c)
		case p.is(tokOp, "("):
			c, err = p.call(site{op: opCall, line: line}, c)
		default:
			return c, nil
		}
		if err != nil {
			return code{}, err
		}
	}
}

func (p *parser) filter(c code) (code, error) {
	line := p.peek().line
	name, err := p.name()
	if err != nil {
		return code{}, err
	}
	if _, ok := filters[name]; !ok {
		return code{}, unsupported(line, "the filter '%s'", name)
	}
	s := site{op: opFilter, line: line, name: name}
	if p.is(tokOp, "(") {
		return p.call(s, c)
	}
	return p.do(s, c)
}

func (p *parser) test(c code) (code, error) {
	line := p.peek().line
	negated := p.accept(tokName, "not")
	name, err := p.name()
	if err != nil {
		return code{}, err
	}
	if _, ok := tests[name]; !ok {
		return code{}, unsupported(line, "the test '%s'", name)
	}
	s := site{op: opTest, line: line, name: name}
	switch t := p.peek(); {
	case t.kind == tokOp && t.text == "(":
		c, err = p.call(s, c)
	case t.kind == tokName && !slices.Contains([]string{"else", "or", "and", "is", "if", "in", "not"}, t.text),
		t.kind == tokString, t.kind == tokInt, t.kind == tokFloat, t.kind == tokOp && (t.text == "[" || t.text == "{"):
		var operand code
		if operand, err = p.unary(false); err == nil {
			c, err = p.do(s, c, operand)
		}
	default:
		c, err = p.do(s, c)
	}
	if err != nil || !negated {
		return c, err
	}
	return p.bounded(line, code{"(not " + c.text + ")", c.depth + 1})
}

// call parses arguments in parentheses as further operands of s.
func (p *parser) call(s site, first code) (code, error) {
	if err := p.expect(tokOp, "("); err != nil {
		return code{}, err
	}
	operands := []code{first}
	for !p.accept(tokOp, ")") {
		if len(operands) > 1 {
			if err := p.expect(tokOp, ","); err != nil {
				return code{}, err
			}
			if p.accept(tokOp, ")") {
				break
			}
		}
		if p.is(tokOp, "*") || p.is(tokOp, "**") {
			return code{}, unsupported(p.peek().line, "'%s' before an argument", p.peek().text)
		}
		if p.peek().kind == tokName && p.tokens[p.pos+1].kind == tokOp && p.tokens[p.pos+1].text == "=" {
			key := p.next().text
			if slices.Contains(s.keys, key) {
				return code{}, syntaxError(p.peek().line, "the argument '%s' stands twice", key)
			}
			s.keys = append(s.keys, key)
			p.next()
		} else if len(s.keys) > 0 {
			return code{}, syntaxError(p.peek().line, "an argument without a keyword behind one with")
		}
		c, err := p.expression()
		if err != nil {
			return code{}, err
		}
		operands = append(operands, c)
	}
	return p.do(s, operands...)
}

func (p *parser) attribute(c code) (code, error) {
	line := p.next().line
	if t := p.peek(); t.kind == tokInt {
		key, err := p.primary()
		if err != nil {
			return code{}, err
		}
		return p.do(site{op: opItem, line: line}, c, key)
	}
	name, err := p.name()
	if err != nil {
		return code{}, err
	}
	if p.is(tokOp, "(") {
		return p.call(site{op: opMethod, line: line, name: name}, c)
	}
	return p.do(site{op: opAttribute, line: line, name: name}, c)
}

// subscript parses a[b] and a[b:c:d]. The parts of a slice that are left out are none.
func (p *parser) subscript(c code) (code, error) {
	line := p.next().line
	operands := []code{c}
	colons := 0
	for {
		var part code
		var err error
		if t := p.peek(); t.kind == tokOp && (t.text == ":" || t.text == "]") {
			part, err = p.literal(line, jinja.None())
		} else {
			part, err = p.expression()
		}
		if err != nil {
			return code{}, err
		}
		operands = append(operands, part)
		if colons == 2 || !p.accept(tokOp, ":") {
			break
		}
		colons++
	}
	if p.is(tokOp, ",") {
		return code{}, unsupported(line, "a subscript with a comma")
	}
	if colons == 0 && p.tokens[p.pos-1].text == "[" && p.tokens[p.pos-1].kind == tokOp {
		return code{}, p.unexpected("an expression")
	}
	if err := p.expect(tokOp, "]"); err != nil {
		return code{}, err
	}
	if colons == 0 {
		return p.do(site{op: opItem, line: line}, operands...)
	}
	return p.do(site{op: opSlice, line: line}, operands...)
}

func (p *parser) primary() (code, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		switch t.text {
		case "true", "True":
			return p.literal(t.line, jinja.NewBool(true))
		case "false", "False":
			return p.literal(t.line, jinja.NewBool(false))
		case "none", "None":
			return p.literal(t.line, jinja.None())
		case "and", "or", "in", "is", "if", "else", "not":
			p.pos--
			return code{}, p.unexpected("an expression")
		case "varargs", "kwargs", "self", "super":
			return code{}, unsupported(t.line, "'%s'", t.text)
		}
		return code{variable(t.text), 1}, nil
	case tokString:
		parts := []string{t.text}
		for p.peek().kind == tokString {
			parts = append(parts, p.next().text)
		}
		return p.literal(t.line, jinja.NewString(strings.Join(parts, "")))
	case tokInt:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			return code{}, unsupported(t.line, "the number %s", t.text)
		}
		return p.literal(t.line, jinja.NewInt(n))
	case tokFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil || math.IsInf(f, 0) {
			return code{}, unsupported(t.line, "the number %s", t.text)
		}
		return p.literal(t.line, jinja.NewFloat(f))
	case tokOp:
		switch t.text {
		case "(":
			return p.parenthesized(t.line)
		case "[":
			items, err := p.items("]")
			if err != nil {
				return code{}, err
			}
			return p.do(site{op: opList, line: t.line}, items...)
		case "{":
			return p.dict(t.line)
		}
	}
	p.pos--
	return code{}, p.unexpected("an expression")
}

// parenthesized parses the rest of (a), () or (a, b). A tuple is a list here.
func (p *parser) parenthesized(line int) (code, error) {
	if p.is(tokOp, ")") {
		p.next()
		return p.do(site{op: opList, line: line})
	}
	c, err := p.expression()
	if err != nil {
		return code{}, err
	}
	if p.accept(tokOp, ")") {
		return c, nil
	}
	if err := p.expect(tokOp, ","); err != nil {
		return code{}, err
	}
	items, err := p.items(")")
	if err != nil {
		return code{}, err
	}
	return p.do(site{op: opList, line: line}, append([]code{c}, items...)...)
}

// items parses expressions with commas between them up to a closing bracket.
func (p *parser) items(closing string) ([]code, error) {
	var items []code
	for !p.accept(tokOp, closing) {
		c, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, c)
		if !p.is(tokOp, closing) {
			if err := p.expect(tokOp, ","); err != nil {
				return nil, err
			}
		}
	}
	return items, nil
}

func (p *parser) dict(line int) (code, error) {
	var pairs []code
	for !p.accept(tokOp, "}") {
		key, err := p.expression()
		if err != nil {
			return code{}, err
		}
		if err := p.expect(tokOp, ":"); err != nil {
			return code{}, err
		}
		value, err := p.expression()
		if err != nil {
			return code{}, err
		}
		pairs = append(pairs, key, value)
		if !p.is(tokOp, "}") {
			if err := p.expect(tokOp, ","); err != nil {
				return code{}, err
			}
		}
	}
	return p.do(site{op: opDict, line: line}, pairs...)
}
