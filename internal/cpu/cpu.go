// Package cpu says which set of kernels this process runs: the best that the processor has, or the one that the
// environment variable REALM_CPU asks for.
//
// It owns the detection of CPU features and the choice, once for each process. It must not know what the kernels
// compute. Built with the tag purego, or for an architecture without assembly, it finds Generic alone. Start at Chosen.
package cpu

import (
	"os"
	"strings"
	"sync"
)

// Set is a set of kernels, named after the CPU features that it needs.
type Set uint8

// The sets, each after those that may stand in for it: on a processor without AVX-512, AVX512 means AVX2. A set has the
// kernels of the one before it where it has none of its own. Every one of them gives the same bytes (DESIGN section 5).
const (
	Generic Set = iota // plain Go
	NEON               // arm64 with the dot product instructions
	AVX2               // amd64 with AVX2, FMA and F16C
	AVX512             // amd64 with AVX-512 F, BW, DQ, VL and VNNI, and what AVX2 needs
	AMX                // amd64 with AMX tiles and int8 products, and what AVX512 needs; Linux only
)

var names = [...]string{Generic: "generic", NEON: "neon", AVX2: "avx2", AVX512: "avx512", AMX: "amx"}

// String returns the name by which REALM_CPU asks for the set.
func (s Set) String() string { return names[s] }

// Parse returns the set called name, in upper or lower case, and whether there is one.
func Parse(name string) (Set, bool) {
	for s, n := range names {
		if strings.EqualFold(n, name) {
			return Set(s), true
		}
	}
	return Generic, false
}

// Available says whether this processor, and this build, can run the set.
func Available(s Set) bool { return available()[s] && (s != AMX || permitted()) }

// Chosen returns the set that REALM_CPU asks for, read when Chosen is first called: see choose.
func Chosen() Set { return chosen() }

var (
	available = sync.OnceValue(detect)
	permitted = sync.OnceValue(permitTiles) // apart, since asking has effects: only whoever wants AMX asks
	chosen    = sync.OnceValue(func() Set { return choose(os.Getenv("REALM_CPU"), Available) })
)

// sets says which sets the processor can run.
type sets [len(names)]bool

// choose picks the best set that can run, unless asked for one by name. One that cannot run gives way to the next one
// before it that can, never to one after it. A name that nobody knows asks for nothing.
func choose(asked string, can func(Set) bool) Set {
	best, known := Parse(asked)
	if !known {
		best = AMX
	}
	for s := best; s > Generic; s-- {
		if can(s) {
			return s
		}
	}
	return Generic
}
