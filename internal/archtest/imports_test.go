package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/realm-ai/realm"

// row is what the non-test code of one package may import beside the standard library. Test files may import any
// package of the module, to build their inputs and references, and those third-party modules that the row has for tests.
type row struct {
	internal string // packages below internal/, by their names
	public   string // packages outside internal/; "realm" is the root
	modules  string // third-party modules
	tests    string // third-party modules that only test files may import
	cgo      bool
}

// table is the import table of DESIGN section 2. Imports point from the format through numbers, model and engine to
// package realm, the surfaces and the commands. internal/errs is named in every row that may use it; numbers fail only
// on a caller's mistake and surfaces take the codes from package realm, so they do without. A package that has no row
// fails the test: give it one, and say in docs/rationale.md why it is needed.
var table = map[string]row{
	".": {internal: "engine kvcache store hub errs"}, // a budget of the cache crosses models, and so engines

	// Public packages and commands.
	"guest":                  {internal: "abi generate tokenizer chat sample errs"},
	"guest/guesttest":        {internal: "abi errs", public: "guest realm"}, // runs guests natively, for their tests
	"wasm":                   {internal: "abi hostcall wasmpatch", public: "realm", modules: "github.com/tetratelabs/wazero"},
	"cmd/realm":              {internal: "cli hostpipe limits server synth", public: "realm wasm"},
	"cmd/realm-guest":        {public: "guest"},
	"examples":               {},
	"examples/guest-grammar": {public: "guest"},
	"examples/guest-layers":  {public: "guest"},
	"cmd/realm-node":         {internal: "abi bridge hostcall wasmpatch", public: "realm", cgo: true},

	// Surfaces: they see package realm, never a kernel.
	"internal/hostcall": {internal: "abi wasmpatch", public: "realm"},        // what wasm and cmd/realm-node have in common
	"internal/bridge":   {internal: "abi hostcall", public: "realm"},         // what cmd/realm-node and `realm host` have in common
	"internal/hostpipe": {internal: "bridge hostcall", public: "realm wasm"}, // the host in a process of its own
	"internal/cli":      {internal: "errs", public: "realm wasm"},            // errs for the likeness of names
	"internal/server":   {public: "realm wasm"},
	"internal/openai":   {public: "realm wasm"},

	// Engine.
	"internal/engine":  {internal: "model gguf kernel kvcache generate tokenizer chat sample errs"},
	"internal/store":   {internal: "gguf quant kernel errs"},
	"internal/hub":     {internal: "store gguf errs"}, // fetches models by name into the folder that store names
	"internal/model":   {internal: "gguf quant kernel kvcache errs"},
	"internal/kvcache": {internal: "f16"},

	// What runs natively and in the guest.
	"internal/generate":  {internal: "tokenizer chat sample errs"},
	"internal/tokenizer": {internal: "abi errs"},
	"internal/chat":      {internal: "errs", modules: "github.com/ardanlabs/jinja"},
	"internal/sample":    {},

	// Numbers and formats.
	"internal/kernel":     {internal: "cpu f16 quant"},
	"internal/quant":      {internal: "f16"},
	"internal/gguf":       {internal: "errs"},
	"internal/abi":        {internal: "errs"},
	"internal/abi/abigen": {internal: "abi errs"}, // writes the documentation and the C header
	"internal/wasmpatch":  {internal: "errs", tests: "github.com/tetratelabs/wazero"},
	"internal/f16":        {},
	"internal/cpu":        {},
	"internal/limits":     {internal: "cpu errs"},
	"internal/errs":       {},

	// Tests and their models.
	"internal/synth":    {internal: "gguf quant errs"},
	"internal/wasmtest": {},
	"internal/archtest": {},
}

// breaches lists the imports of one package that its row does not allow. test says that the file is a _test.go file.
func breaches(pkg string, imports []string, test bool) []string {
	allowed, known := table[pkg]
	if !known {
		return []string{"package has no row in the import table"}
	}
	var found []string
	for _, path := range imports {
		name, inside := strings.CutPrefix(path, modulePath+"/")
		domain, _, _ := strings.Cut(path, "/")
		var ok bool
		switch {
		case path == "C":
			ok = allowed.cgo
		case path == modulePath:
			ok = test || slices.Contains(strings.Fields(allowed.public), "realm")
		case inside:
			list := allowed.public
			if below, internal := strings.CutPrefix(name, "internal/"); internal {
				list, name = allowed.internal, below
			}
			ok = test || slices.Contains(strings.Fields(list), name)
		case strings.Contains(domain, "."):
			modules := strings.Fields(allowed.modules)
			if test {
				modules = append(modules, strings.Fields(allowed.tests)...)
			}
			ok = slices.ContainsFunc(modules, func(module string) bool {
				return path == module || strings.HasPrefix(path, module+"/")
			})
		default: // the standard library
			ok = true
		}
		if !ok {
			found = append(found, "may not import "+path)
		}
	}
	return found
}

// goFile is one parsed Go file of the product module.
type goFile struct {
	pkg  string // folder relative to the root, "." for the root
	name string // path relative to the root
	test bool
	ast  *ast.File
}

// goFiles parses every Go file of the product module, whatever its build constraints, so that the rules hold on every
// platform. Folders with a go.mod of their own are other modules and are skipped, as the go command does.
func goFiles(t *testing.T, mode parser.Mode, visit func(fset *token.FileSet, file goFile)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path == root {
				return nil
			}
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			name := entry.Name()
			if err == nil || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") ||
				slices.Contains(ignored.folders, name) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		syntax, err := parser.ParseFile(fset, path, nil, mode)
		if err != nil {
			return err
		}
		visit(fset, goFile{
			pkg:  filepath.ToSlash(filepath.Dir(rel)),
			name: rel,
			test: strings.HasSuffix(rel, "_test.go"),
			ast:  syntax,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	goFiles(t, parser.ImportsOnly, func(_ *token.FileSet, file goFile) {
		seen[file.pkg] = true
		var imports []string
		for _, spec := range file.ast.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: import %s: %v", file.name, spec.Path.Value, err)
			}
			imports = append(imports, path)
		}
		for _, breach := range breaches(file.pkg, imports, file.test) {
			t.Errorf("%s: %s", file.name, breach)
		}
	})
	if !seen["internal/archtest"] || !seen["internal/errs"] {
		t.Errorf("the walk missed packages: saw only %d", len(seen))
	}
}

func TestBreaches(t *testing.T) {
	internal := func(name string) string { return modulePath + "/internal/" + name }
	for _, tc := range []struct {
		pkg, path string
		test      bool
		allowed   bool
	}{
		{"internal/quant", internal("f16"), false, true},
		{"internal/quant", internal("gguf"), false, false},
		{"internal/quant", internal("gguf"), true, true},
		{"internal/sample", internal("errs"), false, false},
		{"internal/cli", modulePath, false, true},
		{"internal/cli", internal("engine"), false, false},
		{".", internal("kernel"), false, false},
		{".", internal("engine"), false, true},
		{"cmd/realm", modulePath + "/wasm", false, true},
		{"internal/chat", "github.com/ardanlabs/jinja", false, true},
		{"internal/chat", "github.com/ardanlabs/jinja/exec", false, true},
		{"internal/chat", "github.com/ardanlabs/jinjala", false, false},
		{"internal/gguf", "golang.org/x/sys/unix", true, false},
		{"internal/gguf", "encoding/binary", false, true},
		{"internal/wasmpatch", "github.com/tetratelabs/wazero/api", true, true},
		{"internal/wasmpatch", "github.com/tetratelabs/wazero/api", false, false},
		{"internal/kernel", "C", false, false},
		{"cmd/realm-node", "C", false, true},
		{"internal/newcomer", "fmt", false, false},
	} {
		got := breaches(tc.pkg, []string{tc.path}, tc.test)
		if (len(got) == 0) != tc.allowed {
			t.Errorf("%s importing %s (test %v): got %q, want allowed %v", tc.pkg, tc.path, tc.test, got, tc.allowed)
		}
	}
}

// TestTableIsAcyclic keeps the table itself honest: a cycle in it could never be built, and every name must have a row.
func TestTableIsAcyclic(t *testing.T) {
	const (
		entered = 1
		left    = 2
	)
	state := map[string]int{}
	var visit func(pkg string) error
	visit = func(pkg string) error {
		rule, known := table[pkg]
		if !known {
			return fmt.Errorf("%s: named in the table, but has no row", pkg)
		}
		if state[pkg] == entered {
			return fmt.Errorf("%s: imports itself in a circle", pkg)
		}
		if state[pkg] == left {
			return nil
		}
		state[pkg] = entered
		next := strings.Fields(rule.public)
		for i, name := range next {
			if name == "realm" {
				next[i] = "."
			}
		}
		for _, name := range strings.Fields(rule.internal) {
			next = append(next, "internal/"+name)
		}
		for _, name := range next {
			if err := visit(name); err != nil {
				return err
			}
		}
		state[pkg] = left
		return nil
	}
	for pkg := range table {
		if err := visit(pkg); err != nil {
			t.Error(err)
		}
	}
}
