//go:build amd64 && !purego

package limits

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/realm-ai/realm/internal/cpu"
)

// TestRounds: a round is as many operations as Measure counts. A lane's sum is what one accumulator's lane takes in a
// round, times the rounds and the accumulators.
func TestRounds(t *testing.T) {
	const n = 7
	if cpu.Available(cpu.AVX2) {
		if got, want := multiplyAVX2(n), int32(2*12*n)*(1<<16+1); got != want {
			t.Errorf("multiplyAVX2: %#x, want %#x", got, want)
		}
		if got := floatsAVX2(n); got != 12*n {
			t.Errorf("floatsAVX2: %v, want %d", got, 12*n)
		}
	}
	if cpu.Available(cpu.AMX) {
		tile := bytes.Repeat([]byte{1}, 1024)
		multiplyAMX(&tile[0], n)
		for i := 0; i < len(tile); i += 4 {
			if got := binary.LittleEndian.Uint32(tile[i:]); got != 64*n {
				t.Fatalf("multiplyAMX: sum %d is %d, want %d", i/4, got, 64*n)
			}
		}
	}
	if cpu.Available(cpu.AVX512) {
		if got := multiplyAVX512(n); got != 4*16*n {
			t.Errorf("multiplyAVX512: %d, want %d", got, 4*16*n)
		}
		if got := floatsAVX512(n); got != 16*n {
			t.Errorf("floatsAVX512: %v, want %d", got, 16*n)
		}
	}
}
