//go:build !wasip1

package guest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/abi"
)

// TestImportsAreTheTable compares the directives of imports_wasip1.go with the table of the ABI: every function is there,
// with pointers and numbers in the same places. What a compiler makes of them is compared in cmd/realm-guest.
func TestImportsAreTheTable(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "imports_wasip1.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Doc == nil {
			continue
		}
		directive := strings.Fields(f.Doc.List[len(f.Doc.List)-1].Text)
		if len(directive) != 3 || directive[0] != "//go:wasmimport" {
			continue
		}
		want, ok := abi.Function(directive[2])
		if directive[1] != abi.Module || !ok {
			t.Errorf("imports %s from %s", directive[2], directive[1])
			continue
		}
		found[want.Name] = true
		var pointers []bool
		for _, field := range f.Type.Params.List {
			_, pointer := field.Type.(*ast.SelectorExpr) // unsafe.Pointer, else uint32
			for range field.Names {
				pointers = append(pointers, pointer)
			}
		}
		if len(pointers) != len(want.Params) {
			t.Errorf("%s has %d parameters, want %d", want.Name, len(pointers), len(want.Params))
			continue
		}
		for i, p := range want.Params {
			if pointers[i] != (p.Access != abi.Number) {
				t.Errorf("%s: %s: a pointer: %v", want.Name, p.Name, pointers[i])
			}
		}
		result := f.Type.Results.List[0].Type.(*ast.Ident).Name
		if typ := map[string]abi.Type{"int32": abi.I32, "int64": abi.I64}[result]; typ != want.Result {
			t.Errorf("%s returns %s, want %v", want.Name, result, want.Result)
		}
	}
	for _, f := range abi.Functions() {
		if !found[f.Name] {
			t.Errorf("does not import %s", f.Name)
		}
	}
}
