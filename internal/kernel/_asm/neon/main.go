// Command neon writes package kernel's assembly for arm64: run go generate in that package.
//
// The kernels do what those for AVX-512 do, on the same packed weights and streams of activations, in four quarters: a
// vector of NEON holds 4 of a strip's 16 rows. They need the dot product instructions of Armv8.2 (FEAT_DotProd), which
// multiply signed bytes, so weights are made signed wherever that saves the correction for an offset.
//
// avo writes no arm64 code, and Go's assembler lacks many vector instructions. This command therefore has an assembler
// of its own, a thin one: asm.go has registers, functions and what Go's assembler knows; encode.go has what it does
// not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "", "folder of package kernel")
	flag.Parse()
	a := newAsm()
	signed := [16]byte{}
	for i, v := range steps {
		signed[i] = byte(v)
	}
	a.table("steps", signed)
	a.table("pairs02", pairsOf(0))
	a.table("pairs13", pairsOf(1))
	for _, tokens := range []int{1, 2, 4, 8, 12} {
		for _, f := range legacies {
			block32(a, f, tokens)
		}
		for _, f := range kquants {
			block256(a, f, tokens)
		}
	}
	for _, f := range floatDTypes {
		dotFloat(a, f, 1)
		dotFloat(a, f, 4)
	}
	quantize(a, 32)
	quantize(a, 256)
	f := newAsm()
	f.table("indices", [16]byte{4: 1, 8: 2, 12: 3})
	floats(f)
	err := errors.Join(
		a.write(*out, "neon_arm64.s", "stubs_arm64.go"), f.write(*out, "floats_neon_arm64.s", "floats_stubs_arm64.go"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "neon:", err)
		os.Exit(1)
	}
}

// write writes the assembly and its declarations in Go.
func (a *asm) write(dir, text, stubs string) error {
	if err := os.WriteFile(filepath.Join(dir, text), a.text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, stubs), a.stubs.Bytes(), 0o644)
}
