package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ban forbids names of one imported package in the non-test code of some packages.
type ban struct {
	where  func(pkg string) bool
	path   string // import path; "" stands for Go's predeclared names
	names  string // identifiers, or "*" for the import as a whole
	reason string
}

func numeric(pkg string) bool {
	return slices.Contains([]string{"internal/kernel", "internal/model", "internal/sample", "internal/kvcache"}, pkg)
}

func library(pkg string) bool {
	surface := strings.HasPrefix(pkg, "cmd/") || pkg == "internal/cli" || pkg == "internal/server"
	return !surface
}

var bans = []ban{
	{
		numeric, "math",
		"Acos Acosh Asin Asinh Atan Atan2 Atanh Cbrt Cos Cosh Erf Erfc Erfcinv Erfinv Exp Exp2 Expm1 Gamma Hypot J0 J1 Jn " +
			"Lgamma Log Log10 Log1p Log2 Pow Sin Sincos Sinh Tan Tanh Y0 Y1 Yn",
		"package math has assembly for it on some architectures and other last bits there (DESIGN section 5)",
	},
	{numeric, "math/cmplx", "*", "it is built on math's transcendentals (DESIGN section 5)"},
	{library, "log", "*", "a library reports by its results; the embedder decides what is logged"},
	{library, "log/slog", "*", "a library reports by its results; the embedder decides what is logged"},
	{library, "flag", "*", "options of a library are arguments, the command line is cmd/realm's"},
	{library, "testing", "*", "it adds flags and weight to the product; helpers for tests stand in _test.go files"},
	{library, "fmt", "Print Printf Println Scan Scanf Scanln", "stdin and stdout are the embedder's"},
	{library, "os", "Stdin Stdout Stderr Exit", "the process and its streams are the embedder's"},
	{library, "", "print println", "they write to stderr, which is the embedder's"},
}

// banned lists the uses of banned names in one file, as "line: what (why)".
func banned(fset *token.FileSet, pkg string, file *ast.File) []string {
	// The names under which this file knows the packages that matter here.
	local := map[string]string{}
	var found []string
	report := func(pos token.Pos, what, why string) {
		found = append(found, strconv.Itoa(fset.Position(pos).Line)+": "+what+" ("+why+")")
	}
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		for _, b := range bans {
			if b.path != path || !b.where(pkg) {
				continue
			}
			if b.names == "*" || name == "." {
				report(spec.Pos(), "import "+path, b.reason)
			}
			local[name] = path
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		path, name := "", ""
		switch node := node.(type) {
		case *ast.SelectorExpr:
			qualifier, ok := node.X.(*ast.Ident)
			if !ok || local[qualifier.Name] == "" {
				return true
			}
			path, name = local[qualifier.Name], node.Sel.Name
		case *ast.CallExpr:
			callee, ok := node.Fun.(*ast.Ident)
			if !ok {
				return true
			}
			name = callee.Name
		default:
			return true
		}
		for _, b := range bans {
			if b.path == path && b.where(pkg) && slices.Contains(strings.Fields(b.names), name) {
				report(node.Pos(), strings.TrimPrefix(path+"."+name, "."), b.reason)
			}
		}
		return true
	})
	return found
}

func TestBans(t *testing.T) {
	goFiles(t, parser.SkipObjectResolution, func(fset *token.FileSet, file goFile) {
		// Generators stand beside what they generate as `package main` under a build tag.
		if file.test || file.ast.Name.Name == "main" {
			return
		}
		for _, use := range banned(fset, file.pkg, file.ast) {
			t.Errorf("%s:%s", file.name, use)
		}
	})
}

func TestBanned(t *testing.T) {
	for _, tc := range []struct{ pkg, imports, body, want string }{
		{"internal/kernel", `"math"`, `_ = math.Exp(1)`, "math.Exp"},
		{"internal/kernel", `m "math"`, `_ = m.Tanh`, "math.Tanh"},
		{"internal/kernel", `. "math"`, `_ = Exp(1)`, "import math"},
		{"internal/kernel", `"math"`, `_ = math.Sqrt(1) + math.FMA(1, 2, 3) + math.Pi`, ""},
		{"internal/gguf", `"math"`, `_ = math.Exp(1)`, ""},
		{"internal/model", `"math/cmplx"`, `_ = cmplx.Abs(1)`, "import math/cmplx"},
		{"internal/gguf", `"fmt"`, `fmt.Println()`, "fmt.Println"},
		{"internal/gguf", `"fmt"`, `_ = fmt.Sprint()`, ""},
		{"internal/gguf", `"log/slog"`, `slog.Info("")`, "import log/slog"},
		{"internal/gguf", `"os"`, `os.Exit(1)`, "os.Exit"},
		{"internal/gguf", `"os"`, `println()`, "println"},
		{"internal/cli", `"os"`, `os.Exit(1)`, ""},
		{"cmd/realm", `"fmt"`, `fmt.Println()`, ""},
	} {
		fset := token.NewFileSet()
		source := "package p\nimport " + tc.imports + "\nfunc f() { " + tc.body + " }\n"
		file, err := parser.ParseFile(fset, "p.go", source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(banned(fset, tc.pkg, file), "; ")
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s: got %q, want %q", tc.pkg, tc.body, got, tc.want)
		}
	}
}
