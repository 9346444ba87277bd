package wasmpatch

import "github.com/realm-ai/realm/internal/errs"

// reader reads the bytes of a module from at to the end of b. Offsets are those in the module, so that errors can name
// them. The first error stays; after it every read gives zero and done is true, so that loops end.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(code errs.Code, format string, args ...any) {
	r.stop(errs.Wrap(errs.Errorf(code, format, args...), "wasmpatch"))
}

// stop ends the reading with an error, if there is one.
func (r *reader) stop(err error) {
	if err != nil && r.err == nil {
		r.err, r.at = err, len(r.b)
	}
}

func (r *reader) done() bool { return r.at >= len(r.b) }

func (r *reader) left() int { return len(r.b) - r.at }

func (r *reader) byte() byte {
	if r.done() {
		r.fail(errs.InvalidFormat, "offset %#x: the module ends early", r.at)
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > r.left() {
		r.fail(errs.InvalidFormat, "offset %#x: %d bytes: past the end", r.at, n)
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

// leb reads a LEB128 number of at most bits bits, sign-extended to 64 where it is signed.
// https://webassembly.github.io/spec/core/binary/values.html#integers
func (r *reader) leb(bits uint, signed bool) uint64 {
	start := r.at
	var x uint64
	for shift := uint(0); shift < bits; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		x |= uint64(b&0x7f) << shift
		if b&0x80 != 0 {
			continue
		}
		if used := bits - shift; used < 7 { // what the last byte has beyond the width is zero, or copies of the sign
			rest := int8(b<<1) >> 1 >> (used - 1)
			if signed && rest != 0 && rest != -1 || !signed && b>>used != 0 {
				break
			}
		}
		if signed && shift+7 < 64 && b&0x40 != 0 {
			x |= ^uint64(0) << (shift + 7)
		}
		return x
	}
	r.fail(errs.InvalidFormat, "offset %#x: not an integer of %d bits", start, bits)
	return 0
}

func (r *reader) u32() uint32 { return uint32(r.leb(32, false)) }

// count reads the length of a vector whose elements have at least one byte each, which bounds the loop over them.
func (r *reader) count() int {
	start := r.at
	n := r.u32()
	if int64(n) > int64(r.left()) {
		r.fail(errs.InvalidFormat, "offset %#x: %d elements in %d bytes", start, n, r.left())
		return 0
	}
	return int(n)
}

func (r *reader) name() string { return string(r.take(r.count())) }

// sub returns a reader of the next n bytes and skips them.
func (r *reader) sub(n int) reader {
	start := r.at
	if r.take(n) == nil && n > 0 {
		return reader{err: r.err}
	}
	return reader{b: r.b[:start+n], at: start}
}

func appendU32(dst []byte, x uint32) []byte {
	for x >= 0x80 {
		dst = append(dst, byte(x)|0x80)
		x >>= 7
	}
	return append(dst, byte(x))
}

func appendS64(dst []byte, x int64) []byte {
	for x < -0x40 || x >= 0x40 {
		dst = append(dst, byte(x)|0x80)
		x >>= 7
	}
	return append(dst, byte(x)&0x7f)
}

func appendName(dst []byte, s string) []byte {
	return append(appendU32(dst, uint32(len(s))), s...)
}
