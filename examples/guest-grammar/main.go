// Command guest-grammar is an example guest: whatever it is asked, it answers in a language that its author wrote down, and
// in nothing else. The language is the constant below; change it and build another guest:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o guest-grammar.wasm ./examples/guest-grammar
//
// Before each draw it bans the tokens that the language does not allow next (draw.go). grammar.go reads the notation and
// follows a text.
package main

import "github.com/realm-ai/realm/guest"

// language has the shape of a weather report.
const language = `
	report = "{\"city\": " name ", \"sky\": " sky ", \"degrees\": " number "}"
	name   = "\"" [A-Z] [a-z]+ (" " [A-Z] [a-z]+)? "\""
	sky    = "\"" ("clear" | "clouds" | "rain" | "snow") "\""
	number = "-"? [1-9] [0-9]? | "0"
`

func init() {
	grammar, err := parseGrammar(language)
	guest.Serve(func(request []byte) error {
		if err != nil {
			return err
		}
		return answer(request, grammar)
	})
}

func main() {}

func answer(request []byte, g *grammar) error {
	r, err := guest.ParseRequest(request)
	if err != nil {
		return err
	}
	m, err := guest.Open(r.Model)
	if err != nil {
		return err
	}
	d, err := newDrawer(m, r, g)
	if err != nil {
		return err
	}
	return guest.Generate(r, guest.Hooks{Draw: d.draw})
}
