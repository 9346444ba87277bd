//go:build !purego

package cpu

import (
	"os"
	"regexp"
	"testing"
)

// TestReadsAhead compares what the processor says with what Linux makes of it.
func TestReadsAhead(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip(err)
	}
	family := regexp.MustCompile(`(?m)^vendor_id\s*: AuthenticAMD\ncpu family\s*: 25$`).Match(info)
	if want := family && Available(AVX512); ReadsAhead() != want {
		t.Errorf("got %v, want %v", !want, want)
	}
}
