package main

import (
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// unsigned returns what makes vector g of a dtype's unsigned weights in v, with u to spare, and the constants that it
// wants, each a vector of one dword.
func unsigned(d layout.DType) (constants []uint32, weights func(k *kernel, c []VecVirtual, g int, v, u VecVirtual)) {
	pieces := d.Pieces(0)
	last := len(pieces) - 1
	for i := range pieces {
		constants = append(constants, layout.Dword(pieces[last-i].Mask))
	}
	return constants, func(k *kernel, c []VecVirtual, g int, v, u VecVirtual) {
		for i, p := range d.Pieces(g) {
			if i == 0 {
				shiftAnd(k.line(p.Offset), p.Shift, c[last], v)
			} else {
				orShiftAnd(k.line(p.Offset), p.Shift, c[last-i], v, u)
			}
		}
		if d.Steps {
			k.lookUp(v)
		}
	}
}

// of32 makes a legacy of a dtype with unsigned weights, which stand correction above their values.
func of32(d layout.DType, correction int) legacy {
	f := legacy{name: d.Name, bytes: d.Bytes, head: d.Head, d: d.D, correction: correction, steps: d.Steps}
	f.constants, f.weights = unsigned(d)
	return f
}

// of256 makes a kquant of a dtype, whose scales decode writes to scratch.
func of256(d layout.DType, decode func(k *kernel)) kquant {
	f := kquant{
		name: d.Name, bytes: d.Bytes, head: d.Head, sub: d.Sub, d: d.D, dmin: d.Min,
		pieces: d.Pieces, decode: decode, correct: d.Offset != 0 || d.Steps, steps: d.Steps,
	}
	f.constants, f.weights = unsigned(d)
	return f
}
