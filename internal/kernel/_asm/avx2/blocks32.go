package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// block32 multiplies a dtype with blocks of 32.
func block32(f layout.DType, tokens int) {
	k := begin(f, "Q80", tokens)
	k.block = 32
	k.plan()
	k.strip()
	bytes := f.Bytes
	if f.Head {
		bytes += 32
	}
	part := bytes * k.halves / 2
	k.prefetch(0, (part+63)/64)
	ADDQ(I32(int32(part)), k.ahead)
	for g := 0; g < 8; g += k.groups() {
		k.chunk(g, func(int) Mem { return dwords(0x00010001) })
	}
	correction := map[int]int{8: layout.Minus8, 16: layout.Minus16}[f.Offset]
	var minimum func(sum, dx VecVirtual, t, h int)
	if f.Min != 0 {
		minimum = func(sum, dx VecVirtual, t, h int) {
			u := YMM()
			VMULPS(k.factorAt(1, h), dx, u)
			VFMADD231PS(k.broadcast(layout.SumFloat, t), u, sum)
		}
	}
	k.finish(layout.Scale32, correction, minimum)
	k.next(layout.Dwords32)
	k.end()
}
