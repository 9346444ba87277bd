//go:build !purego

package cpu

import (
	"encoding/binary"
	"os"
)

// hasDotProduct asks the kernel's auxiliary vector, pairs of a tag and a value (getauxval(3); the bits are those of
// asm/hwcap.h). Where it cannot be read, the answer is no.
func hasDotProduct() bool {
	const (
		hwcap   = 16      // the tag of the processor's features
		asimd   = 1 << 1  // vectors
		asimdDP = 1 << 20 // their dot products
	)
	vector, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return false
	}
	for ; len(vector) >= 16; vector = vector[16:] {
		if binary.LittleEndian.Uint64(vector) == hwcap {
			return binary.LittleEndian.Uint64(vector[8:])&(asimd|asimdDP) == asimd|asimdDP
		}
	}
	return false
}
