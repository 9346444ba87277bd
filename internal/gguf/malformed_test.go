package gguf

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

// malformed holds one file for each way to be wrong, with the error it gets. The fuzz targets start from these.
var malformed = []struct {
	name string
	file enc
	code errs.Code
	want string
}{
	{"empty", nil, errs.InvalidFormat, `gguf: magic: past end of file`},
	{"magic", enc("GGML").u32(3), errs.InvalidFormat, `gguf: magic "GGML": not a GGUF file`},
	{"no version", enc("GGUF").u8(3), errs.InvalidFormat, `gguf: version: past end of file`},
	{"version 0", enc("GGUF").u32(0), errs.Unsupported, `gguf: version 0: neither 2 nor 3`},
	{"version 1", enc("GGUF").u32(1), errs.Unsupported, `gguf: version 1: neither 2 nor 3`},
	{"version 4", enc("GGUF").u32(4), errs.Unsupported, `gguf: version 4: neither 2 nor 3`},
	{"big-endian", enc("GGUF").u32(3 << 24), errs.Unsupported, `gguf: version 3: big-endian file`},
	{"no tensor count", enc("GGUF").u32(3).u32(0), errs.InvalidFormat, `gguf: tensor count: past end of file`},
	{"no metadata count", enc("GGUF").u32(3).u64(0), errs.InvalidFormat, `gguf: metadata count: past end of file`},
	{
		"tensor count limit", preamble(maxTensors+1, 0), errs.LimitExceeded,
		`gguf: tensor count 131073: more than 131072`,
	},
	{"tensor count", preamble(1, 0), errs.InvalidFormat, `gguf: tensor count 1: past end of file`},
	{
		"tensor count after metadata", preamble(1, 1).pair("k", KindString).str(strings.Repeat("x", 40)),
		errs.InvalidFormat, `gguf: tensor count 1: past end of file`,
	},
	{
		"metadata count limit", preamble(0, math.MaxUint64), errs.LimitExceeded,
		`gguf: metadata count 18446744073709551615: more than 65536`,
	},
	{"metadata count", preamble(0, 2).zeros(27), errs.InvalidFormat, `gguf: metadata count 2: past end of file`},

	// Keys.
	{
		"no key", preamble(0, 2).pair("a.long.key", KindUint8).u8(1).zeros(7), errs.InvalidFormat,
		`gguf: metadata 1: key: string length: past end of file`,
	},
	{"empty key", preamble(0, 1).zeros(16), errs.InvalidFormat, `gguf: metadata 0: key: empty`},
	{
		"key length", preamble(0, 1).u64(100).zeros(16), errs.InvalidFormat,
		`gguf: metadata 0: key: string length 100: past end of file`,
	},
	{
		"key length limit", preamble(0, 1).u64(1 << 16).zeros(16), errs.LimitExceeded,
		`gguf: metadata 0: key: string length 65536: more than 65535`,
	},
	{
		"key UTF-8", preamble(0, 1).pair("a\xff", KindUint8).u8(1), errs.InvalidFormat,
		`gguf: metadata 0: key: "a\xff": invalid UTF-8`,
	},
	{
		"duplicate key", preamble(0, 2).pair("k", KindUint8).u8(1).pair("k", KindUint8).u8(1), errs.InvalidFormat,
		`gguf: key "k": duplicate`,
	},
	{
		"long key in a message", preamble(0, 1).pair(strings.Repeat("k", 70), 13).u8(0), errs.InvalidFormat,
		`gguf: key "` + strings.Repeat("k", 64) + `"...: value type 13: unknown`,
	},

	// Values.
	{
		"no kind", preamble(0, 1).str("key.of.a").u8(0), errs.InvalidFormat,
		`gguf: key "key.of.a": value type: past end of file`,
	},
	{"kind", preamble(0, 1).pair("k", 13).u8(0), errs.InvalidFormat, `gguf: key "k": value type 13: unknown`},
	{"no value", preamble(0, 1).pair("k", KindUint64).u32(0), errs.InvalidFormat, `gguf: key "k": past end of file`},
	{"bool", preamble(0, 1).pair("k", KindBool).u8(2), errs.InvalidFormat, `gguf: key "k": bool 2: neither 0 nor 1`},
	{
		"string length", preamble(0, 1).pair("k", KindString).u64(9).u64(0), errs.InvalidFormat,
		`gguf: key "k": string length 9: past end of file`,
	},
	{
		"string length limit", preamble(0, 1).pair("k", KindString).u64(math.MaxUint64), errs.LimitExceeded,
		`gguf: key "k": string length 18446744073709551615: more than 67108864`,
	},
	{
		"no array", preamble(0, 1).pair("k", KindArray).u8(0), errs.InvalidFormat,
		`gguf: key "k": array element type: past end of file`,
	},
	{
		"array kind", preamble(0, 1).pair("k", KindArray).array(99, 0), errs.InvalidFormat,
		`gguf: key "k": array element type 99: unknown`,
	},
	{
		"array length", preamble(0, 1).pair("k", KindArray).array(KindInt64, 2).u64(0).u32(0), errs.InvalidFormat,
		`gguf: key "k": array length 2: past end of file`,
	},
	{
		"array length limit", preamble(0, 1).pair("k", KindArray).array(KindUint8, maxArray+1), errs.LimitExceeded,
		`gguf: key "k": array length 16777217: more than 16777216`,
	},
	{
		"array of bools", preamble(0, 1).pair("k", KindArray).array(KindBool, 3).u8(0).u8(1).u8(255), errs.InvalidFormat,
		`gguf: key "k": bool 255: neither 0 nor 1`,
	},
	{
		"array of strings", preamble(0, 1).pair("k", KindArray).array(KindString, 2).str("ab").u64(1),
		errs.InvalidFormat, `gguf: key "k": element 1: string length 1: past end of file`,
	},
	{
		"nested array", preamble(0, 1).pair("k", KindArray).array(KindArray, 2).array(KindUint8, 0).
			array(KindUint16, 1), errs.InvalidFormat,
		`gguf: key "k": element 1: array length 1: past end of file`,
	},
	{
		"nested too deep", preamble(0, 1).pair("k", KindArray).array(KindArray, 1).array(KindArray, 1).
			array(KindArray, 1).array(KindArray, 1).array(KindUint8, 0), errs.LimitExceeded,
		`gguf: key "k": element 0: element 0: element 0: element 0: arrays nested more than 4 deep`,
	},

	// Alignment.
	{
		"alignment kind", preamble(0, 1).pair(keyAlignment, KindUint64).u64(32), errs.InvalidFormat,
		`gguf: key "general.alignment": u64 instead of u32`,
	},
	{
		"alignment 0", preamble(0, 1).pair(keyAlignment, KindUint32).u32(0), errs.InvalidFormat,
		`gguf: key "general.alignment": 0: not a power of two`,
	},
	{
		"alignment 48", preamble(0, 1).pair(keyAlignment, KindUint32).u32(48), errs.InvalidFormat,
		`gguf: key "general.alignment": 48: not a power of two`,
	},

	// Tensor descriptions.
	{"empty tensor name", preamble(1, 0).zeros(40), errs.InvalidFormat, `gguf: tensor 0: name: empty`},
	{
		"tensor name UTF-8", preamble(1, 0).tensor("\xc0\x80", F32, 0, 1), errs.InvalidFormat,
		`gguf: tensor 0: name: "\xc0\x80": invalid UTF-8`,
	},
	{
		"tensor name limit", preamble(1, 0).tensor(strings.Repeat("n", maxName+1), F32, 0, 1), errs.LimitExceeded,
		`gguf: tensor 0: name: string length 257: more than 256`,
	},
	{
		"no dimensions", preamble(1, 0).tensor("t", F32, 0).zeros(8), errs.InvalidFormat,
		`gguf: tensor "t": 0 dimensions: not 1 to 4`,
	},
	{
		"five dimensions", preamble(1, 0).tensor("t", F32, 0, 1, 1, 1, 1, 1).data(32, 4), errs.InvalidFormat,
		`gguf: tensor "t": 5 dimensions: not 1 to 4`,
	},
	{
		"dimensions cut", preamble(1, 0).str("a.longer.name.of.a.tensor").u8(1), errs.InvalidFormat,
		`gguf: tensor "a.longer.name.of.a.tensor": dimensions: past end of file`,
	},
	{
		"shape cut", preamble(1, 0).str("t").u32(4).zeros(31), errs.InvalidFormat,
		`gguf: tensor "t": shape: past end of file`,
	},
	{
		"dtype cut", preamble(1, 0).str("t").u32(3).u64(1).u64(1).u64(1).u8(0), errs.InvalidFormat,
		`gguf: tensor "t": dtype: past end of file`,
	},
	{
		"offset cut", preamble(1, 0).str("t").u32(2).u64(1).u64(1).u32(0).u32(0), errs.InvalidFormat,
		`gguf: tensor "t": offset: past end of file`,
	},
	{
		"unknown dtype", preamble(1, 0).tensor("t", 99, 0, 32).data(32, 32), errs.Unsupported,
		`gguf: tensor "t": dtype 99: unknown`,
	},
	{
		"huge dtype", preamble(1, 0).tensor("t", math.MaxUint32, 0, 32).data(32, 32), errs.Unsupported,
		`gguf: tensor "t": dtype 4294967295: unknown`,
	},
	{
		"withdrawn dtype", preamble(1, 0).tensor("t", 31, 0, 32).data(32, 32), errs.Unsupported,
		`gguf: tensor "t": dtype Q4_0_4_4: withdrawn from ggml`,
	},
	{
		"row length", preamble(1, 0).tensor("t", Q4_K, 0, 128, 2).data(32, 144), errs.InvalidFormat,
		`gguf: tensor "t": shape [128 2]: rows are not a multiple of the 256 weights in a block of Q4_K`,
	},
	{
		"zero dimension", preamble(1, 0).tensor("t", F32, 0, 4, 0).data(32, 4), errs.InvalidFormat,
		`gguf: tensor "t": shape [4 0]: a dimension is zero`,
	},
	{
		"zero row", preamble(1, 0).tensor("t", Q4_0, 0, 0, 4).data(32, 4), errs.InvalidFormat,
		`gguf: tensor "t": shape [0 4]: a dimension is zero`,
	},
	{
		"size overflow", preamble(1, 0).tensor("t", F32, 0, 1<<32, 1<<32).data(32, 4), errs.InvalidFormat,
		`gguf: tensor "t": shape [4294967296 4294967296]: size overflows`,
	},
	{
		"size over 63 bits", preamble(1, 0).tensor("t", I8, 0, 1<<31, 1<<32).data(32, 4), errs.InvalidFormat,
		`gguf: tensor "t": shape [2147483648 4294967296]: size overflows`,
	},
	{
		"size wraps to a small one", preamble(1, 0).tensor("t", F32, 0, 1<<62+1).data(32, 4), errs.InvalidFormat,
		`gguf: tensor "t": shape [4611686018427387905]: size overflows`,
	},

	// Layout.
	{
		"offset past end", preamble(1, 0).tensor("blk.3.attn_q.weight", F32, 0x1f00, 8).data(32, 32), errs.InvalidFormat,
		`gguf: tensor "blk.3.attn_q.weight": offset 0x1f00: past end of file`,
	},
	{
		"offset beyond int64", preamble(1, 0).tensor("t", F32, 1<<63, 8).data(32, 32), errs.InvalidFormat,
		`gguf: tensor "t": offset 0x8000000000000000: past end of file`,
	},
	{
		"offset wraps", preamble(1, 0).tensor("t", F32, math.MaxUint64-31, 8).data(32, 32), errs.InvalidFormat,
		`gguf: tensor "t": offset 0xffffffffffffffe0: past end of file`,
	},
	{
		"offset not aligned", preamble(1, 0).tensor("t", F32, 16, 4).data(32, 64), errs.InvalidFormat,
		`gguf: tensor "t": offset 0x10: not a multiple of the alignment 32`,
	},
	{
		"offset not aligned to the file's", preamble(1, 1).pair(keyAlignment, KindUint32).u32(64).
			tensor("t", F32, 32, 4).data(64, 64), errs.InvalidFormat,
		`gguf: tensor "t": offset 0x20: not a multiple of the alignment 64`,
	},
	{
		"data cut", preamble(1, 0).tensor("t", F32, 0, 8).data(32, 31), errs.InvalidFormat,
		`gguf: tensor "t": offset 0x0: past end of file`,
	},
	{
		"no data", preamble(1, 0).tensor("t", F32, 0, 8), errs.InvalidFormat,
		`gguf: tensor "t": offset 0x0: past end of file`,
	},
	{
		"data of the second cut", preamble(2, 0).tensor("a", F32, 0, 8).tensor("b", F32, 32, 16).data(32, 64),
		errs.InvalidFormat, `gguf: tensor "b": offset 0x20: past end of file`,
	},
	{
		"overlap", preamble(2, 0).tensor("a", F32, 0, 9).tensor("b", F32, 32, 8).data(32, 64), errs.InvalidFormat,
		`gguf: tensor "b": overlaps tensor "a"`,
	},
	{
		"overlap out of order", preamble(3, 0).tensor("a", F32, 64, 8).tensor("b", F32, 0, 8).
			tensor("c", F32, 32, 16).data(32, 96), errs.InvalidFormat,
		`gguf: tensor "a": overlaps tensor "c"`,
	},
	{
		"same offset", preamble(2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 0, 1).data(32, 64), errs.InvalidFormat,
		`gguf: tensor "b": overlaps tensor "a"`,
	},
	{
		"duplicate tensor", preamble(2, 0).tensor("a", F32, 0, 8).tensor("a", F32, 32, 8).data(32, 64),
		errs.InvalidFormat, `gguf: tensor "a": duplicate name`,
	},

	// Split models.
	{
		"part of a split model", preamble(0, 1).pair(keySplitCount, KindUint16).u8(3).u8(0), errs.InvalidArgument,
		`gguf: one of 3 parts of a split model: open the first by its path`,
	},
}

func TestMalformed(t *testing.T) {
	for _, tc := range malformed {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(tc.file)
			if err == nil {
				t.Fatal("parsed")
			}
			if err.Error() != tc.want || !errors.Is(err, tc.code) {
				t.Errorf("got  %v: %v\nwant %v: %s", errs.CodeOf(err).Name(), err, tc.code.Name(), tc.want)
			}
		})
	}
}

// TestTruncated cuts a good file at every byte. What remains must be refused, unless only padding is missing.
func TestTruncated(t *testing.T) {
	file := written(t, allKinds, []tensor{
		{"a", F32, []uint64{3}, ramp(12, 1)},
		{"b", Q8_0, []uint64{32, 2}, ramp(68, 2)},
	})
	for n := range len(file) {
		f, err := Parse(file[:n])
		switch {
		case err == nil && n < len(file)-28: // 68 bytes of data are padded to 96
			t.Errorf("%d of %d bytes parsed", n, len(file))
		case err != nil && errs.CodeOf(err) != errs.InvalidFormat:
			t.Errorf("%d of %d bytes: %v", n, len(file), err)
		case err != nil && f != nil:
			t.Errorf("%d of %d bytes: a File and an error", n, len(file))
		}
	}
}

func TestHeaderLimit(t *testing.T) {
	r := reader{data: make([]byte, 8), cut: true}
	if _, err := r.take(9); !errors.Is(err, errs.LimitExceeded) {
		t.Errorf("reading past the header's limit: %v", err)
	}
}
