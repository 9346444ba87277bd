package model

import (
	"context"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
)

// Images keeps packed weights between runs. Package store does, in the cache folder.
type Images interface {
	// Image returns the bytes of each matrix once packed, which stay as long as the model is used, or nil where there can
	// be no image. It changes no matrix. It tells packed when it will not need one in its old form again, and progress,
	// which may be nil, the bytes done. The error is ctx's.
	Image(ctx context.Context, pool *kernel.Pool, names []string, matrices []*kernel.Matrix,
		packed func(i int), progress func(done, total int64)) ([][]byte, error)
}

// Pack brings the matrices into the order that the kernels of this processor want: from m.Images, or else into memory of
// their own. It gives the file's pages back: there is never more than one tensor in memory twice. It does nothing where
// the kernels take matrices as they stand in the file. The weights are the same to the last bit, and so are results
// before and after.
//
// Nothing else may use the model meanwhile. progress, if not nil, is told the bytes done. Where ctx ends, matrices
// that were packed in memory stay so and the next call goes on; where memory ends, the rest is used as it stands in the file.
func (m *Model) Pack(ctx context.Context, pool *kernel.Pool, progress func(done, total int64)) error {
	var wanted []loaded
	var names []string
	var matrices []*kernel.Matrix
	total, done := int64(0), int64(0)
	for _, x := range m.matrices {
		if size := x.matrix.PackedBytes(); size > 0 {
			total += size
			wanted, names, matrices = append(wanted, x), append(names, x.tensor.Name), append(matrices, x.matrix)
		}
	}
	if m.Images != nil && len(wanted) > 0 && m.packed == nil {
		packed, err := m.Images.Image(ctx, pool, names, matrices, func(i int) { wanted[i].tensor.Release() }, progress)
		if err != nil {
			return errs.Wrap(ContextError(err), "model: pack")
		}
		if packed != nil {
			return m.use(wanted, packed)
		}
	}
	for _, x := range wanted {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(ContextError(err), "model: pack")
		}
		size := x.matrix.PackedBytes()
		data, err := allocate(size)
		if err != nil {
			return nil
		}
		m.packed = append(m.packed, data)
		pool.Pack(x.matrix, data)
		x.tensor.Discard()
		if done += size; progress != nil {
			progress(done, total)
		}
	}
	return nil
}

// use makes matrices views of an image.
func (m *Model) use(matrices []loaded, packed [][]byte) error {
	for i, x := range matrices {
		if err := x.matrix.UsePacked(packed[i]); err != nil {
			return errs.Errorf(errs.Internal, "model: pack: tensor %q: %w", x.tensor.Name, err)
		}
		x.tensor.Discard()
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
