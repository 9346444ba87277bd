package model

import (
	"context"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
)

// Pack copies the matrices into memory in the order that the kernels of this processor want, and gives the file's pages
// back: there is never more than one tensor in memory twice. It does nothing where the kernels take matrices as they stand
// in the file. The weights are the same to the last bit, and so are results before and after.
//
// Nothing else may use the model meanwhile. progress, if not nil, is told the bytes done. Where ctx ends, what was packed
// stays packed and the next call goes on; where memory ends, the rest is used as it stands in the file.
func (m *Model) Pack(ctx context.Context, pool *kernel.Pool, progress func(done, total int64)) error {
	total, done := int64(0), int64(0)
	for _, x := range m.matrices {
		total += x.matrix.PackedBytes()
	}
	for _, x := range m.matrices {
		size := x.matrix.PackedBytes()
		if size == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return errs.Wrap(ContextError(err), "model: pack")
		}
		data, err := allocate(size)
		if err != nil {
			return nil
		}
		m.packed = append(m.packed, data)
		pool.Pack(x.matrix, data)
		x.tensor.Release()
		if done += size; progress != nil {
			progress(done, total)
		}
	}
	return nil
}

// loaded is a matrix and the tensor that it came from.
type loaded struct {
	tensor *gguf.Tensor
	matrix *kernel.Matrix
}

// Free gives back the memory of packed weights. The model must not be used afterwards.
func (m *Model) Free() {
	for _, data := range m.packed {
		_ = free(data)
	}
	m.packed = nil
}
