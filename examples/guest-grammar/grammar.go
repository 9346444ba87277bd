package main

import (
	"strconv"
	"strings"

	"github.com/realm-ai/realm/guest"
)

// A grammar has rules "name = expression", the first of which is the language. An expression is made of "literals" as in
// Go, [classes] of bytes with ranges, names of rules, (groups), alternatives with |, and the endings ?, * and +.

// kind says what a node stands for.
type kind uint8

const (
	class    kind = iota // one of a set of bytes
	sequence             // its parts, one after the other
	choice               // one of its parts
	many                 // its part any number of times
	rule                 // what the rule of this name stands for
)

type node struct {
	kind  kind
	bytes [256]bool
	parts []*node
	name  string
}

type grammar struct {
	rules map[string]*node
	first string
}

// stack is what must still come: a node, then the rest. nil stands for the end of the text.
type stack struct {
	node *node
	rest *stack
}

// state is every way in which the text so far can go on. Each stack begins with a class or is nil.
type state []*stack

func (s state) complete() bool {
	for _, top := range s {
		if top == nil {
			return true
		}
	}
	return false
}

func (s state) allows(b byte) bool {
	for _, top := range s {
		if top != nil && top.node.bytes[b] {
			return true
		}
	}
	return false
}

// start is the state before any text.
func (g *grammar) start() (state, error) {
	return g.expand(nil, &stack{node: &node{kind: rule, name: g.first}}, 0)
}

// step is the state after one byte more, empty if the language has no such text.
func (g *grammar) step(s state, b byte) (state, error) {
	var next state
	for _, top := range s {
		if top != nil && top.node.bytes[b] {
			var err error
			if next, err = g.expand(next, top.rest, 0); err != nil {
				return nil, err
			}
		}
	}
	return next, nil
}

// maxStacks bounds the ways in which a text can go on, and the depth to which rules refer to one another before a byte.
const maxStacks = 1000

// expand appends what a stack stands for, down to its classes.
func (g *grammar) expand(s state, top *stack, depth int) (state, error) {
	if len(s) > maxStacks || depth > maxStacks {
		return nil, guest.Errorf(guest.CodeLimitExceeded, "grammar: a rule begins with itself, or has too many beginnings")
	}
	if top == nil || top.node.kind == class {
		for _, other := range s {
			if other == top || other != nil && top != nil && other.node == top.node && other.rest == top.rest {
				return s, nil
			}
		}
		return append(s, top), nil
	}
	n, rest, err := top.node, top.rest, error(nil)
	switch n.kind {
	case sequence:
		for i := len(n.parts) - 1; i >= 0; i-- {
			rest = &stack{n.parts[i], rest}
		}
		return g.expand(s, rest, depth+1)
	case choice:
		for _, part := range n.parts {
			if s, err = g.expand(s, &stack{part, rest}, depth+1); err != nil {
				return nil, err
			}
		}
		return s, nil
	case many:
		if s, err = g.expand(s, rest, depth+1); err != nil {
			return nil, err
		}
		return g.expand(s, &stack{n.parts[0], top}, depth+1)
	}
	return g.expand(s, &stack{g.rules[n.name], rest}, depth+1)
}

// parser reads the notation.
type parser struct {
	text string
	used []string // names of rules
}

func parseGrammar(text string) (*grammar, error) {
	g := &grammar{rules: map[string]*node{}}
	p := &parser{text: text}
	for p.space(); p.text != ""; p.space() {
		name := p.word()
		if p.space(); name == "" || !p.take("=") {
			return nil, p.fail("want a name and =")
		}
		body, err := p.choice()
		if err != nil {
			return nil, err
		}
		if g.rules[name] != nil {
			return nil, p.fail("a second rule " + name)
		}
		if g.rules[name] = body; g.first == "" {
			g.first = name
		}
	}
	for _, name := range append(p.used, g.first) {
		if g.rules[name] == nil {
			return nil, p.fail("no rule " + strconv.Quote(name))
		}
	}
	return g, nil
}

func (p *parser) fail(what string) error {
	return guest.Errorf(guest.CodeInvalidArgument, "grammar: %s, before %.20q", what, p.text)
}

func (p *parser) space() { p.text = strings.TrimLeft(p.text, " \t\n") }

func (p *parser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.text, token)
	p.text = rest
	return ok
}

func (p *parser) word() string {
	rest := strings.TrimLeft(p.text, "abcdefghijklmnopqrstuvwxyz-")
	word := p.text[:len(p.text)-len(rest)]
	p.text = rest
	return word
}

func (p *parser) choice() (*node, error) {
	n := &node{kind: choice}
	for {
		part, err := p.sequence()
		if err != nil {
			return nil, err
		}
		n.parts = append(n.parts, part)
		if p.space(); !p.take("|") {
			return n, nil
		}
	}
}

// sequence ends where no term begins, and before the name of the next rule.
func (p *parser) sequence() (*node, error) {
	n := &node{kind: sequence}
	for {
		p.space()
		before := p.text
		if p.word() != "" {
			if p.space(); strings.HasPrefix(p.text, "=") {
				p.text = before
				return n, nil
			}
		}
		p.text = before
		term, err := p.term()
		if term == nil || err != nil {
			return n, err
		}
		switch {
		case p.take("?"):
			term = &node{kind: choice, parts: []*node{term, {kind: sequence}}}
		case p.take("*"):
			term = &node{kind: many, parts: []*node{term}}
		case p.take("+"):
			term = &node{kind: sequence, parts: []*node{term, {kind: many, parts: []*node{term}}}}
		}
		n.parts = append(n.parts, term)
	}
}

// term returns nil where none begins.
func (p *parser) term() (*node, error) {
	switch {
	case strings.HasPrefix(p.text, `"`):
		quoted, err := strconv.QuotedPrefix(p.text)
		if err != nil {
			return nil, p.fail("a literal without an end")
		}
		p.text = p.text[len(quoted):]
		literal, err := strconv.Unquote(quoted)
		n := &node{kind: sequence}
		for _, b := range []byte(literal) {
			one := &node{kind: class}
			one.bytes[b] = true
			n.parts = append(n.parts, one)
		}
		return n, err
	case p.take("["):
		set, rest, ok := strings.Cut(p.text, "]")
		if !ok {
			return nil, p.fail("a class without an end")
		}
		p.text = rest
		n := &node{kind: class}
		for i := 0; i < len(set); i++ {
			last := set[i]
			if i+2 < len(set) && set[i+1] == '-' {
				last = set[i+2]
			}
			for b := int(set[i]); b <= int(last); b++ {
				n.bytes[b] = true
			}
			if last != set[i] {
				i += 2
			}
		}
		return n, nil
	case p.take("("):
		n, err := p.choice()
		if err == nil && !p.take(")") {
			err = p.fail("want )")
		}
		return n, err
	}
	if name := p.word(); name != "" {
		p.used = append(p.used, name)
		return &node{kind: rule, name: name}, nil
	}
	return nil, nil
}
