//go:build amd64 && !purego

package limits

import (
	"encoding/binary"

	"github.com/realm-ai/realm/internal/cpu"
)

//go:generate go run -C ../kernel/_asm ./limits -out ../../limits/limits_amd64.s -stubs ../../limits/stubs_amd64.go -pkg limits

// The garbage collector can stop a thread in a Go function that has a frame, not in assembly: hence the functions that
// are not inlined, each of which takes some microseconds.

func probeOf(set cpu.Set) probe {
	switch set {
	case cpu.AMX:
		return probe{
			names: "VPADDQ and VFMADD231PS of 512 bits, and TDPBUSD", read: readVectors512,
			ints: multiplyTiles, intOps: 6 * 16 * 16 * 64 * 2,
			floats: multiplyFloats512, floatOps: 16 * 16 * 2,
		}
	case cpu.AVX512:
		return probe{
			names: "VPADDQ, VPDPBUSD and VFMADD231PS of 512 bits", read: readVectors512,
			ints: multiply512, intOps: 16 * 64 * 2,
			floats: multiplyFloats512, floatOps: 16 * 16 * 2,
		}
	case cpu.AVX2:
		return probe{
			names: "VPADDQ, VPMADDUBSW with VPADDW and VFMADD231PS of 256 bits", read: readVectors256,
			ints: multiply256, intOps: 12 * 32 * 2,
			floats: multiplyFloats256, floatOps: 12 * 8 * 2,
		}
	}
	return generic
}

//go:noinline
func readVectors512(memory []byte) uint64 { return readAVX512(&memory[0], len(memory)) }

//go:noinline
func readVectors256(memory []byte) uint64 { return readAVX2(&memory[0], len(memory)) }

//go:noinline
func multiplyTiles(n int) int32 {
	var tile [1024]byte
	for i := range tile {
		tile[i] = 1
	}
	multiplyAMX(&tile[0], n)
	return int32(binary.LittleEndian.Uint32(tile[:]))
}

//go:noinline
func multiply512(n int) int32 { return multiplyAVX512(n) }

//go:noinline
func multiply256(n int) int32 { return multiplyAVX2(n) }

//go:noinline
func multiplyFloats512(n int) float32 { return floatsAVX512(n) }

//go:noinline
func multiplyFloats256(n int) float32 { return floatsAVX2(n) }
