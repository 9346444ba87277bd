package gguf

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/realm-ai/realm/internal/errs"
)

// Options change how Open reads a file. The zero value is what Open uses.
type Options struct {
	// NoMmap reads the whole file into memory instead of mapping it, as happens where there is no mmap. It protects
	// against a file that changes or shrinks while open, at the price of the memory.
	NoMmap bool
}

// Open opens the model at path, memory-mapped where the platform and the file system can. Of a split model, path must
// name the first part, PREFIX-00001-of-0000N.gguf; the others are found beside it.
//
// The file must not be written to or truncated while it is open: a mapping shows such changes, and reading past a new
// end of file ends the process with SIGBUS. Options.NoMmap is there for files that may change.
//
// Errors: NotFound for a missing file or part, IO if the system fails, InvalidFormat, Unsupported and LimitExceeded for
// what the file holds, InvalidArgument for a part that is not the first.
func Open(path string) (*File, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options.
func OpenWith(path string, opts Options) (*File, error) {
	f, err := openAll(path, opts)
	if err != nil {
		return nil, errs.Wrap(err, "gguf")
	}
	// The mapping goes away with Close, metadata should not: keep the few megabytes of header on the heap.
	f.header = bytes.Clone(f.header)
	return f, nil
}

// Parse parses a model held in memory. It copies neither metadata values nor tensor data, so data must not change while
// the File is in use. One part of a split model is not a model: that is an InvalidArgument. Other errors are as in
// Open.
func Parse(data []byte) (*File, error) { return parseWhole(&Part{Size: int64(len(data)), data: data}) }

// parseWhole makes a File of a part that is no split model's.
func parseWhole(part *Part) (*File, error) {
	f, err := parseFile(part)
	if err == nil {
		if count, split := f.splitCount(); split {
			err = errs.Errorf(errs.InvalidArgument, "one of %d parts of a split model: open the first by its path", count)
		}
	}
	if err != nil {
		return nil, errs.Wrap(err, "gguf")
	}
	return f, nil
}

// Copy parses a copy of a model in memory, outside the Go heap where the platform can. Nothing refers to data afterwards.
// Errors are as in Parse.
func Copy(data []byte) (*File, error) {
	part := &Part{Size: int64(len(data))}
	if memory, err := mapMemory(len(data)); err == nil {
		part.data, part.mmap, part.copy = memory, true, true
	} else if errors.Is(err, errors.ErrUnsupported) {
		part.data = make([]byte, len(data))
	} else {
		return nil, errs.Errorf(errs.OutOfMemory, "gguf: %d bytes of memory: %w", len(data), err)
	}
	copy(part.data, data)
	f, err := parseWhole(part)
	if err != nil {
		return nil, abandon(err, part)
	}
	f.header = bytes.Clone(f.header)
	return f, nil
}

// openAll opens the file at path and the other parts of a split model. On failure nothing stays open.
func openAll(path string, opts Options) (*File, error) {
	part, err := openPart(path, opts)
	if err != nil {
		return nil, err
	}
	f, err := parseFile(part)
	if err != nil {
		return nil, abandon(err, part)
	}
	if count, split := f.splitCount(); split {
		if err := f.openOthers(path, count, opts); err != nil {
			return nil, abandon(err, f.parts...)
		}
	}
	return f, nil
}

// abandon closes the parts of a model that cannot be opened because of err.
func abandon(err error, parts ...*Part) error {
	for _, p := range parts {
		if cerr := p.close(); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}
	return err
}

// openPart maps or reads one file.
func openPart(path string, opts Options) (*Part, error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errs.Errorf(errs.NotFound, "%w", err)
		}
		return nil, errs.Errorf(errs.IO, "%w", err)
	}
	defer file.Close() // a mapping outlives its descriptor
	info, err := file.Stat()
	if err != nil {
		return nil, errs.Errorf(errs.IO, "%w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, errs.Errorf(errs.InvalidArgument, "%s: not a regular file", path)
	}
	if info.Size() > math.MaxInt {
		return nil, errs.Errorf(errs.LimitExceeded, "%s: %d bytes: more than this platform can address", path, info.Size())
	}
	part := &Part{Path: path, Info: info, Size: info.Size()}
	size := int(info.Size())
	if size > 0 && !opts.NoMmap {
		part.data, err = mapFile(file, size)
		switch {
		case err == nil:
			part.mmap = true
			return part, nil
		case !errors.Is(err, errors.ErrUnsupported):
			return nil, errs.Errorf(errs.IO, "%s: mmap: %w", path, err)
		}
	}
	part.data = make([]byte, size)
	if _, err := io.ReadFull(file, part.data); err != nil {
		return nil, errs.Errorf(errs.IO, "%s: read: %w", path, err)
	}
	return part, nil
}

// close lets go of the part's bytes.
func (p *Part) close() error {
	data := p.data
	p.data = nil
	if !p.mmap || data == nil {
		return nil
	}
	return unmap(data)
}

// Close unmaps the file. Closing twice is safe. Views of tensors and parts must no longer be in use, in any goroutine:
// touching one afterwards ends the process.
func (f *File) Close() error {
	var err error
	f.closing.Do(func() { err = f.closeParts() })
	if err != nil {
		return errs.Errorf(errs.IO, "gguf: close: %w", err)
	}
	return nil
}

func (f *File) closeParts() error {
	var all []error
	for _, p := range f.parts {
		all = append(all, p.close())
	}
	return errors.Join(all...)
}
