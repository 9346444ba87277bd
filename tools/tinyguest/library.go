package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// unused are the functions of the template library that package chat never reaches, since all operations of its templates
// come back to itself, and what stands in their bodies instead. The library keeps them in tables, so that no linker can
// see that they are not used. Their filters take 50 KB of the guest.
var unused = map[string]string{
	"registerGlobals": "",
	"registerFilters": "",
	"evalTest":        leftOut,
	"stringMethod":    leftOut,
	"listMethod":      leftOut,
	"dictMethod":      leftOut,
}

const leftOut = `panic("jinja: left out of this build")`

// library makes a copy of the template library without them and returns a go.mod that has it in its place.
func (b *builder) library() (modfile string, err error) {
	dir := filepath.Join(b.work, "jinja")
	if err := b.module(libraryModule, libraryVersion, dir); err != nil {
		return "", err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	emptied := 0
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		trimmed, n, err := empty(source, unused)
		if err != nil {
			return "", err
		}
		if emptied += n; n > 0 {
			if err := os.WriteFile(name, trimmed, 0o666); err != nil {
				return "", err
			}
		}
	}
	if emptied != len(unused) {
		return "", fmt.Errorf("%s %s has %d of the %d functions to be left out", libraryModule, libraryVersion, emptied, len(unused))
	}
	modfile = filepath.Join(b.work, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(b.root, name))
		if err != nil {
			return "", err
		}
		if name == "go.mod" {
			if !strings.Contains(string(data), libraryModule+" "+libraryVersion+"\n") {
				return "", errors.New("go.mod has another version of " + libraryModule + " than tinyguest")
			}
			data = append(data, "\nreplace "+libraryModule+" => "+dir+"\n"...)
		}
		if err := os.WriteFile(filepath.Join(b.work, name), data, 0o666); err != nil {
			return "", err
		}
	}
	return modfile, nil
}

// empty replaces the bodies of functions and methods, by name, and returns how many it found.
func empty(source []byte, bodies map[string]string) ([]byte, int, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, 0, err
	}
	var out bytes.Buffer
	at, found := 0, 0
	for _, decl := range syntax.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		body, ok := bodies[f.Name.Name]
		if !ok {
			continue
		}
		found++
		from, to := fset.Position(f.Body.Lbrace).Offset+1, fset.Position(f.Body.Rbrace).Offset
		out.Write(source[at:from])
		out.WriteString(body)
		at = to
	}
	out.Write(source[at:])
	return out.Bytes(), found, nil
}
