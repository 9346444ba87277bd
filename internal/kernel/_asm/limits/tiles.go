package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// multiplyAMX keeps six tiles of sums and two of ones. Neither avo nor Go's assembler knows AMX, so its instructions are
// bytes: see tile. avo does not see which registers they use, hence these have names.
func multiplyAMX() {
	text("multiplyAMX", "func(tile *byte, n int)",
		"does n rounds of 6 TDPBUSD of ones, each 16 times 16 sums of 64 products. tile, 1024 ones, becomes the first's sums.")
	shapes := GLOBL("shapes", RODATA|NOPTR)
	var config [64]byte // of LDTILECFG
	config[0] = 1       // the palette
	for i := range 8 {
		config[16+2*i], config[48+i] = 64, 16 // bytes in a row, and rows
	}
	for i := 0; i < len(config); i += 8 {
		DATA(i, U64(binary.LittleEndian.Uint64(config[i:])))
	}
	LEAQ(shapes, RAX)
	tile("LDTILECFG [rax]", none, 0x49, 0, memory)
	Load(Param("tile"), RAX)
	Load(Param("n"), RDX)
	MOVQ(I32(64), RCX)
	const sums, a, b = 6, 6, 7
	for i := range sums {
		tile(fmt.Sprintf("TILEZERO tmm%d", i), f2, 0x49, 0, registers|i<<3)
	}
	for _, i := range []int{a, b} {
		tile(fmt.Sprintf("TILELOADD tmm%d, [rax+rcx]", i), f2, 0x4b, 0, i<<3|indexed, raxRCX)
	}
	Label("loop")
	for i := range sums {
		tile(fmt.Sprintf("TDPBUSD tmm%d, tmm%d, tmm%d", i, a, b), p66, 0x5e, b, registers|i<<3|a)
	}
	DECQ(RDX)
	JNZ(LabelRef("loop"))
	tile("TILESTORED [rax+rcx], tmm0", f3, 0x4b, 0, indexed, raxRCX)
	tile("TILERELEASE", none, 0x49, 0, registers)
	RET()
}

// Mandatory prefixes, and parts of ModRM and SIB bytes.
const (
	none = iota
	p66
	f3
	f2

	memory    = 0x00 // [rax]
	indexed   = 0x04 // a SIB byte follows
	registers = 0xc0
	raxRCX    = 0x08
)

// tile writes an instruction with a VEX prefix of three bytes in map 0F38, with W0, 128 bits and vvvv, which is stored
// inverted (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, section 2.3.5).
func tile(mnemonic string, prefix, opcode, vvvv int, modRM ...int) {
	code := []byte{0xc4, 0xe2, byte(^vvvv&15<<3 | prefix), byte(opcode)}
	for _, b := range modRM {
		code = append(code, byte(b))
	}
	parts := make([]string, len(code))
	for i, b := range code {
		parts[i] = fmt.Sprintf("BYTE $0x%02x", b)
	}
	Instruction(&ir.Instruction{Opcode: strings.Join(parts, "; ") + " // " + mnemonic})
}
