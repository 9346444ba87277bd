package kernel

import "sync"

// Product is one matrix to multiply an input with, and where the result goes: T x Rows.
type Product struct {
	Dst []float32
	W   *Matrix
}

// scratch is the memory of one work item.
type scratch struct {
	w  [lanes]weights
	ls [lanes]lane

	aligned []byte                       // for the kernels of strips
	out     [maxTile * stripRows]float32 // products of a strip that cannot stay together
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// tokenTile is the number of tokens that meet a row while their activations stay in the first-level cache.
const tokenTile = 32

// MatMul multiplies every token of the input with every row of each matrix: Dst[t*Rows+r] = W[r] . in[t]. All matrices
// have in.N columns.
//
// A row is summed in one order (DESIGN section 5) whatever the number of tokens and threads: for quantized weights,
// exact integer sums inside a block and one or two float steps for each block in ascending order; for float weights as
// dotFloats says.
func (p *Pool) MatMul(in *Input, products ...Product) {
	in.products = append(in.products[:0], products...)
	for i := range in.products {
		in.prepare(p, in.products[i].W)
	}
	if in.do == nil {
		in.do, in.doShare = in.item, in.share
	}
	if in.cut(p.threads) {
		p.run(len(in.cuts)-1, in.doShare, &in.expectation)
		return
	}
	total := 0
	for i := range in.products {
		total += in.products[i].items(in)
	}
	p.Run(total, in.do)
}

// item computes one item of the products, which follow one another.
func (in *Input) item(item int) {
	for i := range in.products {
		o := &in.products[i]
		n := o.items(in)
		if item >= n {
			item -= n
			continue
		}
		s := scratches.Get().(*scratch)
		s.item(o, in, item)
		scratches.Put(s)
		return
	}
}

// rowsOfItem is the number of rows of an item: about 300k multiply-adds in plain Go, tens of microseconds, so that threads
// end together and a long product does not keep the garbage collector waiting.
func (m *Matrix) rowsOfItem(in *Input) int {
	if m.rows() != nil {
		// As large, unless for one token, when it is the weights that take time.
		return max(rowsOfDot, min(4<<20/(m.Cols*in.T), 128<<10/m.Cols)/rowsOfDot*rowsOfDot)
	}
	return max(lanes, 300_000/(in.N*in.T)/lanes*lanes)
}

// items is the number of items that a product is cut into.
func (o *Product) items(in *Input) int {
	if o.W.tiles(in.T) != nil {
		plan := planTiles(o.W, in.T)
		return plan.rows * plan.columns
	}
	if o.W.strips() != nil {
		plan := planStrips(o.W, in.T)
		return plan.rows * plan.columns
	}
	return ceil(o.W.Rows, o.W.rowsOfItem(in))
}

// item computes one item of a product.
func (s *scratch) item(o *Product, in *Input, item int) {
	if f := o.W.tiles(in.T); f != nil {
		s.tileItem(o.Dst, o.W, f, in, planTiles(o.W, in.T), item)
		return
	}
	if k := o.W.strips(); k != nil {
		s.stripItem(o.Dst, o.W, k, in, planStrips(o.W, in.T), item)
		return
	}
	rows := o.W.rowsOfItem(in)
	if k := o.W.rows(); k != nil {
		s.floatRows(o.Dst, o.W, k, in, item*rows, min((item+1)*rows, o.W.Rows))
		return
	}
	for r := item * rows; r < min((item+1)*rows, o.W.Rows); r += lanes {
		s.rows(o.Dst, o.W, in, r, min(r+lanes, o.W.Rows))
	}
}

// rows computes rows r0 to r1-1, at most lanes of them, for every token.
func (s *scratch) rows(dst []float32, m *Matrix, in *Input, r0, r1 int) {
	f := m.format
	ws := s.w[:r1-r0]
	direct := in.T == 1 && f.direct != nil
	for i := range ws {
		ws[i].size(m)
		if !direct {
			ws[i].unpackRow(m, r0+i)
		}
	}
	if f.block == 0 {
		for t := range in.T {
			for i := range ws {
				dst[t*m.Rows+r0+i] = quiet(dotFloats(ws[i].row, in.x[t*in.N:(t+1)*in.N]))
			}
		}
		return
	}
	q := in.quantized(f)
	var acc [lanes]float32
	if in.T == 1 {
		// The lanes are rows.
		for i := range s.ls {
			switch {
			case i >= len(ws):
				s.ls[i].idle(&s.ls[0])
			case direct:
				s.ls[i].direct(f, &ws[i], m.row(ws[i].packed, r0+i), q)
			default:
				s.ls[i].run(f, &ws[i], q, 0)
			}
		}
		accumulate(&acc, &s.ls)
		copy(dst[r0:r1], acc[:])
		return
	}
	for t0 := 0; t0 < in.T; t0 += tokenTile {
		t1 := min(t0+tokenTile, in.T)
		for i := range ws {
			for t := t0; t < t1; t += lanes {
				// The lanes are tokens.
				for j := range s.ls {
					if t+j < t1 {
						s.ls[j].run(f, &ws[i], q, t+j)
					} else {
						s.ls[j].idle(&s.ls[0])
					}
				}
				accumulate(&acc, &s.ls)
				for j := range min(lanes, t1-t) {
					dst[(t+j)*m.Rows+r0+i] = acc[j]
				}
			}
		}
	}
}
