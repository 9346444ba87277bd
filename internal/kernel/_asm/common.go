package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// distance is how far ahead of their use weights are prefetched, in bytes. On a Sapphire Rapids, of 64, 1152, 2304, 3072,
// 4608 and 9216 bytes 3072 was best for one token: Q4_K then reads 94% of what a plain loop reads from memory, with 4608
// 85%. On a Zen 5, 4608 was 40 to 60% better than nothing and 6912 clearly worse.
const distance = 3072

// far is how far ahead they are brought to the second-level cache. There are more requests between that and memory than
// the first-level cache has, and a kernel that computes for long between its prefetches leaves fewer of the latter
// unused: with both, one token reads 15 to 25% faster and eight 10 to 15%. From 6 KB to 18 KB it is much the same.
const far = 9216

// sequential is package kernel's variable of that name.
var sequential = Mem{Symbol: Symbol{Name: "·sequential"}, Base: StaticBase}

// or3and is VPTERNLOGD's truth table for dst | (b & c), with the bits numbered 4*dst + 2*b + c.
const or3and = 0xf8

// kernel is the state that all kernels share while their text is written.
type kernel struct {
	tokens int

	out, w, x, scratch, blocks, ahead GPVirtual
	head                              GPVirtual // the d of a strip whose dtype has them first

	passed int // dwords of one token of the block's stream that x has passed

	inOrder bool // it loads lines from the first to the last, and computes little: it prefetches unless sequential is set
	skips   int  // labels behind prefetches

	lines map[int]VecVirtual // those of a block that are in registers, by offset; nil where none is

	zero  VecVirtual
	acc   []VecVirtual // integer sums of a sub-block or block, for each token
	sums  []VecVirtual // the float sums of the rows, for each token; nil where scratch holds them
	park  int          // their place in scratch then
	steps VecVirtual   // those of IQ4_NL and IQ4_XS
}

// begin starts a function and loads the arguments that stay in registers. dtypes names those of the weights and of the
// activations.
func begin(dtypes string, tokens int) *kernel {
	name := fmt.Sprintf("dot%sAVX512T%d", dtypes, tokens)
	TEXT(name, NOSPLIT, "func(out *float32, stride int, w *byte, x *uint32, scratch *byte, blocks, strips int)")
	Doc(fmt.Sprintf("%s multiplies strips of weights with a tile of %d tokens: see dotStrips.", name, tokens))
	k := &kernel{tokens: tokens}
	k.out = Load(Param("out"), GP64()).(GPVirtual)
	k.w = Load(Param("w"), GP64()).(GPVirtual)
	k.scratch = Load(Param("scratch"), GP64()).(GPVirtual)
	k.x, k.blocks, k.ahead = GP64(), GP64(), GP64()
	k.zero = ZMM()
	VPXORD(k.zero, k.zero, k.zero)
	k.acc = vectors(tokens)
	return k
}

func vectors(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
}

// constant fills a vector with a dword.
func constant(dword uint32) VecVirtual {
	r, v := GP32(), ZMM()
	MOVL(U32(dword), r)
	VPBROADCASTD(r, v)
	return v
}

// strip starts the loop over strips. headed says that the d of all blocks come first, 32 bytes each, up to a multiple
// of 64.
func (k *kernel) strip(headed bool) {
	Label("strip")
	Load(Param("x"), k.x)
	Load(Param("blocks"), k.blocks)
	LEAQ(Mem{Base: k.w, Disp: distance}, k.ahead)
	if headed {
		k.head = GP64()
		MOVQ(k.w, k.head)
		size := GP64()
		MOVQ(k.blocks, size)
		SHLQ(Imm(5), size)
		ADDQ(Imm(63), size)
		ANDQ(I8(-64), size)
		ADDQ(size, k.w)
		if k.inOrder {
			k.passHead()
		}
	}
	for t := range k.tokens {
		if k.sums != nil {
			VMOVDQA64(k.zero, k.sums[t])
		} else {
			VMOVDQA64(k.zero, k.parked(t))
		}
	}
	Label("block")
}

// passHead asks for the d of a strip. A processor that fetches ahead by itself sees no order in them: they are used one by one
// while the blocks pass, and the first block does not follow what came before.
func (k *kernel) passHead() {
	p := GP64()
	MOVQ(k.head, p)
	Label("head")
	PREFETCHT0(Mem{Base: p})
	ADDQ(Imm(64), p)
	CMPQ(p, k.w)
	JB(LabelRef("head"))
}

func (k *kernel) parked(t int) Mem { return Mem{Base: k.scratch, Disp: k.park + 64*t} }

// prefetch asks for n cache lines from line on.
func (k *kernel) prefetch(line, n int) {
	skip := fmt.Sprintf("skip%d", k.skips)
	if k.inOrder {
		k.skips++
		CMPB(sequential, Imm(0))
		JNE(LabelRef(skip))
	}
	for i := range n {
		prefetchLine(k.ahead, 64*(line+i))
	}
	if k.inOrder {
		Label(skip)
	}
}

// prefetchLine asks for the cache line at an offset from ahead, and for the one that follows it far ahead.
func prefetchLine(ahead Register, offset int) {
	PREFETCHT0(Mem{Base: ahead, Disp: offset})
	PREFETCHT1(Mem{Base: ahead, Disp: offset + far - distance})
}

// activation is the dword of token t in the block's stream at offset, which counts dwords of one token.
func (k *kernel) activation(offset, t int) Mem {
	return Mem{Base: k.x, Disp: 4 * ((offset-k.passed)*k.tokens + t)}
}

// pass moves the stream's pointer to offset, so that displacements stay small enough for a byte.
func (k *kernel) pass(offset int) {
	ADDQ(I32(int32(4*k.tokens*(offset-k.passed))), k.x)
	k.passed = offset
}

// clear sets the integer sums to 0.
func (k *kernel) clear(sums []VecVirtual) {
	for _, v := range sums {
		VMOVDQA64(k.zero, v)
	}
}

// dot adds the products of 16 rows' dwords of unsigned weights with each token's dword at offset.
func (k *kernel) dot(w VecVirtual, offset int) { k.dotTo(k.acc, w, offset) }

// dotTo is dot with other sums.
func (k *kernel) dotTo(sums []VecVirtual, w VecVirtual, offset int) {
	for t, acc := range sums {
		VPDPBUSD_BCST(k.activation(offset, t), w, acc)
	}
}

// pairs adds to sums the products of int16 pairs, weights' times the stream's at offset.
func (k *kernel) pairs(w VecVirtual, offset int, sums []VecVirtual) {
	for t, acc := range sums {
		VPDPWSSD_BCST(k.activation(offset, t), w, acc)
	}
}

// loadSteps makes the table for lookUp.
func (k *kernel) loadSteps() {
	k.steps = ZMM()
	VBROADCASTI32X4(steps, k.steps)
}

// lookUp replaces the nibbles in v by the steps of IQ4_NL and IQ4_XS, plus 128.
func (k *kernel) lookUp(v VecVirtual) { VPSHUFB(v, k.steps, v) }

// step does sum = fma(factor*dx, v, sum) for each token, dx being the scale at the stream's offset d, or
// sum = fma(-(factor*dx), v, sum). v holds floats.
func (k *kernel) step(factor VecVirtual, d int, v []VecVirtual, minus bool) {
	f := ZMM()
	for t := range k.tokens {
		VMULPS_BCST(k.activation(d, t), factor, f)
		sum := f
		if k.sums != nil {
			sum = k.sums[t]
		} else {
			sum = ZMM()
			VMOVAPS(k.parked(t), sum)
		}
		if minus {
			VFNMADD231PS(v[t], f, sum)
		} else {
			VFMADD231PS(v[t], f, sum)
		}
		if k.sums == nil {
			VMOVAPS(sum, k.parked(t))
		}
	}
}

// floats converts integer sums.
func floats(sums []VecVirtual) {
	for _, v := range sums {
		VCVTDQ2PS(v, v)
	}
}

// end moves on from a block of the given bytes and dwords of the stream, closes the loop over blocks, stores the sums,
// and closes the loop over strips.
func (k *kernel) end(bytes, dwords int) {
	k.pass(dwords)
	ADDQ(I32(int32(bytes)), k.ahead)
	DECQ(k.blocks)
	JNZ(LabelRef("block"))

	Comment("Store the sums, every NaN as the same one.")
	nan := constant(0x7fc00000)
	stride, p := Load(Param("stride"), GP64()), GP64()
	MOVQ(k.out, p)
	for t := range k.tokens {
		var sum VecVirtual
		if k.sums != nil {
			sum = k.sums[t]
		} else {
			sum = ZMM()
			VMOVAPS(k.parked(t), sum)
		}
		unordered := K()
		VCMPPS(Imm(3), sum, sum, unordered)
		VMOVAPS(nan, unordered, sum)
		VMOVUPS(sum, Mem{Base: p})
		ADDQ(stride, p)
	}
	ADDQ(Imm(64), k.out)
	strips := NewParamAddr("strips", 48)
	DECQ(strips)
	JNZ(LabelRef("strip"))
	VZEROUPPER()
	RET()
}
