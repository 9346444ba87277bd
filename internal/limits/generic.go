package limits

import "encoding/binary"

// generic is plain Go: words added up, and the multiplications that package kernel's plain Go is made of, where one of
// 64 bits does four products.
var generic = probe{
	names: "plain Go", read: readGeneric,
	ints: intsGeneric, intOps: 8 * 4 * 2,
	floats: floatsGeneric, floatOps: 8 * 2,
}

func readGeneric(memory []byte) uint64 {
	var a, b, c, d uint64
	for ; len(memory) >= 64; memory = memory[64:] {
		a += binary.LittleEndian.Uint64(memory) + binary.LittleEndian.Uint64(memory[32:])
		b += binary.LittleEndian.Uint64(memory[8:]) + binary.LittleEndian.Uint64(memory[40:])
		c += binary.LittleEndian.Uint64(memory[16:]) + binary.LittleEndian.Uint64(memory[48:])
		d += binary.LittleEndian.Uint64(memory[24:]) + binary.LittleEndian.Uint64(memory[56:])
	}
	return a + b + c + d
}

// intsGeneric has eight sums, so that no multiplication waits for the one before it. Its result keeps the compiler from
// leaving them out.
//
//go:noinline
func intsGeneric(n int) int32 {
	x, y := uint64(n)|1, uint64(n)
	var a, b, c, d, e, f, g, h uint64
	for range n {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
	}
	return int32(a + b + c + d + e + f + g + h)
}

//go:noinline
func floatsGeneric(n int) float32 {
	x := float32(min(n, 1))
	var a, b, c, d, e, f, g, h float32
	for range n {
		a, b, c, d = float32(a*x)+x, float32(b*x)+x, float32(c*x)+x, float32(d*x)+x
		e, f, g, h = float32(e*x)+x, float32(f*x)+x, float32(g*x)+x, float32(h*x)+x
	}
	return a + b + c + d + e + f + g + h
}
