package gguf

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
)

// A split model is written by llama.cpp's gguf-split as files PREFIX-00001-of-0000N.gguf. The first part has the
// model's metadata, and every part says in its own which part it is (split.no, from 0), of how many (split.count), and
// how many tensors all of them have together (split.tensors.count).

// splitName is the name of a part, counted from 1.
func splitName(prefix string, number, count uint64) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, number, count)
}

// splitCount is the number of parts that the metadata speaks of, and whether that is more than one.
func (f *File) splitCount() (count uint64, split bool) {
	count, _ = f.Uint(keySplitCount)
	return count, count > 1
}

// openOthers opens parts 2 to count of the model whose first part f has from path.
func (f *File) openOthers(path string, count uint64, opts Options) error {
	if count > maxParts {
		return errs.Errorf(errs.LimitExceeded, "key %q: %d parts: more than %d", keySplitCount, count, maxParts)
	}
	no, ok := f.Uint(keySplitNo)
	if !ok {
		return errs.Errorf(errs.InvalidFormat, "key %q: missing or not a count", keySplitNo)
	}
	dir, base := filepath.Split(path)
	prefix, ok := strings.CutSuffix(base, splitName("", no+1, count))
	if !ok {
		return errs.Errorf(errs.InvalidArgument, "%s: part %d of %d, but the name does not end in %s",
			path, no+1, count, splitName("", no+1, count))
	}
	if no != 0 {
		return errs.Errorf(errs.InvalidArgument, "%s: part %d of %d: open %s instead",
			path, no+1, count, splitName(prefix, 1, count))
	}
	for i := uint64(1); i < count; i++ {
		if err := f.openOther(filepath.Join(dir, splitName(prefix, i+1, count)), i, count, opts); err != nil {
			return errs.Wrap(err, fmt.Sprintf("part %d of %d", i+1, count))
		}
	}
	total, ok := f.Uint(keySplitTensors)
	if !ok {
		return errs.Errorf(errs.InvalidFormat, "key %q: missing or not a count", keySplitTensors)
	}
	if total != uint64(len(f.tensors)) {
		return errs.Errorf(errs.InvalidFormat, "key %q: %d tensors, but the parts have %d",
			keySplitTensors, total, len(f.tensors))
	}
	return nil
}

// openOther opens the part with index i and adds its tensors.
func (f *File) openOther(path string, i, count uint64, opts Options) error {
	part, err := openPart(path, opts)
	if err != nil {
		return err
	}
	other, err := parseFile(part)
	if err == nil {
		err = other.checkSplit(i, count)
	}
	if err == nil {
		err = f.addPart(other)
	}
	if err != nil {
		return abandon(err, part)
	}
	return nil
}

// checkSplit checks that a file's metadata says that it is the part with index i of count.
func (f *File) checkSplit(i, count uint64) error {
	for _, want := range []struct {
		key   string
		value uint64
	}{{keySplitNo, i}, {keySplitCount, count}} {
		got, ok := f.Uint(want.key)
		if !ok {
			return errs.Errorf(errs.InvalidFormat, "key %q: missing or not a count", want.key)
		}
		if got != want.value {
			return errs.Errorf(errs.InvalidFormat, "key %q: %d instead of %d", want.key, got, want.value)
		}
	}
	return nil
}
