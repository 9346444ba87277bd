package chat

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"

	"github.com/realm-ai/realm/internal/errs"
)

// The parser checks a template against jinja2's grammar and, in the same pass, rewrites it for the jinja library in a
// small core of it that cannot go wrong:
//
//   - text, literals, operators, attributes, filters, tests and calls all become calls of one function, o(site, ...),
//     which is run.dispatch: there the work is counted and the semantics are jinja2's;
//   - what is left to the library is variables and their scopes, if, for, set, macro, call, and, or, not and
//     x if y else z.
//
// A newline stands behind every statement. The library drops it, but without any text between the tags its search for
// text to trim would take time quadratic in their number.
//
// No byte of the template or of a message ever stands in the rewritten source: it holds only site numbers, keywords and
// variable names, which get the prefix "v_" so that none is a keyword or a function of the library.

// operation computes a value from the operands of a call.
type operation func(*call) (jinja.Value, error)

// site is one operation of the template.
type site struct {
	op    operation
	line  int
	name  string      // of the attribute, filter, test, method or parameter; the operators of a chain, by spaces
	keys  []string    // the keywords of the last len(keys) operands
	val   jinja.Value // the value of a literal
	n, of int         // which of how many names, in an assignment to several
	body  int         // bytes of rewritten source that are about to run
}

// code is an expression in the rewritten source.
type code struct {
	text  string
	depth int // of the tree, to bound the recursion of whoever evaluates it
}

type parser struct {
	tokens []token
	pos    int
	sites  []site
	depth  int      // of parse functions that recurse
	temps  int      // names made up so far
	loops  int      // for loops round this place, in this macro
	scopes []*scope // round this place, the innermost last
}

// parse returns the sites and the rewritten source of a template.
func parse(source string) ([]site, string, error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, "", err
	}
	p := parser{tokens: tokens, scopes: []*scope{{}}}
	body, err := p.body()
	if err != nil {
		return nil, "", err
	}
	if p.peek().kind != tokEOF {
		return nil, "", p.unexpected("a statement")
	}
	return p.sites, body, nil
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) is(kind tokenKind, text string) bool {
	t := p.peek()
	return t.kind == kind && t.text == text
}

// accept skips the token if it is the one asked for.
func (p *parser) accept(kind tokenKind, text string) bool {
	if p.is(kind, text) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(kind tokenKind, text string) error {
	if !p.accept(kind, text) {
		return p.unexpected("'" + text + "'")
	}
	return nil
}

func (p *parser) unexpected(wanted string) error {
	return syntaxError(p.peek().line, "expected %s, found %v", wanted, p.peek())
}

func (p *parser) name() (string, error) {
	if p.peek().kind != tokName {
		return "", p.unexpected("a name")
	}
	return p.next().text, nil
}

// enter bounds the recursion of the parser; the caller defers p.leave.
func (p *parser) enter() error {
	if p.depth++; p.depth > MaxNesting {
		return templateError(errs.LimitExceeded, p.peek().line, "nested more than %d deep", MaxNesting)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// variable is a name of the template in the rewritten source. The library itself sets loop and caller.
func variable(name string) string {
	if name == "loop" || name == "caller" {
		return name
	}
	return "v_" + name
}

// temp makes up a name that no variable has.
func (p *parser) temp() string {
	p.temps++
	return "t" + strconv.Itoa(p.temps)
}

// do adds a site and returns the call of it with the operands.
func (p *parser) do(s site, operands ...code) (code, error) {
	p.sites = append(p.sites, s)
	var b strings.Builder
	fmt.Fprintf(&b, "o(%d", len(p.sites)-1)
	depth := 0
	for _, c := range operands {
		b.WriteByte(',')
		b.WriteString(c.text)
		depth = max(depth, c.depth)
	}
	b.WriteByte(')')
	return p.bounded(s.line, code{b.String(), depth + 1})
}

func (p *parser) bounded(line int, c code) (code, error) {
	if c.depth > MaxNesting {
		return code{}, templateError(errs.LimitExceeded, line, "more than %d operations in a chain", MaxNesting)
	}
	return c, nil
}

func (p *parser) literal(line int, v jinja.Value) (code, error) {
	return p.do(site{op: opConstant, line: line, val: v})
}
