//go:build arm64 && !purego

package limits

import (
	"encoding/binary"
	"testing"
)

// TestRounds: a round is as many operations as Measure counts, and all of the memory is read. A processor without the
// dot product ends here.
func TestRounds(t *testing.T) {
	const n = 7
	if got := multiplyNEON(n); got != 4*16*n {
		t.Errorf("multiplyNEON: %d, want %d", got, 4*16*n)
	}
	if got := floatsNEON(n); got != 16*n {
		t.Errorf("floatsNEON: %v, want %d", got, 16*n)
	}
	memory, want := make([]byte, 3*lineBytes), uint64(0)
	for i := range memory {
		memory[i] = byte(i*i>>3 + i)
	}
	for at := 0; at < len(memory); at += 8 {
		want += binary.LittleEndian.Uint64(memory[at:])
	}
	if got := readNEON(&memory[0], len(memory)); got != want {
		t.Errorf("readNEON: %#x, want %#x", got, want)
	}
}
