//go:build !wasip1

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/guest"
	"github.com/realm-ai/realm/guest/guesttest"
	"github.com/realm-ai/realm/internal/synth"
)

var report = regexp.MustCompile(
	`^\{"city": "[A-Z][a-z]+( [A-Z][a-z]+)?", "sky": "(clear|clouds|rain|snow)", "degrees": (-?[1-9][0-9]?|0)\}$`)

// TestAnswersAreInTheLanguage asks models with random weights and, where it is, a real one: what comes is a weather report.
func TestAnswersAreInTheLanguage(t *testing.T) {
	var paths []string
	for _, shape := range []string{"tiny-llama-q4_k", "tiny-llama-spm"} {
		path := filepath.Join(t.TempDir(), shape+".gguf")
		if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if path := os.Getenv("REALM_MODEL"); path != "" && !testing.Short() {
		paths = append(paths, path)
	}
	for _, path := range paths {
		m, err := realm.Open(path, realm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := guesttest.New(m)
		if err != nil {
			t.Fatal(err)
		}
		complete := 0
		for seed := range uint64(3) {
			r, err := h.Ask(guest.Request{
				Model: guesttest.ModelID, MaxTokens: 400, Messages: json.RawMessage(`[{"role":"user","content":"The weather in Paris?"}]`),
				// The city's name is as long as the weights like it; a penalty brings it to an end.
				Sampling: &guest.Sampling{
					Temperature: 1, TopP: 1, RepeatPenalty: 1, FrequencyPenalty: 0.5, RepeatLastN: -1, Seed: seed,
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.FinishReason == "stop" {
				complete++
			}
			if got := report.MatchString(h.Text); got != (r.FinishReason == "stop") {
				t.Errorf("%s: finished with %q: %q", filepath.Base(path), r.FinishReason, h.Text)
			}
		}
		if complete == 0 {
			t.Errorf("%s: no answer came to its end", filepath.Base(path))
		}
		h.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestGrammar compares languages with the regular expressions that they are.
func TestGrammar(t *testing.T) {
	for _, tc := range []struct {
		grammar, expression string
	}{
		{language, report.String()},
		{`a = "x"`, `^x$`},
		{`a = ("x" | "yz")* "w"?`, `^(x|yz)*w?$`},
		{`a = b b  b = [a-c-]+ | ""`, `^[a-c-]*$`},
		{`a = "é" [0-9]`, `^é[0-9]$`},
	} {
		g, err := parseGrammar(tc.grammar)
		if err != nil {
			t.Fatal(err)
		}
		expression := regexp.MustCompile(tc.expression)
		for _, text := range []string{
			"", "x", "xx", "w", "xyzxw", "yzw", "y", "ww", "a", "abc-", "d", "é7", "é", "\xc3", `{"city": "`,
			`{"city": "Paris", "sky": "rain", "degrees": -7}`, `{"city": "New York", "sky": "snow", "degrees": 0}`,
			`{"city": "paris", "sky": "rain", "degrees": 7}`, `{"city": "Paris", "sky": "rain", "degrees": 07}`,
		} {
			s, err := g.start()
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []byte(text) {
				allowed := s.allows(b)
				if s, err = g.step(s, b); err != nil || allowed != (len(s) > 0) {
					t.Errorf("%s: %q: allows %v, then %d ways, %v", tc.grammar, text, allowed, len(s), err)
				}
			}
			if got, want := s.complete(), expression.MatchString(text); got != want {
				t.Errorf("%s: %q: %v, want %v", tc.grammar, text, got, want)
			}
		}
	}
}

func TestGrammarErrors(t *testing.T) {
	for _, text := range []string{"", "a", "a =  b", `a = "`, `a = [x`, `a = ("x"`, `a = "x" a = "y"`, `= "x"`, `a = "x" )`} {
		if _, err := parseGrammar(text); !errors.Is(err, guest.CodeInvalidArgument) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{`a = a "x" | "y"`, `a = ("x"*)* "y"`} {
		g, err := parseGrammar(text)
		if err == nil {
			_, err = g.start()
		}
		if !errors.Is(err, guest.CodeLimitExceeded) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
