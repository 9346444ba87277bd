// Command abigen writes docs/abi.md, guest/realm.h and js/sdk/src/abi.ts from the tables of package abi. It runs in the
// folder of that package, through go generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/realm-ai/realm/internal/abi"
)

func main() {
	if err := run("../.."); err != nil {
		fmt.Fprintln(os.Stderr, "abigen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	documents, err := structsOf("request.go")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"docs/abi.md":   markdown(documents),
		"guest/realm.h": header(),

		"js/sdk/src/abi.ts": typescript(),
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// wasmType is the type of a number as WebAssembly has it.
func wasmType(t abi.Type) string {
	if t.Size() == 8 {
		return "i64"
	}
	return "i32"
}

// signature is a function's type in WebAssembly's notation.
func signature(f abi.Func) string {
	params := make([]string, len(f.Params))
	for i := range f.Params {
		params[i] = "i32"
	}
	result := ""
	if f.Result != abi.None {
		result = wasmType(f.Result)
	}
	return fmt.Sprintf("(%s) -> (%s)", strings.Join(params, ", "), result)
}
