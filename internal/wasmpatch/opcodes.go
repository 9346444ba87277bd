package wasmpatch

import "github.com/realm-ai/realm/internal/errs"

// opcode is an instruction's first byte; one with the prefix 0xfc or 0xfd has the prefix in the high byte and its number
// in the low one.
type opcode uint16

// The instructions that are more to the patcher than their immediates.
const (
	opUnreachable  opcode = 0x00
	opNop          opcode = 0x01
	opBlock        opcode = 0x02
	opLoop         opcode = 0x03
	opIf           opcode = 0x04
	opElse         opcode = 0x05
	opEnd          opcode = 0x0b
	opBr           opcode = 0x0c
	opBrIf         opcode = 0x0d
	opBrTable      opcode = 0x0e
	opReturn       opcode = 0x0f
	opCall         opcode = 0x10
	opCallIndirect opcode = 0x11
	opSelect       opcode = 0x1b
	opLocalGet     opcode = 0x20
	opLocalSet     opcode = 0x21
	opLocalTee     opcode = 0x22
	opGlobalGet    opcode = 0x23
	opGlobalSet    opcode = 0x24
	opTableSet     opcode = 0x26
	opMemoryGrow   opcode = 0x40
	opI32Const     opcode = 0x41
	opI64Const     opcode = 0x42
	opF32Const     opcode = 0x43
	opF64Const     opcode = 0x44
	opI32Eq        opcode = 0x46
	opI32LeU       opcode = 0x4d
	opI64GeS       opcode = 0x59
	opI64Sub       opcode = 0x7d
	opI64Shl       opcode = 0x86
	opI64ShrU      opcode = 0x88
	opExtendI32U   opcode = 0xad
	opRefNull      opcode = 0xd0
	opRefFunc      opcode = 0xd2

	opMemoryInit opcode = 0xfc08
	opDataDrop   opcode = 0xfc09
	opMemoryCopy opcode = 0xfc0a
	opMemoryFill opcode = 0xfc0b
	opTableInit  opcode = 0xfc0c
	opElemDrop   opcode = 0xfc0d
	opTableCopy  opcode = 0xfc0e
	opTableGrow  opcode = 0xfc0f
	opTableFill  opcode = 0xfc11
	opV128Const  opcode = 0xfd0c
)

// instr is one instruction: module[at:end].
type instr struct {
	op      opcode
	at, end int
	index   uint32 // the first immediate of those that have an index; labels of br_table without the default
	labels  int    // where br_table's labels begin
}

// later names instructions of proposals after WebAssembly 2.0, which the error for them mentions.
var later = map[byte]string{
	0x06: "try (exceptions)", 0x07: "catch (exceptions)", 0x08: "throw (exceptions)", 0x09: "rethrow (exceptions)",
	0x0a: "throw_ref (exceptions)", 0x12: "return_call (tail calls)", 0x13: "return_call_indirect (tail calls)",
	0x14: "call_ref (typed function references)", 0x15: "return_call_ref (tail calls)", 0x18: "delegate (exceptions)",
	0x19: "catch_all (exceptions)", 0x1f: "try_table (exceptions)", 0xd3: "ref.eq (garbage collection)",
	0xd4: "ref.as_non_null (typed function references)", 0xd5: "br_on_null (typed function references)",
	0xd6: "br_on_non_null (typed function references)", 0xfb: "garbage collection", 0xfe: "threads",
}

// instr reads an instruction.
// https://webassembly.github.io/spec/core/binary/instructions.html
func (r *reader) instr() instr {
	in := instr{at: r.at}
	first := r.byte()
	in.op = opcode(first)
	switch {
	case first == 0xfc || first == 0xfd:
		number := r.u32()
		if number > 0xff {
			r.fail(errs.Unsupported, "offset %#x: instruction %#x %#x is beyond WebAssembly 2.0", in.at, first, number)
			return in
		}
		in.op = opcode(first)<<8 | opcode(number)
		r.prefixed(&in)
	case first == 0x02 || first == 0x03 || first == 0x04:
		r.blockType()
	case first == 0x0c || first == 0x0d || first == 0x10 || first >= 0x20 && first <= 0x26 || first == 0xd2:
		in.index = r.u32()
	case first == 0x0e:
		in.index = uint32(r.count())
		in.labels = r.at
		for range in.index {
			r.u32()
		}
		r.u32()
	case first == 0x11:
		in.index = r.u32()
		r.u32()
	case first == 0x1c:
		for range r.count() {
			r.valueType()
		}
	case first >= 0x28 && first <= 0x3e:
		r.memarg()
	case first == 0x3f || first == 0x40:
		r.zero()
	case first == 0x41:
		r.leb(32, true)
	case first == 0x42:
		r.leb(64, true)
	case first == 0x43:
		r.take(4)
	case first == 0x44:
		r.take(8)
	case first == 0xd0:
		r.refType()
	case first <= 0x01, first == 0x05, first == 0x0b, first == 0x0f, first == 0x1a, first == 0x1b,
		first >= 0x45 && first <= 0xc4, first == 0xd1:
	default:
		if name, ok := later[first]; ok {
			r.fail(errs.Unsupported, "offset %#x: instruction %#x: %s: beyond WebAssembly 2.0", in.at, first, name)
		} else {
			r.fail(errs.Unsupported, "offset %#x: unknown instruction %#x", in.at, first)
		}
	}
	in.end = r.at
	return in
}

// prefixed reads what follows a two-byte opcode.
func (r *reader) prefixed(in *instr) {
	number := byte(in.op)
	if in.op>>8 == 0xfd {
		switch {
		case number <= 11 || number == 92 || number == 93: // loads, stores
			r.memarg()
		case number == 12 || number == 13: // v128.const, i8x16.shuffle
			r.take(16)
		case number >= 21 && number <= 34: // lanes
			r.byte()
		case number >= 84 && number <= 91: // loads and stores of a lane
			r.memarg()
			r.byte()
		}
		return
	}
	switch {
	case number <= 7: // saturating conversions
	case in.op == opMemoryInit:
		in.index = r.u32()
		r.zero()
	case in.op == opMemoryCopy:
		r.zero()
		r.zero()
	case in.op == opMemoryFill:
		r.zero()
	case in.op == opTableInit || in.op == opTableCopy:
		in.index = r.u32()
		r.u32()
	case in.op == opDataDrop || in.op == opElemDrop || in.op >= opTableGrow && in.op <= opTableFill:
		in.index = r.u32()
	default:
		r.fail(errs.Unsupported, "offset %#x: unknown instruction 0xfc %#x", in.at, number)
	}
}

// zero reads a memory index, which in WebAssembly 2.0 can only be 0.
func (r *reader) zero() {
	start := r.at
	if b := r.byte(); b != 0 {
		r.fail(errs.Unsupported, "offset %#x: memory %d: more than one memory is beyond WebAssembly 2.0", start, b)
	}
}

func (r *reader) memarg() {
	start := r.at
	if align := r.u32(); align >= 32 {
		r.fail(errs.Unsupported, "offset %#x: alignment 2^%d", start, align)
	}
	r.u32()
}

func (r *reader) valueType() byte {
	start := r.at
	t := r.byte()
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f: // i32, i64, f32, f64, v128, funcref, externref
	default:
		r.fail(errs.Unsupported, "offset %#x: value type %#x is beyond WebAssembly 2.0", start, t)
	}
	return t
}

// valueTypes reads a vector of value types and returns its elements, which stay those of the module.
func (r *reader) valueTypes() []byte {
	n := r.count()
	types := r.b[r.at : r.at+n]
	for range types {
		r.valueType()
	}
	return types
}

func (r *reader) refType() byte {
	start := r.at
	t := r.byte()
	if t != 0x70 && t != 0x6f {
		r.fail(errs.Unsupported, "offset %#x: reference type %#x is beyond WebAssembly 2.0", start, t)
	}
	return t
}

// blockType reads nothing, one value type or a type index, which is a signed number of 33 bits.
func (r *reader) blockType() {
	start := r.at
	if r.done() {
		r.byte()
		return
	}
	switch b := r.b[r.at]; {
	case b == 0x40:
		r.byte()
	case b&0xc0 == 0x40:
		r.valueType()
	default:
		if int64(r.leb(33, true)) < 0 {
			r.fail(errs.InvalidFormat, "offset %#x: block type below 0", start)
		}
	}
}
