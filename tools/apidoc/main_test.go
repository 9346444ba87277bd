package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = `// Package p is a test.
package p

import "github.com/realm-ai/realm/internal/inner"

// Alias is another name.
type Alias = inner.Type
`

const inner = `package inner

// Type is a type.
type Type struct{ Field int }

// Do does.
func (t Type) Do() {}
`

func TestPage(t *testing.T) {
	root := t.TempDir()
	for _, tc := range []struct{ more, wrong string }{
		{"// F has one.\nfunc F() {}", ""},
		{"func F() {}", "F has no comment"},
		{"type T int", "T has no comment"},
		{"// T has one.\ntype T int\nfunc (T) M() {}", "T.M has no comment"},
	} {
		for name, text := range map[string]string{"p/p.go": source + tc.more, "internal/inner/inner.go": inner} {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p, err := load(root, "p", true)
		if err != nil {
			t.Fatal(err)
		}
		page, err := p.page()
		if tc.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%s: %v, want %s", tc.more, err, tc.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.more, err)
		}
		for _, want := range []string{"# Package p", "### F\n", "F has one.", "Field int", "### Type.Do"} {
			if !strings.Contains(string(page), want) {
				t.Errorf("no %q in\n%s", want, page)
			}
		}
	}
}
