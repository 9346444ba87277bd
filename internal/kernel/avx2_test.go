package kernel

import (
	"os"
	"regexp"
	"testing"
)

// TestAVX2NeedsNoMore looks for registers in the assembly for AVX2 that only AVX-512 has. The generator's allocator
// knows them, and Go's assembler would encode an instruction of AVX2 with one as an instruction of AVX-512.
func TestAVX2NeedsNoMore(t *testing.T) {
	beyond := regexp.MustCompile(`\b([XY](1[6-9]|2\d|3[01])|Z\d+|K[0-7])\b`)
	for _, file := range []string{"avx2_amd64.s", "floats_avx2_amd64.s"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`\bY15\b`).Match(text) {
			t.Errorf("%s: no register Y15, so the test does not see registers", file)
		}
		if at := beyond.FindIndex(text); at != nil {
			t.Errorf("%s: %s is a register of AVX-512", file, text[at[0]:at[1]])
		}
	}
}
