package wasmpatch

import (
	"strings"

	"github.com/realm-ai/realm/internal/errs"
)

// rewrite makes the patched module.
func (m *patcher) rewrite() ([]byte, error) {
	out := append(make([]byte, 0, len(m.module)+len(m.module)/4+128), header...)
	var body []byte
	for _, id := range order {
		r := m.sections[id]
		present := r.b != nil
		switch id { // what is added needs these, whatever the module has
		case secType, secImport, secGlobal, secExport:
			present = true
		case secFunction, secCode:
			present = present || m.options.Detach
		case secData:
			// Only a module that counts its data segments can name them in code.
			present = present && !(m.options.Detach && m.sections[secDataCount].b == nil)
		case secStart:
			present = present && !m.options.Detach
		}
		if !present {
			continue
		}
		body = m.section(&r, id, body[:0])
		if r.err == nil && !r.done() {
			return nil, invalid("offset %#x: section %d has more bytes than elements", r.at, id)
		}
		if r.err != nil {
			return nil, r.err
		}
		out = appendU32(append(out, id), uint32(len(body)))
		out = append(out, body...)
	}
	if m.names.b != nil {
		body = m.nameSection(&m.names, appendName(body[:0], "name"))
		out = appendU32(append(out, secCustom), uint32(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

// section appends the patched content of a section to dst. A section that the module does not have reads as an empty
// vector.
func (m *patcher) section(r *reader, id byte, dst []byte) []byte {
	switch id {
	case secStart:
		return m.funcIndex(r, dst)
	case secDataCount:
		if m.options.Detach {
			r.take(r.left())
			return appendU32(dst, uint32(m.segments))
		}
		return append(dst, r.take(r.left())...)
	}
	n := 0
	if r.b != nil {
		n = r.count()
	}
	added := 0
	switch id {
	case secType:
		m.meter.firstType = len(m.types)
		added = 1 + m.resultTypes()
		if m.options.Detach {
			added++
		}
	case secImport:
		added = 1
	case secGlobal:
		added = 2
	case secExport:
		added = 2 + len(m.mutable)
		if m.options.Detach {
			added++
		}
	case secFunction:
		if m.options.Detach {
			added = 1
		}
	case secMemory:
		if n > 1 {
			r.fail(errs.Unsupported, "offset %#x: %d memories: more than one is beyond WebAssembly 2.0", r.at, n)
		}
	case secCode:
		if n != len(m.funcs) {
			r.fail(errs.InvalidFormat, "offset %#x: %d functions have code, %d have types", r.at, n, len(m.funcs))
		}
	}
	if id == secCode && m.options.Detach {
		added = 1
	}
	dst = appendU32(dst, uint32(n+added))
	switch id {
	case secTable:
		for range n {
			dst = append(dst, r.refType())
			dst = m.limits(r, dst, "table", "elements", m.options.TableElements)
		}
	case secMemory:
		for range n {
			dst = m.limits(r, dst, "memory", "pages of 64 KiB", m.options.MemoryPages)
		}
	case secGlobal:
		for range n { // value type, mutability
			dst = append(dst, r.byte(), r.byte())
			dst = m.constExpr(r, dst)
		}
		dst = append(dst, 0x7e, 1, byte(opI64Const), 0, byte(opEnd)) // the counter
		dst = append(dst, 0x7f, 1, byte(opI32Const), 0, byte(opEnd)) // whether memory was denied
	case secExport:
		dst = m.exports(r, dst, n)
	case secElement:
		for range n {
			dst = m.element(r, dst)
		}
	case secCode:
		for i := range n {
			dst = m.code(r, dst, i)
		}
		if m.options.Detach {
			dst = m.startCode(dst)
		}
	case secData:
		for range n {
			dst = m.data(r, dst)
		}
	default: // types, imports and functions, to which the scan has been
		dst = append(dst, r.take(r.left())...)
		switch id {
		case secType:
			dst = append(dst, 0x60, 1, 0x7e, 1, 0x7e)
			for _, results := range m.meter.results {
				dst = append(appendU32(append(dst, 0x60, 0), uint32(len(results))), results...)
			}
			if m.options.Detach {
				dst = append(dst, 0x60, 0, 0)
			}
		case secFunction:
			if m.options.Detach {
				dst = appendU32(dst, uint32(m.meter.firstType+1+len(m.meter.results)))
			}
		case secImport:
			dst = appendName(appendName(dst, MeterModule), RefillName)
			dst = appendU32(append(dst, kindFunc), uint32(m.meter.firstType))
		}
	}
	return dst
}

func (m *patcher) exports(r *reader, dst []byte, n int) []byte {
	for range n {
		start := r.at
		name := r.name()
		if name == FuelGlobal || name == DeniedGlobal || name == StartExport || strings.HasPrefix(name, GlobalPrefix) {
			r.fail(errs.Unsupported, "offset %#x: export %q: the name is reserved for the meter", start, name)
		}
		kind := r.byte()
		dst = append(appendName(dst, name), kind)
		at := r.at
		switch kind {
		case kindFunc:
			index := *r
			dst = m.funcIndex(r, dst)
			if r.err == nil {
				m.exported = append(m.exported, m.function("", name, m.typeOf(index.u32())))
			}
		case kindGlobal:
			i := r.u32()
			m.checkGlobal(r, at, i)
			dst = appendU32(dst, i)
		case kindMemory:
			m.memories = append(m.memories, name)
			dst = appendU32(dst, r.u32())
		default:
			dst = appendU32(dst, r.u32())
		}
	}
	dst = appendU32(append(appendName(dst, FuelGlobal), kindGlobal), m.fuelGlobal())
	dst = appendU32(append(appendName(dst, DeniedGlobal), kindGlobal), m.fuelGlobal()+1)
	for _, i := range m.mutable {
		dst = appendU32(append(appendName(dst, globalName(i)), kindGlobal), i)
	}
	if m.options.Detach {
		dst = appendU32(append(appendName(dst, StartExport), kindFunc), uint32(m.importedFuncs+1+len(m.funcs)))
	}
	return dst
}

// typeOf is the index of the type of a function that the module has.
func (m *patcher) typeOf(i uint32) uint32 {
	if int64(i) < int64(m.importedFuncs) {
		return m.importTypes[i]
	}
	return m.funcs[int(i)-m.importedFuncs]
}

// startCode appends the function StartExport, which calls the module's start function.
func (m *patcher) startCode(dst []byte) []byte {
	body := []byte{0}
	if start := m.sections[secStart]; start.b != nil {
		body = m.funcIndex(&start, append(body, byte(opCall)))
	}
	body = append(body, byte(opEnd))
	return append(appendU32(dst, uint32(len(body))), body...)
}

// element copies an element segment. Its flags say whether it is passive (bit 0), whether it names its table or is
// declarative (bit 1), and whether its elements are expressions (bit 2).
// https://webassembly.github.io/spec/core/binary/modules.html#element-section
func (m *patcher) element(r *reader, dst []byte) []byte {
	start := r.at
	flags := r.u32()
	if flags > 7 {
		r.fail(errs.InvalidFormat, "offset %#x: element segment: flags %#x", start, flags)
		return dst
	}
	dst = appendU32(dst, flags)
	if flags&1 == 0 {
		if flags&2 != 0 {
			dst = appendU32(dst, r.u32())
		}
		dst = m.constExpr(r, dst)
	}
	if flags&3 != 0 {
		dst = append(dst, r.byte()) // element kind or reference type
	}
	n := r.count()
	dst = appendU32(dst, uint32(n))
	for range n {
		if r.err != nil {
			break
		}
		if flags&4 != 0 {
			dst = m.constExpr(r, dst)
		} else {
			dst = m.funcIndex(r, dst)
		}
	}
	return dst
}

func (m *patcher) data(r *reader, dst []byte) []byte {
	start := r.at
	flags := r.u32()
	if flags > 2 {
		r.fail(errs.InvalidFormat, "offset %#x: data segment: flags %#x", start, flags)
		return dst
	}
	if m.options.Detach && flags != 1 { // what instantiation drops once it is in place: an empty segment is the same
		if flags == 2 {
			r.u32()
		}
		m.constExpr(r, nil)
		r.take(r.count())
		return append(dst, 1, 0)
	}
	dst = appendU32(dst, flags)
	if flags == 2 {
		dst = appendU32(dst, r.u32())
	}
	if flags != 1 {
		dst = m.constExpr(r, dst)
	}
	n := r.count()
	return append(appendU32(dst, uint32(n)), r.take(n)...)
}

// nameSection copies the names of the module (subsection 0) and of its functions (1), which stack traces show. A
// malformed name section means nothing to an engine, so what could be read of it is kept.
// https://webassembly.github.io/spec/core/appendix/custom.html#name-section
func (m *patcher) nameSection(r *reader, dst []byte) []byte {
	for !r.done() {
		id := r.byte()
		body := r.sub(int(r.u32()))
		if r.err != nil {
			break
		}
		switch id {
		case 0:
			name := body.name()
			if body.err == nil {
				sub := appendName(nil, name)
				dst = append(appendU32(append(dst, id), uint32(len(sub))), sub...)
			}
		case 1:
			n := body.count()
			sub := appendU32(nil, uint32(n))
			for range n {
				sub = m.funcIndex(&body, sub)
				sub = appendName(sub, body.name())
				if body.err != nil {
					break
				}
			}
			if body.err == nil {
				dst = append(appendU32(append(dst, id), uint32(len(sub))), sub...)
			}
		}
	}
	return dst
}
