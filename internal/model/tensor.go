package model

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/quant"
)

const (
	// tensorItem is how many weights are dequantized at a time by one thread, and tensorRun by all of them before others
	// may compute: a few milliseconds.
	tensorItem = 1 << 15
	tensorRun  = 1 << 21
)

// Tensor dequantizes a tensor into dst, which has room for all its elements, in the order of the file, exactly. It reads
// packed weights where they are packed. The model must not be packed meanwhile.
func (m *Model) Tensor(ctx context.Context, pool *kernel.Pool, name string, dst []float32) error {
	t, ok := m.file.Tensor(name)
	if !ok {
		return errs.Errorf(errs.NotFound, "model: tensor %.64q: there is none of that name%s", name, similar(name, m.file.Tensors()))
	}
	if uint64(len(dst)) != t.Elements() {
		return errs.Errorf(errs.InvalidArgument, "model: tensor %q: room for %d weights, want %d", name, len(dst), t.Elements())
	}
	rows, cols := 1, len(dst)
	var read func(r0, r1 int)
	if i := slices.IndexFunc(m.matrices, func(l loaded) bool { return l.tensor == t }); i >= 0 {
		matrix := m.matrices[i].matrix
		rows, cols = matrix.Rows, matrix.Cols
		read = func(r0, r1 int) {
			for r := r0; r < r1; r++ {
				matrix.Row(dst[r*cols:(r+1)*cols], r)
			}
		}
	} else {
		dtype := quant.DType(t.DType)
		if err := quant.Dequantize(dst[:0], nil, dtype); err != nil {
			return errs.Errorf(errs.Unsupported, "model: tensor %q: %w", name, err)
		}
		data := t.Data()
		rows = max(1, int(t.Elements()/t.Shape[0]))
		cols = int(t.Shape[0])
		size := len(data) / rows
		read = func(r0, r1 int) {
			// The dtype was tried, and the parser holds rows to whole blocks.
			_ = quant.Dequantize(dst[r0*cols:r1*cols], data[r0*size:r1*size], dtype)
		}
	}
	perItem := max(1, tensorItem/cols)
	perRun := max(perItem*pool.Threads(), tensorRun/cols)
	for first := 0; first < rows; first += perRun {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(ContextError(err), "model: tensor")
		}
		last := min(first+perRun, rows)
		pool.Run((last-first+perItem-1)/perItem, func(item int) {
			r := first + item*perItem
			read(r, min(r+perItem, last))
		})
	}
	return nil
}

// similar returns the end of an error message that names the tensors whose names are most like one that is none.
func similar(name string, tensors []*gguf.Tensor) string {
	const most, longest = 3, 64 // names in the message, and length of a name in bytes that is worth comparing
	if len(name) > longest {
		return ""
	}
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for _, t := range tensors {
		if len(t.Name) > longest {
			continue
		}
		if d := errs.EditDistance(name, t.Name); d <= max(2, len(name)/3) || name != "" && strings.Contains(t.Name, name) {
			found = append(found, candidate{t.Name, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	if len(found) == 0 {
		return ""
	}
	var names []string
	for _, c := range found[:min(len(found), most)] {
		names = append(names, fmt.Sprintf("%q", c.name))
	}
	return "; the closest are " + strings.Join(names, ", ")
}
