//go:build !wasip1

package guesttest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// CheckModule compares a compiled guest with the host ABI, and returns the names of the host functions that it imports.
// It fails with errs.InvalidFormat for what is no WebAssembly module, and with errs.Unsupported for one that imports
// something else or does not export what a guest must.
func CheckModule(module []byte) (imports []string, err error) {
	if len(module) < 8 || string(module[:8]) != "\x00asm\x01\x00\x00\x00" {
		return nil, errs.Errorf(errs.InvalidFormat, "guesttest: not a WebAssembly module")
	}
	m := reader{data: module[8:]}
	p := parts{exports: map[string]string{}}
	for len(m.data) > 0 && m.err == nil && p.err == nil {
		id := m.byte()
		section := reader{data: m.bytes()}
		p.read(id, &section)
		m.fail(section.err)
	}
	if m.err != nil {
		return nil, m.err
	}
	for _, f := range abi.Exports() {
		if got, ok := p.exports[f.Name]; ok && got != signature(f) || !ok && !f.Optional {
			p.wrong("exports %s as %q, want %s", f.Name, got, signature(f))
		}
	}
	if p.exports[abi.MemoryExport] != "memory" {
		p.wrong("exports no memory")
	}
	return p.imports, p.err
}

// signature is a function's type by the table, in the notation of docs/abi.md.
func signature(f abi.Func) string {
	result := map[abi.Type]string{abi.U32: "i32", abi.I32: "i32", abi.I64: "i64"}[f.Result]
	return fmt.Sprintf("(%s) -> (%s)", strings.Join(slices.Repeat([]string{"i32"}, len(f.Params)), ", "), result)
}

// parts is what of a module matters here.
type parts struct {
	types, funcs []string // signatures
	imports      []string
	exports      map[string]string // signatures, "memory" for that
	err          error             // the first breach of the ABI
}

func (p *parts) wrong(format string, args ...any) {
	if p.err == nil {
		p.err = errs.Errorf(errs.Unsupported, "guesttest: the guest "+format, args...)
	}
}

// read reads a section, https://webassembly.github.io/spec/core/binary/modules.html.
func (p *parts) read(id byte, s *reader) {
	switch id {
	case 1: // types
		for range s.count() {
			s.byte() // 0x60, a function
			params := s.types()
			p.types = append(p.types, fmt.Sprintf("(%s) -> (%s)", params, s.types()))
		}
	case 2: // imports
		for range s.count() {
			module, name := string(s.bytes()), string(s.bytes())
			if kind := s.byte(); kind != 0 {
				p.wrong("imports %s.%s, which is no function", module, name)
				return
			}
			typ := s.pick(p.types)
			p.funcs = append(p.funcs, typ)
			switch f, ok := abi.Function(name); {
			case module == abi.WASIModule:
			case module != abi.Module || !ok:
				p.wrong("imports %s.%s", module, name)
			case typ != signature(f):
				p.wrong("imports %s as %s, want %s", name, typ, signature(f))
			default:
				p.imports = append(p.imports, name)
			}
		}
	case 3: // functions
		for range s.count() {
			p.funcs = append(p.funcs, s.pick(p.types))
		}
	case 7: // exports
		for range s.count() {
			name, kind := string(s.bytes()), s.byte()
			switch kind {
			case 0:
				p.exports[name] = s.pick(p.funcs)
			default:
				s.uint()
				p.exports[name] = map[byte]string{1: "table", 2: "memory", 3: "global"}[kind]
			}
		}
	}
}

// reader reads a module's bytes and keeps the first error, after which there is nothing left.
type reader struct {
	data []byte
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil && err != nil {
		r.err, r.data = err, nil
	}
}

var errCutOff = errs.Errorf(errs.InvalidFormat, "guesttest: the module is cut off or damaged")

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail(errCutOff)
		return 0
	}
	r.data = r.data[n:]
	return v
}

// count reads the number of elements that follow, each of which takes a byte or more.
func (r *reader) count() uint64 {
	n := r.uint()
	if n > uint64(len(r.data)) {
		r.fail(errCutOff)
		return 0
	}
	return n
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.fail(errCutOff)
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) bytes() []byte {
	n := r.count()
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// pick reads an index of list.
func (r *reader) pick(list []string) string {
	if i := r.uint(); i < uint64(len(list)) {
		return list[i]
	}
	r.fail(errCutOff)
	return ""
}

// types reads value types, such as "i32, i64".
func (r *reader) types() string {
	var names []string
	for _, b := range r.bytes() {
		names = append(names, map[byte]string{0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64"}[b])
	}
	return strings.Join(names, ", ")
}
