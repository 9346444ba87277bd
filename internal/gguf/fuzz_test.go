package gguf

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"testing"
)

// goodFiles are small files that parse.
func goodFiles(tb testing.TB) [][]byte {
	return [][]byte{
		written(tb, nil, nil),
		written(tb, allKinds, nil),
		written(tb, []pair{{keyAlignment, uint32(8)}}, []tensor{
			{"a", F32, []uint64{3}, ramp(12, 1)},
			{"b", Q4_K, []uint64{256, 2}, ramp(288, 2)},
		}),
		enc("GGUF").u32(2).u64(0).u64(0),
		preamble(2, 0).tensor("a", I8, 32, 2).tensor("b", I8, 0, 1, 1, 1, 3).data(32, 34),
		preamble(0, 1).pair("nan", KindArray).array(KindFloat32, 2).u32(0x7f800001).u32(0xffc00000),
	}
}

// addSeeds gives a fuzz target the good files and every malformed one.
func addSeeds(f *testing.F) {
	for _, file := range goodFiles(f) {
		f.Add(file)
	}
	for _, tc := range malformed {
		f.Add([]byte(tc.file))
	}
	for _, a := range hostile {
		f.Add([]byte(a.file(2)))
	}
}

// FuzzParse parses anything. It must not panic, and a File that it gets must keep what Tensor and Value promise.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			if file != nil {
				t.Fatal("a File and an error")
			}
			return
		}
		for _, tensor := range file.Tensors() {
			blocks := tensor.Elements() / uint64(tensor.DType.BlockSize())
			if view := tensor.Data(); uint64(len(view)) != blocks*uint64(tensor.DType.BlockBytes()) ||
				tensor.Offset%int64(file.Alignment()) != 0 {
				t.Errorf("tensor %+v: %d bytes", tensor, len(view))
			}
		}
		for key, v := range file.Metadata() {
			n := 0
			for range v.Elements() {
				n++
			}
			if v.Any() == nil || n != v.Len() {
				t.Errorf("key %q: %v, %d elements of %d", key, v.Any(), n, v.Len())
			}
			file.String(key)
			file.Uint(key)
			file.Float(key)
			file.Bool(key)
			file.Strings(key)
			file.Floats(key)
			file.Ints(key)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
}

// FuzzRoundTrip writes what it could parse. That must parse to the same, and be written to the same bytes again.
func FuzzRoundTrip(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		once := rewritten(t, file)
		again := parsed(t, once)
		sameContent(t, again, file)
		if twice := rewritten(t, again); !bytes.Equal(once, twice) {
			t.Error("written twice, the file differs")
		}
	})
}

// rewritten is what Writer makes of a File.
func rewritten(tb testing.TB, f *File) []byte {
	tb.Helper()
	var meta []pair
	for key, v := range f.Metadata() {
		meta = append(meta, pair{key, v.Any()})
	}
	var tensors []tensor
	for _, t := range f.Tensors() {
		tensors = append(tensors, tensor{t.Name, t.DType, t.Shape, t.Data()})
	}
	return written(tb, meta, tensors)
}

// hostile makes files that hold or claim as much as possible in few bytes: file(n) is of the order of n bytes.
var hostile = []struct {
	name string
	file func(n int) enc
}{
	{"tensor count", func(n int) enc { return preamble(uint64(n/minTensor), 0).zeros(n) }},
	{"metadata count", func(n int) enc { return preamble(0, uint64(min(n/minMetadata, maxMetadata))).zeros(n) }},
	{"string length", func(n int) enc { return preamble(0, 1).pair("k", KindString).u64(uint64(n + 1)).zeros(n) }},
	{"array length", func(n int) enc { return preamble(0, 1).pair("k", KindArray).array(KindInt64, uint64(n)).zeros(n) }},
	{"tensors", func(n int) enc {
		n /= 32 + minTensor + 3
		e := preamble(uint64(n), 0)
		for i := range n {
			e = e.tensor(fmt.Sprintf("%x", i), I8, uint64(i*32), 1)
		}
		return e.data(32, 32*n)
	}},
	{"tensors unaligned", func(n int) enc {
		n = min(n/(minTensor+4), maxTensors)
		e := preamble(uint64(n), 1).pair(keyAlignment, KindUint32).u32(1)
		for i := range n {
			e = e.tensor(fmt.Sprintf("%x", i), I8, uint64(i), 1)
		}
		return e.data(1, n)
	}},
	{"metadata", func(n int) enc {
		n = min(n/(minMetadata+3), maxMetadata)
		e := preamble(0, uint64(n))
		for i := range n {
			e = e.pair(fmt.Sprintf("%x", i), KindUint8).u8(0)
		}
		return e
	}},
	{"empty strings", func(n int) enc {
		return preamble(0, 1).pair("k", KindArray).array(KindString, uint64(n/minString)).zeros(n)
	}},
	{"empty arrays", func(n int) enc {
		return preamble(0, 1).pair("k", KindArray).array(KindArray, uint64(n/minArray)).zeros(n)
	}},
	{"nested arrays", func(n int) enc {
		n /= 3*minArray + 1
		e := preamble(0, 1).pair("k", KindArray).array(KindArray, uint64(n))
		for range n {
			e = e.array(KindArray, 1).array(KindArray, 1).array(KindUint8, 1).u8(0)
		}
		return e
	}},
}

// allocated is how many bytes of heap do allocates, those that it frees again included.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemoryIsBounded parses hostile files and decodes all they hold. Parsing allocates at most parseFactor times the
// file's size, decoding decodeFactor times; both a little more for what does not depend on it.
func TestMemoryIsBounded(t *testing.T) {
	const parseFactor, decodeFactor, size, slack = 8, 5, 1 << 20, 64 << 10
	for _, tc := range hostile {
		data := []byte(tc.file(size))
		var f *File
		var err error
		parse := allocated(func() { f, err = Parse(data) })
		if limit := uint64(parseFactor*len(data) + slack); parse > limit {
			t.Errorf("%s: parsing %d bytes allocated %d, more than %d (%v)", tc.name, len(data), parse, limit, err)
		}
		var decode uint64
		if err == nil {
			decode = allocated(func() {
				for _, v := range f.Metadata() {
					v.Any()
				}
			})
		}
		if limit := uint64(decodeFactor*len(data) + slack); decode > limit {
			t.Errorf("%s: decoding %d bytes allocated %d, more than %d", tc.name, len(data), decode, limit)
		}
		t.Logf("%-18s parse %.2f, decode %.2f bytes per byte; %v", tc.name,
			float64(parse)/float64(len(data)), float64(decode)/float64(len(data)), err)
	}
}

// TestHugeCounts claims the most that a count can say in files of a few bytes.
func TestHugeCounts(t *testing.T) {
	for _, n := range []uint64{1 << 16, 1 << 17, 1 << 24, 1 << 26, math.MaxInt64, math.MaxUint64} {
		for name, file := range map[string]enc{
			"tensors":  preamble(n, 0),
			"metadata": preamble(0, n),
			"both":     preamble(n, n).zeros(40),
			"key":      preamble(0, 1).u64(n).zeros(40),
			"string":   preamble(0, 1).pair("k", KindString).u64(n).zeros(40),
			"numbers":  preamble(0, 1).pair("k", KindArray).array(KindFloat64, n).zeros(40),
			"strings":  preamble(0, 1).pair("k", KindArray).array(KindString, n).zeros(40),
			"arrays":   preamble(0, 1).pair("k", KindArray).array(KindArray, n).zeros(40),
		} {
			var err error
			if got := allocated(func() { _, err = Parse(file) }); got > 64<<10 || err == nil {
				t.Errorf("%s: a count of %d allocated %d bytes (%v)", name, n, got, err)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, path := range fixtures(b) {
		data := open(b, path, Options{}).Parts()[0].Bytes()
		b.Run(path[len(path)-20:], func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				parsed(b, data)
			}
		})
	}
}
