package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/realm-ai/realm/internal/kernel/_asm/layout"
)

// distance is how far ahead of their use weights are prefetched, in bytes: as for AVX-512.
const distance = 3072

// K-quants, which take longer between two prefetches, are prefetched from near, and from far to the second-level cache: on a
// Zen 4, AVX2 forced, one token of Q4_K_M then is 1.46 times as fast at one thread and 1.20 at two, and eight 1.06 times. From
// distance and 9216 it is 1.32, 1.14 and 1.03 times. Blocks of 32 lose 2 to 12% with any of it.
const near, far = 2048, 12288

// registers is the number of vector registers. avo knows of 32 and takes the first that are free; a test sees to it that
// these are enough.
const registers = 16

// Offsets in scratch, in bytes. A vector is of 16 rows. All but the parked sums are made anew for each block, by kernels
// that go over halves for each half.
const (
	scales      = 0                           // 16 vectors of int16 pairs, both the same
	corrections = scales + 16*64              // 8 vectors of int16 pairs
	minimums    = corrections + 8*64          // 8 vectors of int16 pairs
	parkedSums  = minimums + 8*64             // the float sums of each token
	parkedInts  = parkedSums + 12*64          // the totals of each token
	factors     = parkedInts + 12*64          // d, and dmin or m, as floats
	_           = uint(4096 - factors - 2*64) // the size of scratch
)

// kernel is the state that all kernels share while their text is written.
type kernel struct {
	layout.DType
	tokens int
	halves int // of a vector that are multiplied side by side
	block  int // weights

	out, w, scratch, x, blocks, ahead GPVirtual
	small                             GPVirtual // where units of 2 bytes count from, or the d of a strip that come first
	second                            GPVirtual // not 0 in the second half, where halves is 1
	index                             GPVirtual // of the iteration in a block, in units of unit
	unit                              int

	passed  int // dwords of one token of the block's stream that x has passed
	spare   int // registers left for constants
	held    map[string]VecVirtual
	sums    []VecVirtual // the float sums, for each token and half; nil where scratch holds them
	totals  []VecVirtual // the integer sums of a block, likewise
	started bool         // totals say something
}

// begin starts a function and loads the arguments that stay in registers. activations names their dtype.
func begin(f layout.DType, activations string, tokens int) *kernel {
	name := fmt.Sprintf("dot%s%sAVX2T%d", f.Name, activations, tokens)
	TEXT(name, NOSPLIT, "func(out *float32, stride int, w *byte, x *uint32, scratch *byte, blocks, strips int)")
	Doc(fmt.Sprintf("%s multiplies strips of weights with a tile of %d tokens: see dotStrips.", name, tokens))
	k := &kernel{DType: f, tokens: tokens, halves: 2, held: map[string]VecVirtual{}}
	if tokens > 4 {
		k.halves = 1
		k.second = GP64()
		XORQ(k.second, k.second)
	}
	k.out = Load(Param("out"), GP64()).(GPVirtual)
	k.w = Load(Param("w"), GP64()).(GPVirtual)
	k.scratch = Load(Param("scratch"), GP64()).(GPVirtual)
	k.x, k.blocks, k.ahead = GP64(), GP64(), GP64()
	k.small = k.w
	if f.Head || k.halves == 1 {
		k.small = GP64()
	}
	if tokens == 1 {
		k.sums = vectors(k.halves)
	}
	return k
}

func vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// table is a constant of eight dwords.
func table(name string, dword func(i int) uint32) Mem {
	if m, made := tables[name]; made {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(dword(i)))
	}
	tables[name] = m
	return m
}

var tables = map[string]Mem{}

// dwords is a constant that repeats a dword.
func dwords(v uint32) Mem { return table(fmt.Sprintf("dwords%08x", v), func(int) uint32 { return v }) }

// hold loads a constant into a register for all of the function, if one is to spare.
func (k *kernel) hold(m Mem) {
	if _, held := k.held[m.Symbol.String()]; k.spare > 0 && !held {
		k.spare--
		v := YMM()
		VMOVDQU(m, v)
		k.held[m.Symbol.String()] = v
	}
}

// constant is an operand that holds m.
func (k *kernel) constant(m Mem) Op {
	if v, held := k.held[m.Symbol.String()]; held {
		return v
	}
	return m
}

// register is constant in a register.
func (k *kernel) register(m Mem) VecVirtual {
	if v, held := k.held[m.Symbol.String()]; held {
		return v
	}
	v := YMM()
	VMOVDQU(m, v)
	return v
}

// strip starts the loops over strips, blocks, and the halves of each where they are not multiplied side by side.
func (k *kernel) strip() {
	Label("strip")
	if k.small != k.w {
		MOVQ(k.w, k.small)
	}
	Load(Param("x"), k.x)
	Load(Param("blocks"), k.blocks)
	LEAQ(Mem{Base: k.w, Disp: distance}, k.ahead)
	if k.Head {
		// 32 bytes of d for each block, up to a multiple of 64.
		size := GP64()
		MOVQ(k.blocks, size)
		SHLQ(Imm(5), size)
		ADDQ(Imm(63), size)
		ANDQ(I8(-64), size)
		ADDQ(size, k.w)
	}
	zero := YMM()
	VPXOR(zero, zero, zero)
	for t := range k.tokens {
		for h := range 2 {
			if k.sums != nil {
				VMOVDQU(zero, k.sums[2*t+h])
			} else {
				VMOVDQU(zero, k.stored(parkedSums, t, h))
			}
		}
	}
	Label("block")
}

// stored is half h of the i-th vector of 16 rows of those at offset in scratch.
func (k *kernel) stored(offset, i, h int) Mem {
	return Mem{Base: k.scratch, Disp: offset + 64*i + 32*h}
}

// at is the place of 16 rows' unit of 4 bytes in the strip's block, half h.
func (k *kernel) at(offset, h int) Mem { return Mem{Base: k.w, Disp: offset + 32*h} }

// at2 is the place of a unit of 2 bytes.
func (k *kernel) at2(offset, h int) Mem { return Mem{Base: k.small, Disp: offset + 16*h} }

// prefetch asks for n cache lines from line on.
func (k *kernel) prefetch(line, n int) {
	for i := range n {
		next := Mem{Base: k.ahead, Disp: 64 * (line + i)} // distance ahead
		if k.block == 32 {
			PREFETCHT0(next)
			continue
		}
		PREFETCHT0(next.Offset(near - distance))
		PREFETCHT1(next.Offset(far - distance))
	}
}

// activation is the dword of token t in the block's stream at offset, which counts dwords of one token.
func (k *kernel) activation(offset, t int) Mem {
	return Mem{Base: k.x, Disp: 4 * ((offset-k.passed)*k.tokens + t)}
}

// broadcast is that dword in all lanes.
func (k *kernel) broadcast(offset, t int) VecVirtual {
	v := YMM()
	VPBROADCASTD(k.activation(offset, t), v)
	return v
}

// pass moves the stream's pointer to offset, so that displacements stay small.
func (k *kernel) pass(offset int) {
	ADDQ(I32(int32(4*k.tokens*(offset-k.passed))), k.x)
	k.passed = offset
}

// next goes on to the next half or block. dwords is what a block has of one token in the stream.
func (k *kernel) next(dwords int) {
	if k.halves == 1 {
		k.pass(0)
		ADDQ(Imm(32), k.w)
		ADDQ(Imm(32), k.scratch)
		ADDQ(Imm(16), k.small)
		XORQ(Imm(1), k.second)
		JNZ(LabelRef("block"))
		SUBQ(Imm(64), k.w)
		SUBQ(Imm(64), k.scratch)
		SUBQ(Imm(32), k.small)
	}
	k.pass(dwords)
	k.passed = 0
	ADDQ(I32(int32(k.Bytes)), k.w)
	switch {
	case k.Head:
		ADDQ(Imm(32), k.small)
	case k.halves == 1:
		ADDQ(I32(int32(k.Bytes)), k.small)
	}
	DECQ(k.blocks)
	JNZ(LabelRef("block"))
}

// end stores the sums and closes the loop over strips.
func (k *kernel) end() {
	Comment("Store the sums, every NaN as the same one.")
	stride, p := Load(Param("stride"), GP64()), GP64()
	MOVQ(k.out, p)
	nan := k.register(dwords(0x7fc00000))
	for t := range k.tokens {
		for h := range 2 {
			var sum VecVirtual
			if k.sums != nil {
				sum = k.sums[2*t+h]
			} else {
				sum = YMM()
				VMOVUPS(k.stored(parkedSums, t, h), sum)
			}
			unordered := YMM()
			VCMPPS(Imm(3), sum, sum, unordered)
			VBLENDVPS(unordered, nan, sum, sum)
			VMOVUPS(sum, Mem{Base: p, Disp: 32 * h})
		}
		ADDQ(stride, p)
	}
	ADDQ(Imm(64), k.out)
	strips := NewParamAddr("strips", 48)
	DECQ(strips)
	JNZ(LabelRef("strip"))
	VZEROUPPER()
	RET()
}
