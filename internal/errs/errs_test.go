package errs

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestEveryCodeHasItsOwnRow(t *testing.T) {
	names := map[string]Code{}
	for _, c := range Codes() {
		row := codes[c]
		if row.name == "" || row.text == "" || row.http == 0 {
			t.Errorf("code %d: incomplete row %+v", c, row)
		}
		if other, taken := names[row.name]; taken {
			t.Errorf("codes %d and %d share the name %s", other, c, row.name)
		}
		names[row.name] = c
		if (c == OK) != (row.exit == 0) {
			t.Errorf("code %s: exit status %d", row.name, row.exit)
		}
	}
}

func TestErrorf(t *testing.T) {
	err := fmt.Errorf("opening: %w", Errorf(IO, "gguf: read: %w", io.ErrUnexpectedEOF))
	if !errors.Is(err, IO) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, NotFound) {
		t.Errorf("errors.Is does not see through %v", err)
	}
	if got, want := err.Error(), "opening: gguf: read: unexpected EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := CodeOf(Wrap(err, "here")); got != IO {
		t.Errorf("CodeOf = %v, want IO", got)
	}
	if Wrap(nil, "here") != nil || CodeOf(nil) != OK || CodeOf(io.EOF) != Internal || CodeOf(NotFound) != NotFound {
		t.Error("CodeOf or Wrap: wrong for nil, a foreign error or a bare code")
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "run", 3}, {"pull", "pul", 1}, {"run", "urn", 2}, {"blk.0.attn_q", "blk.1.attn_k", 2}} {
		if got, back := EditDistance(c.a, c.b), EditDistance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("EditDistance(%q, %q) = %d, and %d the other way: want %d", c.a, c.b, got, back, c.want)
		}
	}
}
