package abi

import (
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"unsafe"

	"github.com/realm-ai/realm/internal/errs"
)

func testVocab() *VocabTable {
	return &VocabTable{
		Model: 2, Flags: FlagAddBOS | FlagIgnoreMerges, Special: [8]int32{0, 1, -1, -1, -1, -1, -1, -1},
		Offsets: []uint32{0, 3, 4, 6}, Scores: []float32{0, -1, 2}, Merges: []int32{1, 1}, EndOfGeneration: []int32{1},
		Attrs: []byte{4, 1, 1}, Pre: "gpt-2", Bytes: []byte("<s>aaa"),
	}
}

// TestVocabTableBytes holds version 1 to its bytes.
func TestVocabTableBytes(t *testing.T) {
	const want = "524c4d56" + "01000000" + "86000000" + "02000000" + "09000000" + // magic, version, size, model, flags
		"03000000" + "06000000" + "03000000" + "01000000" + "01000000" + "05000000" + // counts
		"00000000" + "01000000" + "ffffffffffffffffffffffffffffffffffffffffffffffff" + "00000000" + // special, reserved
		"00000000" + "03000000" + "04000000" + "06000000" + // offsets
		"00000000" + "000080bf" + "00000040" + // scores
		"01000000" + "01000000" + // merges
		"01000000" + // ends
		"040101" + "6770742d32" + "3c733e616161" // attrs, pre, texts
	b, err := testVocab().Encode()
	if err != nil || hex.EncodeToString(b[:]) != want {
		t.Errorf("%x, %v\nwant %s", b, err, want)
	}
}

func TestVocabTableRoundTrip(t *testing.T) {
	b, err := testVocab().Encode()
	if err != nil {
		t.Fatal(err)
	}
	// Two places in memory: where the numbers are aligned, so that views are possible, and where they are not.
	for _, shift := range []int{0, 1} {
		room := make([]uint64, len(b)/8+2)
		at := unsafe.Slice((*byte)(unsafe.Pointer(&room[0])), 8*len(room))[shift : shift+len(b)]
		copy(at, b)
		got, err := ParseVocabTable(at)
		if err != nil || !reflect.DeepEqual(got, testVocab()) {
			t.Fatalf("shift %d: %+v, %v", shift, got, err)
		}
		at[VocabHeadSize+4]++ // an offset
		if inPlace := got.Offsets[1] == 4; inPlace != (shift == 0 && littleEndian) {
			t.Errorf("shift %d: in place: %v", shift, inPlace)
		}
	}
}

func TestVocabTableRefuses(t *testing.T) {
	good, err := testVocab().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := ParseVocabTable(good[:n]); !errors.Is(err, errs.InvalidFormat) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, tc := range []struct {
		at   int
		to   byte
		want errs.Code
	}{
		{0, 0, errs.InvalidFormat},    // magic
		{4, 2, errs.Unsupported},      // version
		{8, 0, errs.InvalidFormat},    // size
		{23, 255, errs.InvalidFormat}, // tokens
		{31, 255, errs.InvalidFormat}, // scores
		{35, 255, errs.InvalidFormat}, // merges
		{39, 255, errs.InvalidFormat}, // ends
	} {
		b := append([]byte(nil), good...)
		b[tc.at] = tc.to
		if _, err := ParseVocabTable(b); !errors.Is(err, tc.want) {
			t.Errorf("byte %d is %d: %v", tc.at, tc.to, err)
		}
	}
	bad := testVocab()
	bad.Offsets = bad.Offsets[1:]
	if _, err := bad.Encode(); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("an offset is missing: %v", err)
	}
}

func FuzzParseVocabTable(f *testing.F) {
	b, err := testVocab().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseVocabTable(b)
		if err != nil {
			return
		}
		// What was parsed and is written again is the same, but for what the head reserves.
		again, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if b[76] == 0 && b[77] == 0 && b[78] == 0 && b[79] == 0 && string(again) != string(b) {
			t.Errorf("%x\nbecame\n%x", b, again)
		}
	})
}
