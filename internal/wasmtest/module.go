// Package wasmtest owns the writing of small WebAssembly modules in tests: hostile guests and inputs of parsers, which no
// compiler would make. It checks nothing, so that it can write what is wrong. Start at Module and Code.
package wasmtest

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The value types.
const (
	I32     = 0x7f
	I64     = 0x7e
	F32     = 0x7d
	F64     = 0x7c
	V128    = 0x7b
	FuncRef = 0x70
)

// Module is a module in the making. Indices are those of WebAssembly: imports come before what the module defines.
type Module struct {
	Uncounted bool // leave out the count of data segments, as Go's linker does

	types, imports, funcs, tables, memories, globals, exports, elements, code, data []string
	imported                                                                        int
	start                                                                           string
	custom                                                                          []string
}

// Type adds a function type.
func (m *Module) Type(params, results []byte) int {
	t := "\x60" + vec(len(params)) + string(params) + vec(len(results)) + string(results)
	for i, known := range m.types {
		if known == t {
			return i
		}
	}
	m.types = append(m.types, t)
	return len(m.types) - 1
}

// Import adds an imported function and returns its index. Imports come before Func.
func (m *Module) Import(module, name string, params, results []byte) int {
	m.imports = append(m.imports, str(module)+str(name)+"\x00"+vec(m.Type(params, results)))
	m.imported++
	return m.imported - 1
}

// ImportRaw adds an import of any kind, which descriptor says.
func (m *Module) ImportRaw(module, name, descriptor string) {
	m.imports = append(m.imports, str(module)+str(name)+descriptor)
}

// Func adds a function with the locals and code, which Code writes, and returns its index.
func (m *Module) Func(params, results, locals []byte, code string) int {
	m.funcs = append(m.funcs, vec(m.Type(params, results)))
	body := vec(len(locals))
	for _, t := range locals {
		body += "\x01" + string(t)
	}
	m.code = append(m.code, str(body+Code(code)+"\x0b"))
	return m.imported + len(m.funcs) - 1
}

// FuncRaw adds a function of a type with the bytes of its body: locals, instructions and the end.
func (m *Module) FuncRaw(t int, body string) {
	m.funcs = append(m.funcs, vec(t))
	m.code = append(m.code, str(body))
}

// Memory adds a memory; most below 0 is no maximum.
func (m *Module) Memory(least, most int) { m.memories = append(m.memories, limits(least, most)) }

// Table adds a table of functions.
func (m *Module) Table(least, most int) {
	m.tables = append(m.tables, "\x70"+limits(least, most))
}

// Global adds a mutable global with an initialiser.
func (m *Module) Global(t byte, code string) int {
	m.globals = append(m.globals, string([]byte{t, 1})+Code(code)+"\x0b")
	return len(m.globals) - 1
}

// Export adds an export; kind is 0 for a function, 1 a table, 2 a memory, 3 a global.
func (m *Module) Export(name string, kind byte, index int) {
	m.exports = append(m.exports, str(name)+string([]byte{kind})+vec(index))
}

// Start sets the start function.
func (m *Module) Start(f int) { m.start = vec(f) }

// Elements adds an active segment of functions for table 0.
func (m *Module) Elements(offset int, funcs ...int) {
	s := "\x00" + Code("i32.const "+strconv.Itoa(offset)) + "\x0b" + vec(len(funcs))
	for _, f := range funcs {
		s += vec(f)
	}
	m.elements = append(m.elements, s)
}

// ElementsRaw adds an element segment.
func (m *Module) ElementsRaw(segment string) { m.elements = append(m.elements, segment) }

// Data adds an active segment for memory 0.
func (m *Module) Data(offset int, bytes string) {
	m.data = append(m.data, "\x00"+Code("i32.const "+strconv.Itoa(offset))+"\x0b"+str(bytes))
}

// Custom adds a custom section at the end.
func (m *Module) Custom(name, content string) { m.custom = append(m.custom, str(name)+content) }

// Bytes writes the module.
func (m *Module) Bytes() []byte {
	var b strings.Builder
	b.WriteString("\x00asm\x01\x00\x00\x00")
	section := func(id byte, items []string) {
		if len(items) > 0 {
			body := vec(len(items)) + strings.Join(items, "")
			b.WriteString(string([]byte{id}) + vec(len(body)) + body)
		}
	}
	section(1, m.types)
	section(2, m.imports)
	section(3, m.funcs)
	section(4, m.tables)
	section(5, m.memories)
	section(6, m.globals)
	section(7, m.exports)
	if m.start != "" {
		b.WriteString("\x08" + vec(len(m.start)) + m.start)
	}
	section(9, m.elements)
	if len(m.data) > 0 && !m.Uncounted {
		b.WriteString("\x0c" + str(vec(len(m.data))))
	}
	section(10, m.code)
	section(11, m.data)
	for _, c := range m.custom {
		b.WriteString("\x00" + vec(len(c)) + c)
	}
	return []byte(b.String())
}

func limits(least, most int) string {
	if most < 0 {
		return "\x00" + vec(least)
	}
	return "\x01" + vec(least) + vec(most)
}

func vec(n int) string { return string(binary.AppendUvarint(nil, uint64(n))) }

func str(s string) string { return vec(len(s)) + s }

func signed(x int64) string {
	var b []byte
	for x < -0x40 || x >= 0x40 {
		b = append(b, byte(x)|0x80)
		x >>= 7
	}
	return string(append(b, byte(x)&0x7f))
}

// Code assembles instructions in the names of the text format, with their immediates as numbers, separated by spaces:
//
//	block i32.const 1 br_if 0 end
//
// A block has no type unless one stands behind it, as in `block:i32`. Numbers in br_table are the labels, the default
// last, joined by commas. Loads and stores have the offset as their immediate. It panics at an unknown name.
func Code(text string) string {
	words := strings.Fields(text)
	var out strings.Builder
	for i := 0; i < len(words); i++ {
		name, blockType, _ := strings.Cut(words[i], ":")
		op, ok := instructions[name]
		if !ok {
			panic(fmt.Sprintf("wasmtest: unknown instruction %q", words[i]))
		}
		out.WriteString(op.code)
		next := func() string {
			i++
			if i >= len(words) {
				panic(fmt.Sprintf("wasmtest: %s: no immediate", name))
			}
			return words[i]
		}
		for _, kind := range op.immediates {
			switch kind {
			case 'b':
				if t, ok := blockTypes[blockType]; ok {
					out.WriteString(t)
				} else {
					out.WriteString(signed(number(blockType)))
				}
			case 'u':
				out.WriteString(vec(int(number(next()))))
			case 's':
				out.WriteString(signed(number(next())))
			case 'm':
				out.WriteString("\x00" + vec(int(number(next()))))
			case '0':
				out.WriteByte(0)
			case 'l':
				labels := strings.Split(next(), ",")
				out.WriteString(vec(len(labels) - 1))
				for _, l := range labels {
					out.WriteString(vec(int(number(l))))
				}
			case 'f':
				f, err := strconv.ParseFloat(next(), 32)
				if err != nil {
					panic(err)
				}
				out.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(f))))
			}
		}
	}
	return out.String()
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		panic(err)
	}
	return n
}

var blockTypes = map[string]string{"": "\x40", "i32": "\x7f", "i64": "\x7e", "f32": "\x7d"}

// instructions are those that tests use. The letters say what follows: b a block type, u an index, s a signed number, m
// alignment 0 and an offset, l labels, f a float32, 0 a zero byte.
var instructions = map[string]struct{ code, immediates string }{
	"unreachable": {"\x00", ""}, "nop": {"\x01", ""}, "block": {"\x02", "b"}, "loop": {"\x03", "b"}, "if": {"\x04", "b"},
	"else": {"\x05", ""}, "end": {"\x0b", ""}, "br": {"\x0c", "u"}, "br_if": {"\x0d", "u"}, "br_table": {"\x0e", "l"},
	"return": {"\x0f", ""}, "call": {"\x10", "u"}, "call_indirect": {"\x11", "u0"}, "drop": {"\x1a", ""},
	"select": {"\x1b", ""}, "local.get": {"\x20", "u"}, "local.set": {"\x21", "u"}, "local.tee": {"\x22", "u"},
	"global.get": {"\x23", "u"}, "global.set": {"\x24", "u"}, "i32.load": {"\x28", "m"}, "i64.load": {"\x29", "m"},
	"f32.load": {"\x2a", "m"}, "i32.load8_u": {"\x2d", "m"}, "i32.store": {"\x36", "m"}, "i64.store": {"\x37", "m"},
	"f32.store": {"\x38", "m"}, "i32.store8": {"\x3a", "m"}, "memory.size": {"\x3f", "0"}, "memory.grow": {"\x40", "0"},
	"i32.const": {"\x41", "s"}, "i64.const": {"\x42", "s"}, "f32.const": {"\x43", "f"}, "i32.eqz": {"\x45", ""},
	"i32.eq": {"\x46", ""}, "i32.ne": {"\x47", ""}, "i32.lt_u": {"\x49", ""}, "i32.gt_u": {"\x4b", ""},
	"i32.lt_s": {"\x48", ""}, "f32.gt": {"\x5e", ""}, "i32.add": {"\x6a", ""}, "i32.sub": {"\x6b", ""},
	"i32.mul": {"\x6c", ""}, "i32.and": {"\x71", ""}, "i32.xor": {"\x73", ""}, "i32.shl": {"\x74", ""},
	"i64.add": {"\x7c", ""}, "i32.wrap_i64": {"\xa7", ""}, "i64.extend_i32_u": {"\xad", ""},
	"ref.null": {"\xd0\x70", ""}, "ref.func": {"\xd2", "u"}, "table.get": {"\x25", "u"}, "table.set": {"\x26", "u"},
	"memory.copy": {"\xfc\x0a", "00"}, "memory.fill": {"\xfc\x0b", "0"}, "memory.init": {"\xfc\x08", "u0"},
	"data.drop": {"\xfc\x09", "u"}, "table.grow": {"\xfc\x0f", "u"}, "table.size": {"\xfc\x10", "u"},
	"table.fill": {"\xfc\x11", "u"}, "i32.trunc_sat_f32_s": {"\xfc\x00", ""}, "i32x4.splat": {"\xfd\x11", ""},
	"i32x4.add": {"\xfd\xae\x01", ""}, "i32x4.extract_lane": {"\xfd\x1b", "u"}, "i32.extend8_s": {"\xc0", ""},
}
