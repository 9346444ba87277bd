package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

// splitMeta is the metadata that llama.cpp's gguf-split gives the part with index no.
func splitMeta(no, count uint16, tensors int32) []pair {
	return []pair{{keySplitNo, no}, {keySplitCount, count}, {keySplitTensors, tensors}}
}

// split is a model in parts, by file name.
type split map[string][]byte

// splitModel makes a model of four tensors in three parts, and the same model whole.
func splitModel(t *testing.T) (parts split, whole *File) {
	tensors := make([]tensor, 4)
	for i := range tensors {
		tensors[i] = tensor{fmt.Sprintf("blk.%d.weight", i), Q8_0, []uint64{32, uint64(i + 1)}, ramp(34*(i+1), byte(i))}
	}
	general := []pair{{"general.architecture", "test"}, {"tokenizer.ggml.tokens", []string{"a", "b"}}}
	parts = split{
		"m-00001-of-00003.gguf": written(t, append(general, splitMeta(0, 3, 4)...), tensors[:1]),
		"m-00002-of-00003.gguf": written(t, splitMeta(1, 3, 4), tensors[1:3]),
		"m-00003-of-00003.gguf": written(t, splitMeta(2, 3, 4), tensors[3:]),
	}
	return parts, parsed(t, written(t, append(general, splitMeta(0, 1, 4)...), tensors))
}

// save writes the parts to a new directory.
func (s split) save(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range s {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSplit(t *testing.T) {
	parts, whole := splitModel(t)
	dir := parts.save(t)
	for _, opts := range []Options{{}, {NoMmap: true}} {
		f := open(t, filepath.Join(dir, "m-00001-of-00003.gguf"), opts)
		size := 0
		for i, part := range f.Parts() {
			data := parts[fmt.Sprintf("m-%05d-of-00003.gguf", i+1)]
			size += len(data)
			if len(part.Bytes()) != len(data) {
				t.Errorf("part %d: %s has %d bytes, want %d", i, part.Path, len(part.Bytes()), len(data))
			}
		}
		if len(f.Parts()) != 3 || f.Size() != int64(size) {
			t.Errorf("%d parts of %d bytes, want 3 of %d", len(f.Parts()), f.Size(), size)
		}
		for i, wantPart := range []int{0, 1, 1, 2} {
			if got := f.Tensors()[i]; got.Part != wantPart || &got.Data()[0] != &f.Parts()[wantPart].Bytes()[got.Offset] {
				t.Errorf("tensor %d is in part %d at %d", i, got.Part, got.Offset)
			}
		}
		if n, _ := f.Uint(keySplitCount); n != 3 {
			t.Errorf("the first part's metadata says %d parts", n)
		}
		// But for the number of parts all is as in the whole file.
		for i := range whole.meta {
			if whole.meta[i].key == keySplitCount {
				whole.header[whole.meta[i].start] = 3
			}
		}
		sameContent(t, f, whole)
	}
}

// TestSplitFirstEmpty follows gguf-split --no-tensor-first-split, and opens a split of one part.
func TestSplitFirstEmpty(t *testing.T) {
	one := tensor{"t", I8, []uint64{1}, []byte{7}}
	dir := split{
		"a-b-00001-of-00002.gguf": written(t, splitMeta(0, 2, 1), nil),
		"a-b-00002-of-00002.gguf": written(t, splitMeta(1, 2, 1), []tensor{one}),
		"c-00001-of-00001.gguf":   written(t, splitMeta(0, 1, 1), []tensor{one}),
	}.save(t)
	for _, name := range []string{"a-b-00001-of-00002.gguf", "c-00001-of-00001.gguf"} {
		f := open(t, filepath.Join(dir, name), Options{})
		if got, ok := f.Tensor("t"); !ok || got.Data()[0] != 7 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSplitErrors(t *testing.T) {
	const first, second = "m-00001-of-00003.gguf", "m-00002-of-00003.gguf"
	one := []tensor{{"blk.9.weight", I8, []uint64{1}, []byte{7}}}
	cases := []struct {
		name   string
		change func(s split)
		open   string
		code   errs.Code
		want   string // with the directory left out
	}{
		{
			"missing part", func(s split) { delete(s, second) }, first, errs.NotFound,
			`gguf: part 2 of 3: open m-00002-of-00003.gguf: no such file or directory`,
		},
		{
			"malformed part", func(s split) { s[second] = s[second][:100] }, first, errs.InvalidFormat,
			`gguf: part 2 of 3: key "split.tensors.count": value type: past end of file`,
		},
		{
			"not the first part", func(split) {}, second, errs.InvalidArgument,
			`gguf: m-00002-of-00003.gguf: part 2 of 3: open m-00001-of-00003.gguf instead`,
		},
		{
			"another name", func(s split) { s["m.gguf"] = s[first] }, "m.gguf", errs.InvalidArgument,
			`gguf: m.gguf: part 1 of 3, but the name does not end in -00001-of-00003.gguf`,
		},
		{
			"another number in the name", func(s split) { s["m-00001-of-00002.gguf"] = s[first] }, "m-00001-of-00002.gguf",
			errs.InvalidArgument,
			`gguf: m-00001-of-00002.gguf: part 1 of 3, but the name does not end in -00001-of-00003.gguf`,
		},
		{
			"no number in the first part", func(s split) { s[first] = written(t, splitMeta(0, 3, 4)[1:], nil) }, first,
			errs.InvalidFormat, `gguf: key "split.no": missing or not a count`,
		},
		{
			"too many parts",
			func(s split) {
				s[first] = written(t, []pair{{keySplitNo, uint16(0)}, {keySplitCount, uint16(1025)}}, nil)
			},
			first, errs.LimitExceeded, `gguf: key "split.count": 1025 parts: more than 1024`,
		},
		{
			"no number", func(s split) { s[second] = written(t, nil, one) }, first, errs.InvalidFormat,
			`gguf: part 2 of 3: key "split.no": missing or not a count`,
		},
		{
			"wrong number", func(s split) { s[second] = written(t, splitMeta(2, 3, 4), one) }, first, errs.InvalidFormat,
			`gguf: part 2 of 3: key "split.no": 2 instead of 1`,
		},
		{
			"wrong number of parts", func(s split) { s[second] = written(t, splitMeta(1, 2, 4), one) }, first,
			errs.InvalidFormat, `gguf: part 2 of 3: key "split.count": 2 instead of 3`,
		},
		{
			"wrong number of tensors", func(s split) { s[second] = written(t, splitMeta(1, 3, 4), one) }, first,
			errs.InvalidFormat, `gguf: key "split.tensors.count": 4 tensors, but the parts have 3`,
		},
		{
			"no number of tensors", func(s split) { s[first] = written(t, splitMeta(0, 3, 4)[:2], nil) }, first,
			errs.InvalidFormat, `gguf: key "split.tensors.count": missing or not a count`,
		},
		{
			"negative number of tensors", func(s split) { s[first] = written(t, splitMeta(0, 3, -1), nil) }, first,
			errs.InvalidFormat, `gguf: key "split.tensors.count": missing or not a count`,
		},
		{
			"duplicate tensor", func(s split) {
				s[second] = written(t, splitMeta(1, 3, 4), []tensor{{"blk.0.weight", I8, []uint64{1}, []byte{7}}})
			}, first, errs.InvalidFormat, `gguf: part 2 of 3: tensor "blk.0.weight": duplicate name`,
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			parts, _ := splitModel(t)
			tc.change(parts)
			t.Chdir(parts.save(t))
			_, err := Open(tc.open)
			if err == nil || err.Error() != tc.want || !errors.Is(err, tc.code) {
				t.Errorf("got  %v: %v\nwant %v: %s", errs.CodeOf(err).Name(), err, tc.code.Name(), tc.want)
			}
			if errors.Is(err, fs.ErrNotExist) != (tc.code == errs.NotFound) {
				t.Errorf("%v: wrong about a missing file", err)
			}
		})
	}
}
