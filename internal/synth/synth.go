// Package synth owns synthetic models: GGUF files with seeded random weights in the exact shape of real models, for
// tests and benchmarks that must not depend on a download. It must not know what the weights are used for; the same
// seed gives the same bytes on every machine.
//
// Start at Write. shapes.go has the shapes, tensors.go the tensors that a shape asks for, weights.go the bytes of a
// tensor, and vocab.go small but complete vocabularies, so that text works end to end.
package synth

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
)

// Options are the free choices for a synthetic model.
type Options struct {
	Seed uint64 // of the weights
	// Progress, unless nil, is called from Write's goroutine as tensor bytes are produced.
	Progress func(done, total int64)
}

// Shapes lists the names that Write takes: the shapes of real models first, then tiny ones for tests.
func Shapes() []string {
	names := make([]string, 0, len(shapes))
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return names
}

// Write writes a model of the named shape to w as one GGUF file, holding one buffer of tensor data at a time. Errors:
// NotFound for an unknown shape, Canceled or DeadlineExceeded by ctx, IO where w fails.
func Write(ctx context.Context, w io.Writer, shape string, opts Options) error {
	i := slices.IndexFunc(shapes, func(s modelShape) bool { return s.name == shape })
	if i < 0 {
		return errs.Errorf(errs.NotFound, "synth: no shape %q; there are %s", shape, strings.Join(Shapes(), ", "))
	}
	s := &shapes[i]
	v := s.vocab()
	file := gguf.NewWriter()
	for _, pair := range s.metadata(v, opts.Seed) {
		if err := file.Set(pair.key, pair.value); err != nil {
			return errs.Wrap(err, "synth: "+shape)
		}
	}
	progress := &progress{ctx: ctx, report: opts.Progress}
	for _, t := range s.tensors(len(v.tokens)) {
		source := newWeights(t, opts.Seed, progress)
		progress.total += source.left
		if err := file.Add(t.name, gguf.DType(t.dtype), t.shape, source); err != nil {
			return errs.Wrap(err, "synth: "+shape)
		}
	}
	buffered := bufio.NewWriterSize(w, 1<<20)
	_, err := file.WriteTo(buffered)
	switch cause := ctx.Err(); {
	case errors.Is(cause, context.DeadlineExceeded):
		return errs.Errorf(errs.DeadlineExceeded, "synth: %s: %w", shape, cause)
	case cause != nil:
		return errs.Errorf(errs.Canceled, "synth: %s: %w", shape, cause)
	case err != nil:
		return errs.Wrap(err, "synth: "+shape)
	}
	if err := buffered.Flush(); err != nil {
		return errs.Errorf(errs.IO, "synth: %s: %w", shape, err)
	}
	return nil
}

// WriteFile is Write to a file, which appears under its name when it is complete and replaces one that was there.
func WriteFile(ctx context.Context, path, shape string, opts Options) error {
	// Beside the target, so that the rename stays inside one file system.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return errs.Errorf(errs.IO, "synth: %w", err)
	}
	defer os.Remove(file.Name()) // nothing is left to remove after the rename
	err = Write(ctx, file, shape, opts)
	if closing := file.Close(); err == nil && closing != nil {
		err = errs.Errorf(errs.IO, "synth: %w", closing)
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(file.Name(), 0o644); err != nil {
		return errs.Errorf(errs.IO, "synth: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return errs.Errorf(errs.IO, "synth: %w", err)
	}
	return nil
}

// progress counts the bytes of all tensors and carries the caller's wish to stop.
type progress struct {
	ctx         context.Context
	report      func(done, total int64)
	done, total int64
}

func (p *progress) add(n int) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	p.done += int64(n)
	if p.report != nil {
		p.report(p.done, p.total)
	}
	return nil
}
