package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Neither avo nor Go's assembler knows AMX, so its instructions are written as bytes, with Intel's mnemonic and order of
// operands beside them. All are VEX-encoded, in map 0F38 with W0 and 128 bits (Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2, section 2.3.5 and the pages of the instructions):
//
//	C4   R X B 00010   W vvvv L pp   opcode   mod reg rm   [scale index base   displacement]
//
// R, X, B and vvvv are stored inverted. Go's assembler cannot tell which registers bytes use, nor can avo: operands in
// memory have physical registers, which are named as inputs so that avo keeps them.

// The mandatory prefixes, as pp.
const (
	ppNone = iota
	pp66
	ppF3
	ppF2
)

// at is an operand base + index + displacement; without an index if that is nil.
type at struct {
	base, index reg.GPPhysical
	disp        int
}

func (a at) String() string {
	if a.index == nil {
		return fmt.Sprintf("[%s%+d]", name(a.base), a.disp)
	}
	return fmt.Sprintf("[%s+%s%+d]", name(a.base), name(a.index), a.disp)
}

func name(r reg.GPPhysical) string { return strings.ToLower(r.Asm()) }

func (a at) inputs() []operand.Op {
	if a.index == nil {
		return []operand.Op{a.base}
	}
	return []operand.Op{a.base, a.index}
}

// bytes writes an instruction as words of four bytes and what is left.
func bytes(mnemonic string, inputs []operand.Op, b []byte) {
	var parts []string
	for ; len(b) >= 4; b = b[4:] {
		parts = append(parts, fmt.Sprintf("LONG $0x%08x", binary.LittleEndian.Uint32(b)))
	}
	for _, v := range b {
		parts = append(parts, fmt.Sprintf("BYTE $0x%02x", v))
	}
	Instruction(&ir.Instruction{Opcode: strings.Join(parts, "; ") + " // " + mnemonic, Inputs: inputs})
}

// vexRegisters encodes an instruction on registers.
func vexRegisters(pp int, opcode byte, r, vvvv, rm int) []byte {
	return []byte{0xc4, 0xe2, byte(^vvvv&15<<3 | pp), opcode, byte(0xc0 | r<<3 | rm)}
}

// vexMemory encodes an instruction on a register and memory, with a displacement of 32 bits. rm 4 says that a byte with
// index and base follows, of which index 4 is none.
func vexMemory(pp int, opcode byte, r int, a at) []byte {
	base, index := int(a.base.PhysicalIndex()), 4
	if a.index != nil {
		index = int(a.index.PhysicalIndex())
	}
	b := []byte{
		0xc4, byte(1<<7 | ^index>>3&1<<6 | ^base>>3&1<<5 | 2), byte(15<<3 | pp), opcode,
		byte(2<<6 | r<<3 | 4), byte(index&7<<3 | base&7),
	}
	return binary.LittleEndian.AppendUint32(b, uint32(int32(a.disp)))
}

// tileConfigure loads the shapes of the tiles.
func tileConfigure(a at) {
	bytes(fmt.Sprintf("LDTILECFG %v", a), a.inputs(), vexMemory(ppNone, 0x49, 0, a))
}

func tileRelease() {
	bytes("TILERELEASE", nil, vexRegisters(ppNone, 0x49, 0, 0, 0))
}

func tileZero(t int) {
	bytes(fmt.Sprintf("TILEZERO tmm%d", t), nil, vexRegisters(ppF2, 0x49, t, 0, 0))
}

// tileLoad loads rows that are index bytes apart.
func tileLoad(t int, a at) {
	bytes(fmt.Sprintf("TILELOADD tmm%d, %v", t, a), a.inputs(), vexMemory(ppF2, 0x4b, t, a))
}

func tileStore(a at, t int) {
	bytes(fmt.Sprintf("TILESTORED %v, tmm%d", a, t), a.inputs(), vexMemory(ppF3, 0x4b, t, a))
}

// tileDot adds to sum the products of tokens (rows of signed bytes) and weights (interleaved rows of signed bytes, or of
// unsigned ones).
func tileDot(sum, tokens, weights int, unsigned bool) {
	mnemonic, pp := "TDPBSSD", ppF2
	if unsigned {
		mnemonic, pp = "TDPBSUD", ppF3
	}
	bytes(fmt.Sprintf("%s tmm%d, tmm%d, tmm%d", mnemonic, sum, tokens, weights), nil,
		vexRegisters(pp, 0x5e, sum, weights, tokens))
}
