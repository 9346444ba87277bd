package store

import (
	"context"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/realm-ai/realm/internal/kernel"
)

// imageWriter is an image that is being written. Its file is locked, so that one without a lock is known to be of a
// process that ended.
type imageWriter struct {
	f    *os.File
	plan *plan
	sums []uint32
}

// tempPattern is the name of unfinished images, for os.CreateTemp.
const tempPattern = "packing-*"

// createImage begins an image in the folder dir, which it makes.
func createImage(dir string, p *plan) (*imageWriter, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return nil, err
	}
	w := &imageWriter{f, p, make([]uint32, p.pieces())}
	if err := lock(f); err != nil {
		w.abandon()
		return nil, err
	}
	return w, nil
}

// abandon removes the file. A mapping of it goes on.
func (w *imageWriter) abandon() {
	_ = os.Remove(w.f.Name())
	_ = w.f.Close()
}

// publish gives a complete image the name under which others find it.
func (w *imageWriter) publish(path string, d Digest, name string) {
	_, err := w.f.WriteAt(w.plan.header(d, name, w.sums), 0)
	if err == nil {
		// Nobody writes to it again, not even by mistake: a mapping that shrinks ends the process.
		err = w.f.Chmod(0o444)
	}
	if err == nil {
		err = os.Rename(w.f.Name(), path)
	}
	if err != nil {
		w.abandon()
		return
	}
	_ = w.f.Close()
}

// span is what is packed at a time, and written while the next is packed.
const span = 2 * piece

// task is strips of a matrix to pack at an offset into a buffer.
type task struct{ matrix, first, n, at int }

// fill packs the matrices into the file: all of it but the head.
func (w *imageWriter) fill(ctx context.Context, pool *kernel.Pool, packed func(i int), progress func(done, total int64)) error {
	p := w.plan
	strip := 0
	for _, m := range p.matrices {
		_, size := m.Strips()
		strip = max(strip, size)
	}
	var buffers [2][]byte
	for i := range buffers {
		buffers[i] = make([]byte, max(span, int(p.head))+strip) // the last strip may end behind the span
	}
	written := make(chan error, 1)
	written <- nil
	var tasks []task
	base, at, done := int64(0), int(p.head), 0 // of the buffer in the file, in the buffer, and matrices released
	flush := func(matrices int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buffers[0]
		pool.Run(len(tasks), func(i int) {
			t := tasks[i]
			p.matrices[t.matrix].PackStrips(b[t.at:], t.first, t.n)
		})
		tasks = tasks[:0]
		for ; done < matrices; done++ {
			packed(done)
		}
		if err := <-written; err != nil {
			written <- err
			return err
		}
		n := min(at, span)
		go func(base int64) { written <- w.write(b[:n], base) }(base)
		copy(buffers[1], b[n:at])
		buffers[0], buffers[1] = buffers[1], buffers[0]
		base, at = base+int64(n), at-n
		if progress != nil {
			progress(max(0, base-p.head), p.size()-p.head)
		}
		return nil
	}
	err := error(nil)
	for i, m := range p.matrices {
		strips, size := m.Strips()
		for first := 0; first < strips && err == nil; {
			const most = 8 // strips of a task
			n := min(strips-first, most, (span-at+size-1)/size)
			tasks = append(tasks, task{i, first, n, at})
			first, at = first+n, at+n*size
			for at >= span && err == nil {
				matrices := i
				if first == strips {
					matrices++
				}
				err = flush(matrices)
			}
		}
	}
	if err == nil && at > 0 {
		err = flush(len(p.matrices))
	}
	if last := <-written; err == nil {
		err = last
	}
	return err
}

// write writes bytes that are whole pieces, or the end of the file.
func (w *imageWriter) write(b []byte, base int64) error {
	for at := 0; at < len(b); at += piece {
		end := min(at+piece, len(b))
		i := int((base + int64(at)) / piece)
		w.sums[i] = crc32.Checksum(w.plan.piece(b, base, i), castagnoli)
		if _, err := w.f.WriteAt(b[at:end], base+int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes unfinished images whose process ended.
func sweep(dir string) (removed int64) {
	names, _ := filepath.Glob(filepath.Join(dir, tempPattern))
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if info, err := f.Stat(); err == nil && lock(f) == nil && os.Remove(name) == nil {
			removed += info.Size()
		}
		_ = f.Close()
	}
	return removed
}
