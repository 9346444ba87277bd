package archtest

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The Go compiler may compute x*y + z with one rounding where the architecture has an instruction for it, and does so
// on arm64: the same source then gives other bits than on amd64. Realm's results are the same everywhere (DESIGN
// section 5), so the compiler's own listing for arm64 is searched for such instructions. Where one is found, round the
// product by converting it, float32(x*y) + z, or ask for the fused operation with math.FMA.

// numericPackages hold floating-point arithmetic that ends up in a model's output, or in a synthetic model.
var numericPackages = []string{"f16", "quant", "kernel", "kvcache", "model", "sample", "synth"}

// exactProducts names the functions whose fused products are harmless: both factors are float32 values held in float64,
// so the product is exact and one rounding is the same as two.
var exactProducts = map[string][]string{
	"internal/kernel": {"FMA", "axpy", "dotFloats"},
}

// fusedOp matches a line of `go build -gcflags=-S` for arm64 with a fused multiply-add. The suffix S works on float32,
// D on float64.
var fusedOp = regexp.MustCompile(`\(([^()]+\.go):(\d+)\)\tFN?M(?:ADD|SUB)([SD])\t`)

// compileError finds the compiler's complaints among its listing.
var compileError = regexp.MustCompile(`(?m)^\S+\.go:\d+:.*$`)

// fused is one such instruction.
type fused struct {
	file   string
	line   int
	single bool // on float32
}

// listFused compiles the packages of the module in dir for arm64 and returns the fused operations in them.
func listFused(dir string, packages ...string) ([]fused, error) {
	cmd := exec.Command("go", append([]string{"build", "-gcflags=-S"}, packages...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	listing, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, bytes.Join(compileError.FindAll(listing, 10), []byte("\n")))
	}
	if !bytes.Contains(listing, []byte(" STEXT ")) {
		return nil, fmt.Errorf("go build -gcflags=-S listed no function in %q", packages)
	}
	var ops []fused
	lines := bufio.NewScanner(bytes.NewReader(listing))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := fusedOp.FindStringSubmatch(lines.Text()); m != nil {
			line, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, err
			}
			ops = append(ops, fused{file: m[1], line: line, single: m[3] == "S"})
		}
	}
	return ops, lines.Err()
}

// function returns the name of the function around a line and whether the line calls math.FMA.
func function(file string, line int) (name string, asked bool, err error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return "", false, err
	}
	ast.Inspect(syntax, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncDecl:
			if fset.Position(node.Pos()).Line <= line && line <= fset.Position(node.End()).Line {
				name = node.Name.Name
			}
		case *ast.SelectorExpr:
			x, ok := node.X.(*ast.Ident)
			asked = asked || ok && x.Name == "math" && node.Sel.Name == "FMA" && fset.Position(node.Pos()).Line == line
		}
		return true
	})
	return name, asked, nil
}

func TestNothingIsFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles packages for arm64")
	}
	var packages []string
	for _, name := range numericPackages {
		if files, _ := filepath.Glob(filepath.Join(root, "internal", name, "*.go")); len(files) > 0 {
			packages = append(packages, "./internal/"+name)
		}
	}
	ops, err := listFused(root, packages...)
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		name, asked, err := function(op.file, op.line)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(base, op.file)
		if err != nil {
			t.Fatal(err)
		}
		rel = filepath.ToSlash(rel)
		exact := slices.Contains(exactProducts[filepath.ToSlash(filepath.Dir(rel))], name)
		if asked || exact && !op.single {
			continue
		}
		t.Errorf("%s:%d: %s: product and sum are fused on arm64: convert the product, as in float32(x*y) + z",
			rel, op.line, name)
	}
}

// TestListFused shows that a fused operation would be found.
func TestListFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a package for arm64")
	}
	dir := t.TempDir()
	source := strings.Join([]string{
		"package p",
		"import \"math\"",
		"func Single(x, y, z float32) float32 { return x*y + z }",
		"func Double(x, y, z float64) float64 { return z - x*y }",
		"func Rounded(x, y, z float32) float32 { return float32(x*y) + z }",
		"func Asked(x, y, z float64) float64 { return math.FMA(x, y, z) }",
	}, "\n")
	file := filepath.Join(dir, "p.go")
	for name, text := range map[string]string{"go.mod": "module p\n\ngo 1.26\n", "p.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ops, err := listFused(dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, op := range ops {
		name, asked, err := function(file, op.line)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s single=%v asked=%v", name, op.single, asked))
	}
	want := []string{
		"Single single=true asked=false", "Double single=false asked=false", "Asked single=false asked=true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
