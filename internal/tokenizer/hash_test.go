package tokenizer

import (
	"errors"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

func TestTable(t *testing.T) {
	const n = 100_000
	table, err := makeTable(n)
	if err != nil {
		t.Fatal(err)
	}
	for row := range n {
		if err := table.insert(hashPair(int32(row/300), int32(row%300)), row); err != nil {
			t.Fatal(err)
		}
	}
	for row := range n + 1000 {
		p, found := table.start(hashPair(int32(row/300), int32(row%300))), false
		for {
			var candidate int
			candidate, p = table.next(p)
			if candidate < 0 {
				break
			}
			found = found || candidate == row
		}
		if found != (row < n) {
			t.Fatalf("row %d: found is %v", row, found)
		}
	}
}

func TestTableRefusesCollisions(t *testing.T) {
	table, err := makeTable(10 * maxProbes)
	if err != nil {
		t.Fatal(err)
	}
	for row := range maxProbes {
		if err := table.insert(1, row); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.insert(1, maxProbes); !errors.Is(err, errs.LimitExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := makeTable(maxRows + 1); !errors.Is(err, errs.LimitExceeded) {
		t.Errorf("too many rows: got %v", err)
	}
}

func TestByteRunes(t *testing.T) {
	seen := map[rune]bool{}
	for b := range 256 {
		r := byteRune(byte(b))
		if back, ok := runeByte(r); !ok || back != byte(b) || seen[r] || r <= ' ' || r == 0xA0 {
			t.Errorf("byte %#x is %q, which is %#x %v", b, r, back, ok)
		}
		seen[r] = true
	}
	for r, want := range map[rune]byte{'!': '!', 'Ġ': ' ', 'Ċ': '\n', 'ĉ': '\t', 'Ń': 0xAD, 'ÿ': 0xFF, 'ł': 0xA0, 'ġ': 0x7F} {
		if got, ok := runeByte(r); !ok || got != want {
			t.Errorf("%c: got %#x %v, want %#x", r, got, ok, want)
		}
	}
	for _, r := range []rune{' ', '\n', 0x7F, 0xAD, 0x144, '中', -1} {
		if b, ok := runeByte(r); ok {
			t.Errorf("%U is the byte %#x", r, b)
		}
	}
}
