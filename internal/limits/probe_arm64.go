//go:build arm64 && !purego

package limits

import "github.com/realm-ai/realm/internal/cpu"

func probeOf(set cpu.Set) probe {
	if set != cpu.NEON {
		return generic
	}
	return probe{
		names: "LD1, SDOT and FMLA of 128 bits", read: readVectors,
		ints: multiplyVectors, intOps: 16 * 16 * 2,
		floats: multiplyFloats, floatOps: 16 * 4 * 2,
	}
}

// The garbage collector can stop a thread in a Go function that has a frame, not in assembly: hence the functions that
// are not inlined, each of which takes some microseconds.

//go:noinline
func readVectors(memory []byte) uint64 { return readNEON(&memory[0], len(memory)) }

//go:noinline
func multiplyVectors(n int) int32 { return multiplyNEON(n) }

//go:noinline
func multiplyFloats(n int) float32 { return floatsNEON(n) }

// readNEON returns the sum of the words in n bytes, a multiple of 128.
//
//go:noescape
func readNEON(p *byte, n int) uint64

// multiplyNEON does n rounds of 16 SDOT of ones, and returns a lane's sum.
func multiplyNEON(n int) int32

// floatsNEON does n rounds of 16 FMLA of ones, and returns a lane's sum.
func floatsNEON(n int) float32
