package kernel

import (
	"bufio"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestNEONWords compares the names beside words in the assembly for arm64 with what a disassembler makes of the words.
// It needs GNU binutils for aarch64.
func TestNEONWords(t *testing.T) {
	objdump, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil {
		t.Skip("no aarch64-linux-gnu-objdump here")
	}
	names := map[uint32]string{}
	word := regexp.MustCompile(`^\tWORD \$(0x[0-9a-f]{8}) // (.*)$`)
	for _, file := range []string{"neon_arm64.s", "floats_neon_arm64.s"} {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if m := word.FindStringSubmatch(lines.Text()); m != nil {
				code, err := strconv.ParseUint(m[1], 0, 32)
				if err != nil {
					t.Fatal(err)
				}
				names[uint32(code)] = m[2]
			} else if strings.Contains(lines.Text(), "WORD") {
				t.Errorf("%s: %q has no name", file, lines.Text())
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	var codes []uint32
	var raw []byte
	for code := range names {
		codes = append(codes, code)
		raw = binary.LittleEndian.AppendUint32(raw, code)
	}
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	listing, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^ +[0-9a-f]+:\t[0-9a-f]{8} \t(.*)$`).FindAllStringSubmatch(string(listing), -1)
	if len(lines) != len(codes) || len(codes) == 0 {
		t.Fatalf("%d lines for %d words", len(lines), len(codes))
	}
	for i, code := range codes {
		if got := strings.Join(strings.Fields(lines[i][1]), " "); got != names[code] {
			t.Errorf("%#08x is %q, named %q", code, got, names[code])
		}
	}
}
