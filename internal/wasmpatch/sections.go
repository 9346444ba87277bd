package wasmpatch

import (
	"bytes"
	"slices"

	"github.com/realm-ai/realm/internal/errs"
)

// Section ids. https://webassembly.github.io/spec/core/binary/modules.html#sections
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
)

// order is the order in which sections stand, which for the data count is not that of the ids.
var order = []byte{
	secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode,
	secData,
}

// The kinds of imports and exports.
const (
	kindFunc   = 0
	kindTable  = 1
	kindMemory = 2
	kindGlobal = 3
)

// patcher holds a module between its two passes. scan finds the sections and what code refers to; rewrite makes the new
// module, with the refill function as the last import: functions that the module defines move up by one.
type patcher struct {
	module  []byte
	options Options

	sections [secDataCount + 1]reader // by id, empty where the module has none
	names    reader                   // the content of the first "name" section

	types           []funcType
	imports         []Func   // the functions among them
	importTypes     []uint32 // of these
	exported        []Func   // the functions among them
	memories        []string // exported, by name
	importedFuncs   int
	importedGlobals int
	funcs           []uint32 // type indices of the functions that the module defines
	globals         int      // that the module defines
	mutable         []uint32 // of these
	hidden          string   // state that is neither memory nor a numeric global
	segments        int      // of data, where they are taken from instantiation
	active          []Segment

	meter meter
}

// funcType is what a function's code depends on of its type.
type funcType struct {
	params  []byte
	results []byte
}

var header = []byte("\x00asm\x01\x00\x00\x00")

func invalid(format string, args ...any) error {
	return errs.Wrap(errs.Errorf(errs.InvalidFormat, format, args...), "wasmpatch")
}

// scan finds the sections and reads those that say what indices mean.
func (m *patcher) scan() error {
	if !bytes.HasPrefix(m.module, header) {
		return invalid("offset 0: not a WebAssembly module of version 1")
	}
	r := &reader{b: m.module, at: len(header)}
	next := 0 // in order
	for !r.done() {
		start := r.at
		id := r.byte()
		body := r.sub(int(r.u32()))
		if r.err != nil {
			return r.err
		}
		if id == secCustom {
			if name := body.name(); body.err == nil && name == "name" && m.names.b == nil {
				m.names = body
			}
			continue
		}
		if id == 13 {
			return errs.Errorf(errs.Unsupported, "wasmpatch: offset %#x: tags (exceptions) are beyond WebAssembly 2.0", start)
		}
		i := slices.Index(order[next:], id)
		if i < 0 {
			return invalid("offset %#x: section %d is unknown, repeated or out of order", start, id)
		}
		next += i + 1
		m.sections[id] = body
	}
	for _, read := range []struct {
		id byte
		f  func(*reader)
	}{{secType, m.scanTypes}, {secImport, m.scanImports}, {secFunction, m.scanFuncs}, {secGlobal, m.scanGlobals}, {secData, m.scanData}} {
		if body := m.sections[read.id]; body.b != nil {
			read.f(&body)
			if body.err == nil && !body.done() {
				return invalid("offset %#x: section %d has more bytes than elements", body.at, read.id)
			}
			if body.err != nil {
				return body.err
			}
		}
	}
	return nil
}

func (m *patcher) scanTypes(r *reader) {
	for range r.count() {
		if form := r.byte(); form != 0x60 {
			r.fail(errs.Unsupported, "offset %#x: type form %#x is beyond WebAssembly 2.0", r.at-1, form)
		}
		var t funcType
		t.params = r.valueTypes()
		t.results = r.valueTypes()
		m.types = append(m.types, t)
	}
}

func (m *patcher) scanImports(r *reader) {
	for range r.count() {
		start := r.at
		module, name := r.name(), r.name()
		if module == MeterModule {
			r.fail(errs.Unsupported, "offset %#x: import %q.%q: the module's name is reserved for the meter", start, module, name)
		}
		switch kind := r.byte(); kind {
		case kindFunc:
			t := r.u32()
			if int64(t) >= int64(len(m.types)) {
				r.fail(errs.InvalidFormat, "offset %#x: import %q.%q: type %d: there are %d", start, module, name, t, len(m.types))
				return
			}
			m.imports = append(m.imports, m.function(module, name, t))
			m.importTypes = append(m.importTypes, t)
			m.importedFuncs++
		case kindGlobal:
			r.valueType()
			r.byte()
			m.importedGlobals++
		case kindTable, kindMemory:
			r.fail(errs.Unsupported, "offset %#x: import %q.%q: a guest brings its own memory and tables", start, module, name)
		default:
			r.fail(errs.Unsupported, "offset %#x: import %q.%q: kind %d is beyond WebAssembly 2.0", start, module, name, kind)
		}
	}
}

func (m *patcher) scanFuncs(r *reader) {
	for range r.count() {
		start := r.at
		t := r.u32()
		if int64(t) >= int64(len(m.types)) {
			r.fail(errs.InvalidFormat, "offset %#x: type %d: there are %d", start, t, len(m.types))
		}
		m.funcs = append(m.funcs, t)
	}
}

func (m *patcher) scanGlobals(r *reader) {
	m.globals = r.count()
	for i := range m.globals {
		t, mutable := r.valueType(), r.byte() == 1
		if mutable && r.err == nil {
			m.mutable = append(m.mutable, uint32(m.importedGlobals+i))
			if t == 0x7b || t == 0x70 || t == 0x6f {
				m.hide("a global of a vector or a reference")
			}
		}
		m.constExpr(r, nil)
	}
}

// hide notes state that memory and numeric globals do not hold.
func (m *patcher) hide(what string) {
	if m.hidden == "" {
		m.hidden = what
	}
}

// scanData finds the active data segments, where they are to be taken from instantiation.
func (m *patcher) scanData(r *reader) {
	if !m.options.Detach {
		r.take(r.left())
		return
	}
	m.segments = r.count()
	for range m.segments {
		start := r.at
		flags := r.u32()
		if flags == 2 {
			r.zero()
		} else if flags > 1 {
			r.fail(errs.InvalidFormat, "offset %#x: data segment: flags %#x", start, flags)
		}
		var s Segment
		if flags != 1 {
			at := r.at
			if in := r.instr(); in.op == opI32Const {
				offset := reader{b: r.b, at: in.at + 1}
				s.Offset = uint32(offset.leb(32, true))
			} else {
				r.fail(errs.Unsupported, "offset %#x: a data segment whose place is no constant", at)
			}
			if in := r.instr(); in.op != opEnd {
				r.fail(errs.Unsupported, "offset %#x: a data segment whose place is no constant", at)
			}
		}
		s.Bytes = r.take(r.count())
		if flags != 1 && r.err == nil {
			m.active = append(m.active, s)
		}
	}
}

// function is a function as Patched shows it. The type's index is checked.
func (m *patcher) function(module, name string, t uint32) Func {
	return Func{Module: module, Name: name, Params: m.types[t].params, Results: m.types[t].results}
}

// shift maps a function index of the module to the patched one.
func (m *patcher) shift(i uint32) uint32 {
	if int64(i) >= int64(m.importedFuncs) {
		return i + 1
	}
	return i
}

// funcIndex reads a function index and appends the patched one.
func (m *patcher) funcIndex(r *reader, dst []byte) []byte {
	start := r.at
	i := r.u32()
	if int64(i) >= int64(m.importedFuncs+len(m.funcs)) {
		r.fail(errs.InvalidFormat, "offset %#x: function %d: there are %d", start, i, m.importedFuncs+len(m.funcs))
		return dst
	}
	return appendU32(dst, m.shift(i))
}

// checkGlobal refuses a global that the module does not have, the meter's among them.
func (m *patcher) checkGlobal(r *reader, at int, i uint32) {
	if int64(i) >= int64(m.importedGlobals+m.globals) {
		r.fail(errs.InvalidFormat, "offset %#x: global %d: there are %d", at, i, m.importedGlobals+m.globals)
	}
}

// constExpr reads an initialiser with its end and appends it with function indices patched.
func (m *patcher) constExpr(r *reader, dst []byte) []byte {
	for {
		in := r.instr()
		if r.err != nil {
			return dst
		}
		switch in.op {
		case opEnd:
			return append(dst, byte(opEnd))
		case opRefFunc:
			ref := reader{b: r.b, at: in.at + 1}
			dst = m.funcIndex(&ref, append(dst, byte(opRefFunc)))
			r.stop(ref.err)
			continue
		case opGlobalGet:
			m.checkGlobal(r, in.at, in.index)
		case opI32Const, opI64Const, opF32Const, opF64Const, opV128Const, opRefNull:
		default:
			r.fail(errs.InvalidFormat, "offset %#x: instruction %#x in an initialiser", in.at, in.op)
		}
		dst = append(dst, r.b[in.at:in.end]...)
	}
}

// limits reads the limits of a table or memory, in units, and appends them with the maximum at most highest.
func (m *patcher) limits(r *reader, dst []byte, what, units string, highest uint32) []byte {
	start := r.at
	flags := r.byte()
	if flags > 1 {
		r.fail(errs.Unsupported, "offset %#x: %s: shared and 64-bit ones are beyond WebAssembly 2.0", start, what)
		return dst
	}
	least, most := r.u32(), highest
	if flags == 1 {
		most = min(most, r.u32())
	}
	switch {
	case r.err != nil:
	case least > highest:
		r.fail(errs.LimitExceeded, "offset %#x: %s: starts with %d %s, more than the limit of %d", start, what, least, units, highest)
	case least > most:
		r.fail(errs.InvalidFormat, "offset %#x: %s: starts with %d %s, more than its maximum of %d", start, what, least, units, most)
	}
	return appendU32(appendU32(append(dst, 1), least), most)
}
