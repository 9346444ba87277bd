package gguf

import (
	"os"
	"syscall"
)

// Release gives the memory of the tensor's bytes back to the system, which reads them from the file again when they are
// next used. Only whole pages go; bytes that were read rather than mapped stay.
func (t *Tensor) Release() {
	if !t.part.copy {
		t.release()
	}
}

// Discard is Release for bytes that are not needed again: those of a Copy, which nothing could bring back, go too, and
// Data is nil from then on. Nothing else may use the tensor meanwhile.
func (t *Tensor) Discard() {
	t.release()
	t.gone = t.part.copy
}

func (t *Tensor) release() {
	if !t.part.mmap || t.part.data == nil {
		return
	}
	page := int64(os.Getpagesize())
	from, to := (t.Offset+page-1)/page*page, (t.Offset+t.Size)/page*page
	if from < to {
		// It is advice; without it the pages stay until the system wants them.
		_ = syscall.Madvise(t.part.data[from:to], syscall.MADV_DONTNEED)
	}
}
