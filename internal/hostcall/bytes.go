package hostcall

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode"
	"unsafe"
)

// littleEndian says that this machine's numbers are in the order of a guest's.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// floatBytes is the memory of floats.
func floatBytes(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// putFloats writes floats to a guest's memory, where they need not be aligned.
func putFloats(dst []byte, src []float32) {
	if littleEndian {
		copy(dst, floatBytes(src))
		return
	}
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

// getFloats reads floats from a guest's memory.
func getFloats(dst []float32, src []byte) {
	if littleEndian {
		copy(floatBytes(dst), src)
		return
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// printable is a guest's text without what could move a terminal's cursor or is no UTF-8.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			return r
		}
		return unicode.ReplacementChar
	}, string(text))
}
