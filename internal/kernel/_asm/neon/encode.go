package main

import "fmt"

// The instructions below are those that Go's assembler lacks. Each is a word, written with its name in Arm's manual
// (Arm Architecture Reference Manual for A-profile, C7.2) behind it. Registers stand where they do in most of them:
//
//	31      24 23 22 21 20    16 15     10 9   5 4   0
//	| Q U ... | size| 1 |   Rm   | opcode  | Rn  | Rd  |

// word writes an instruction of registers d, n and m.
func (a *asm) word(code uint32, d, n, m vec, format string, args ...any) {
	a.line("WORD $0x%08x // %s", code|uint32(m)<<16|uint32(n)<<5|uint32(d), fmt.Sprintf(format, args...))
}

// same3 is an instruction on three vectors of four dwords.
func (a *asm) same3(code uint32, name string, d, n, m vec) {
	a.word(code, d, n, m, "%s v%d.4s, v%d.4s, v%d.4s", name, d, n, m)
}

// same2 is an instruction on two.
func (a *asm) same2(code uint32, name string, d, n vec) {
	a.word(code, d, n, 0, "%s v%d.4s, v%d.4s", name, d, n)
}

func (a *asm) fadd(d, n, m vec)  { a.same3(0x4e20d400, "fadd", d, n, m) }
func (a *asm) fsub(d, n, m vec)  { a.same3(0x4ea0d400, "fsub", d, n, m) }
func (a *asm) fmul(d, n, m vec)  { a.same3(0x6e20dc00, "fmul", d, n, m) }
func (a *asm) fdiv(d, n, m vec)  { a.same3(0x6e20fc00, "fdiv", d, n, m) }
func (a *asm) fcmeq(d, n, m vec) { a.same3(0x4e20e400, "fcmeq", d, n, m) }
func (a *asm) fcmge(d, n, m vec) { a.same3(0x6e20e400, "fcmge", d, n, m) }
func (a *asm) cmgt(d, n, m vec)  { a.same3(0x4ea03400, "cmgt", d, n, m) }
func (a *asm) fcmgt(d, n, m vec) { a.same3(0x6ea0e400, "fcmgt", d, n, m) }
func (a *asm) mla(d, n, m vec)   { a.same3(0x4ea09400, "mla", d, n, m) }
func (a *asm) fneg(d, n vec)     { a.same2(0x6ea0f800, "fneg", d, n) }
func (a *asm) fcvtns(d, n vec)   { a.same2(0x4e21a800, "fcvtns", d, n) }
func (a *asm) scvtf(d, n vec)    { a.same2(0x4e21d800, "scvtf", d, n) }

// scvtfFixed converts integers that count 1/2^bits. Bits 22 to 16 hold 64 - bits.
func (a *asm) scvtfFixed(d, n vec, bits int) {
	if bits == 0 {
		a.scvtf(d, n)
		return
	}
	a.word(0x4f00e400|uint32(64-bits)<<16, d, n, 0, "scvtf v%d.4s, v%d.4s, #%d", d, n, bits)
}

// sshr shifts dwords right with their sign. Bits 22 to 16 hold 64 - by.
func (a *asm) sshr(d, n vec, by int) {
	a.word(0x4f000400|uint32(64-by)<<16, d, n, 0, "sshr v%d.4s, v%d.4s, #%d", d, n, by)
}

// bic keeps the bits of n that m has not.
func (a *asm) bic(d, n, m vec) {
	a.word(0x4e601c00, d, n, m, "bic v%d.16b, v%d.16b, v%d.16b", d, n, m)
}

// umaxv, uminv and faddpS leave one dword: the largest or least of four unsigned ones, the sum of the two lowest
// floats.
func (a *asm) umaxv(d, n vec)  { a.word(0x6eb0a800, d, n, 0, "umaxv s%d, v%d.4s", d, n) }
func (a *asm) uminv(d, n vec)  { a.word(0x6eb1a800, d, n, 0, "uminv s%d, v%d.4s", d, n) }
func (a *asm) faddpS(d, n vec) { a.word(0x7e30d800, d, n, 0, "faddp s%d, v%d.2s", d, n) }

// shll shifts the four 16-bit lanes in the low or, as shll2, in the high half of n to the top of dwords.
func (a *asm) shll(d, n vec)  { a.word(0x2e613800, d, n, 0, "shll v%d.4s, v%d.4h, #16", d, n) }
func (a *asm) shll2(d, n vec) { a.word(0x6e613800, d, n, 0, "shll2 v%d.4s, v%d.8h, #16", d, n) }

// fcvtl widens the four halves in the low or, as fcvtl2, in the high half of n.
func (a *asm) fcvtl(d, n vec)  { a.word(0x0e217800, d, n, 0, "fcvtl v%d.4s, v%d.4h", d, n) }
func (a *asm) fcvtl2(d, n vec) { a.word(0x4e217800, d, n, 0, "fcvtl2 v%d.4s, v%d.8h", d, n) }

// fcvtn narrows four floats, rounding to even, into the low or, as fcvtn2, the high half of d.
func (a *asm) fcvtn(d, n vec)  { a.word(0x0e216800, d, n, 0, "fcvtn v%d.4h, v%d.4s", d, n) }
func (a *asm) fcvtn2(d, n vec) { a.word(0x4e216800, d, n, 0, "fcvtn2 v%d.8h, v%d.4s", d, n) }

// lane is an index of a dword: its low bit is bit 21 of the word, its high one bit 11.
func lane(i int) uint32 { return uint32(i&1)<<21 | uint32(i>>1)<<11 }

// byLane is an instruction whose third operand is one dword of a vector.
func (a *asm) byLane(code uint32, name string, d, n, m vec, i int) {
	a.word(code|lane(i), d, n, m, "%s v%d.4s, v%d.4s, v%d.s[%d]", name, d, n, m, i)
}

func (a *asm) fmulLane(d, n, m vec, i int) { a.byLane(0x4f809000, "fmul", d, n, m, i) }
func (a *asm) fmlaLane(d, n, m vec, i int) { a.byLane(0x4f801000, "fmla", d, n, m, i) }

// sdot adds to each dword of d the products of its four signed bytes in n with the four of dword i of m.
func (a *asm) sdot(d, n, m vec, i int) {
	a.word(0x4f80e000|lane(i), d, n, m, "sdot v%d.4s, v%d.16b, v%d.4b[%d]", d, n, m, i)
}

// smlal adds to the dwords of d the products of the low or, as smlal2, the high four 16-bit lanes of n with lane i of
// m, which is one of the first 16 registers. Bits 11, 21 and 20 hold the index.
func (a *asm) smlal(d, n, m vec, i int)  { a.longLane(0x0f402000, "smlal", "4h", d, n, m, i) }
func (a *asm) smlal2(d, n, m vec, i int) { a.longLane(0x4f402000, "smlal2", "8h", d, n, m, i) }

func (a *asm) longLane(code uint32, name, from string, d, n, m vec, i int) {
	if m > 15 {
		panic("neon: a lane of 16 bits in a register above V15")
	}
	a.word(code|uint32(i>>2)<<11|uint32(i>>1&1)<<21|uint32(i&1)<<20, d, n, m,
		"%s v%d.4s, v%d.%s, v%d.h[%d]", name, d, n, from, m, i)
}
