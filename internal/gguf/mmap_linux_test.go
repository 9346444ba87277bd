package gguf

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// resident is how many bytes of the mappings of files below dir are in this process's memory, and how many mappings
// there are, as /proc/self/smaps says.
func resident(t *testing.T, dir string) (bytes int64, mappings int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	pattern := regexp.MustCompile(`(?m)^[0-9a-f]+-[0-9a-f]+ .* ` + regexp.QuoteMeta(dir) +
		`.*\n(?:[A-Z]\w+: .*\n)*?Rss: +(\d+) kB`)
	for _, m := range pattern.FindAllSubmatch(smaps, -1) {
		kb, err := strconv.ParseInt(string(m[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		bytes += kb << 10
		mappings++
	}
	return bytes, mappings
}

// sparse writes a model of one tensor of 668 MB, of which the disk holds the header only.
func sparse(tb testing.TB) string {
	tb.Helper()
	w := NewWriter()
	tokens := make([]string, 32000)
	for i := range tokens {
		tokens[i] = strings.Repeat("x", i%12)
	}
	if err := w.Set("tokenizer.ggml.tokens", tokens); err != nil {
		tb.Fatal(err)
	}
	if err := w.Add("t", I8, []uint64{668_000_000}, nil); err != nil {
		tb.Fatal(err)
	}
	header := w.header()
	path := save(tb, "sparse.gguf", header)
	if err := os.Truncate(path, alignUp(int64(len(header)), w.alignment)+w.next); err != nil {
		tb.Fatal(err)
	}
	return path
}

// TestOpenTouchesHeaderOnly opens a large file and counts the pages that it has read.
func TestOpenTouchesHeaderOnly(t *testing.T) {
	path := sparse(t)
	f := open(t, path, Options{})
	// The kernel maps up to 64 KiB around each page that is touched.
	limit := int64(len(f.header)) + 256<<10
	if got, n := resident(t, filepath.Dir(path)); n != 1 || got > limit {
		t.Errorf("%d mappings with %d resident bytes after opening %d bytes with a header of %d",
			n, got, f.Size(), len(f.header))
	}
}

// TestFailedOpenUnmaps opens models whose second part is wrong in one way or another.
func TestFailedOpenUnmaps(t *testing.T) {
	one := []tensor{{"t", I8, []uint64{1}, []byte{7}}}
	first := written(t, splitMeta(0, 3, 2), one)
	again := written(t, splitMeta(1, 3, 2), one)
	for name, parts := range map[string]split{
		"malformed":  {"m-00001-of-00001.gguf": first[:50]},
		"missing":    {"m-00001-of-00003.gguf": first},
		"misnamed":   {"m-00001-of-00001.gguf": first},
		"cut":        {"m-00001-of-00003.gguf": first, "m-00002-of-00003.gguf": first[:50]},
		"not second": {"m-00001-of-00003.gguf": first, "m-00002-of-00003.gguf": first},
		"duplicate":  {"m-00001-of-00003.gguf": first, "m-00002-of-00003.gguf": again},
	} {
		dir := parts.save(t)
		for file := range parts {
			if _, err := Open(filepath.Join(dir, file)); err == nil {
				t.Errorf("%s: %s opens", name, file)
			}
		}
		if _, n := resident(t, dir); n != 0 {
			t.Errorf("%s: %d mappings left", name, n)
		}
	}
}

// BenchmarkOpenSparse opens a file of 668 MB.
func BenchmarkOpenSparse(b *testing.B) {
	path := sparse(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
