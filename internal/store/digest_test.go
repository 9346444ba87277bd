package store

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestReadAhead(t *testing.T) {
	want := bytes.Repeat([]byte("what is read comes in order. "), 100_000)
	broken := errors.New("broken")
	for name, r := range map[string]struct {
		io.Reader
		err error
	}{
		"whole":               {bytes.NewReader(want), nil},
		"halves":              {iotest.HalfReader(bytes.NewReader(want)), nil},
		"the end with data":   {iotest.DataErrReader(bytes.NewReader(want)), nil},
		"an error at the end": {io.MultiReader(bytes.NewReader(want), iotest.ErrReader(broken)), broken},
	} {
		var got []byte
		err := readAhead(r, func(piece []byte) error {
			got = append(got, piece...)
			return nil
		})
		if !errors.Is(err, r.err) || !bytes.Equal(got, want) {
			t.Errorf("%s: %d of %d bytes, error %v, want %v", name, len(got), len(want), err, r.err)
		}
	}
	pieces := 0
	err := readAhead(bytes.NewReader(want), func([]byte) error {
		pieces++
		return broken
	})
	if !errors.Is(err, broken) || pieces != 1 {
		t.Errorf("error %v after %d pieces, want that of the first", err, pieces)
	}
}
