package f16

import (
	"math"
	"testing"
)

// exact returns the value of a finite half from the definition in IEEE 754, in float64.
func exact(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&0x3ff)
	v := math.Ldexp(frac, -24)
	if exp > 0 {
		v = math.Ldexp(1024+frac, exp-25)
	}
	return math.Copysign(v, 1-2*float64(h>>15))
}

func isNaN(h uint16) bool { return h&0x7fff > 0x7c00 }

func TestToFloat32EveryValue(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		var want uint32
		switch {
		case isNaN(h):
			want = uint32(h&0x8000)<<16 | 0x7fc00000 | uint32(h&0x3ff)<<13
		case h&0x7fff == 0x7c00:
			want = uint32(h&0x8000)<<16 | 0x7f800000
		default:
			want = math.Float32bits(float32(exact(h)))
		}
		if got := math.Float32bits(ToFloat32(h)); got != want {
			t.Fatalf("ToFloat32(%#04x) = %#08x, want %#08x", h, got, want)
		}
		if got, want := math.Float32bits(BF16ToFloat32(h)), uint32(h)<<16; got != want {
			t.Fatalf("BF16ToFloat32(%#04x) = %#08x, want %#08x", h, got, want)
		}
	}
}

func TestRoundTripEveryValue(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		want := h
		if isNaN(h) {
			want |= 0x0200
		}
		if got := FromFloat32(ToFloat32(h)); got != want {
			t.Fatalf("F16: %#04x comes back as %#04x, want %#04x", h, got, want)
		}
		want = h
		if h&0x7fff > 0x7f80 {
			want |= 0x0040
		}
		if got := BF16FromFloat32(BF16ToFloat32(h)); got != want {
			t.Fatalf("BF16: %#04x comes back as %#04x, want %#04x", h, got, want)
		}
	}
}

// Between two neighbours every float32 belongs to the nearer one, and the midpoint to the even one. The midpoint of two
// halves is itself a float32, so the float32s on either side of it are the tightest test there is.
func TestFromFloat32EveryRoundingBoundary(t *testing.T) {
	for i := range uint16(0x7c00) {
		mid := (exact(i) + exact(i+1)) / 2
		if i == 0x7bff {
			mid = 65520 // halfway from 65504 to 65536, which a half would hold next
		}
		even := i + i&1
		checkBoundary(t, "F16", FromFloat32, float32(mid), i, even, i+1)
	}
}

func TestBF16FromFloat32EveryRoundingBoundary(t *testing.T) {
	for i := range uint16(0x7f80) {
		mid := math.Float32frombits(uint32(i)<<16 | 0x8000)
		checkBoundary(t, "BF16", BF16FromFloat32, mid, i, i+i&1, i+1)
	}
}

func checkBoundary(t *testing.T, name string, from func(float32) uint16, mid float32, below, at, above uint16) {
	t.Helper()
	for _, c := range []struct {
		f    float32
		want uint16
	}{
		{math.Nextafter32(mid, 0), below},
		{mid, at},
		{math.Nextafter32(mid, math.MaxFloat32), above},
	} {
		if got := from(c.f); got != c.want {
			t.Fatalf("%s: %x gives %#04x, want %#04x", name, c.f, got, c.want)
		}
		if got := from(-c.f); got != c.want|0x8000 {
			t.Fatalf("%s: %x gives %#04x, want %#04x", name, -c.f, got, c.want|0x8000)
		}
	}
}

func TestFromFloat32Extremes(t *testing.T) {
	for _, c := range []struct {
		bits      uint32
		f16, bf16 uint16
	}{
		{0x00000000, 0x0000, 0x0000},
		{0x80000000, 0x8000, 0x8000},
		{0x00000001, 0x0000, 0x0000}, // smallest subnormal float32
		{0x007fffff, 0x0000, 0x0080}, // largest subnormal float32
		{0x33000000, 0x0000, 0x3300}, // 2^-25, a tie between 0 and the smallest subnormal half
		{0x33000001, 0x0001, 0x3300},
		{0x477fefff, 0x7bff, 0x4780}, // just under 65520
		{0x477ff000, 0x7c00, 0x4780},
		{0x7f7fffff, 0x7c00, 0x7f80}, // largest float32
		{0xff7fffff, 0xfc00, 0xff80},
		{0x7f800000, 0x7c00, 0x7f80},
		{0xff800000, 0xfc00, 0xff80},
		{0x7fc00000, 0x7e00, 0x7fc0},
		{0x7f800001, 0x7e00, 0x7fc0}, // signalling NaN whose payload would be lost
		{0xffa46000, 0xff23, 0xffe4},
	} {
		f := math.Float32frombits(c.bits)
		if got := FromFloat32(f); got != c.f16 {
			t.Errorf("FromFloat32(%#08x) = %#04x, want %#04x", c.bits, got, c.f16)
		}
		if got := BF16FromFloat32(f); got != c.bf16 {
			t.Errorf("BF16FromFloat32(%#08x) = %#04x, want %#04x", c.bits, got, c.bf16)
		}
	}
}

func TestSlices(t *testing.T) {
	halves := make([]uint16, 1<<16)
	for i := range halves {
		halves[i] = uint16(i)
	}
	floats := make([]float32, len(halves)+1)
	floats[len(halves)] = 42
	DecodeSlice(floats, halves)
	back := make([]uint16, len(floats))
	EncodeSlice(back, floats)
	for i, h := range halves {
		if got, want := math.Float32bits(floats[i]), math.Float32bits(ToFloat32(h)); got != want {
			t.Fatalf("DecodeSlice: %#04x gives %#08x, want %#08x", h, got, want)
		}
		if got, want := back[i], FromFloat32(floats[i]); got != want {
			t.Fatalf("EncodeSlice: %#08x gives %#04x, want %#04x", math.Float32bits(floats[i]), got, want)
		}
	}
	if floats[len(halves)] != 42 {
		t.Error("DecodeSlice wrote past the length of its source")
	}
}

func BenchmarkDecodeSlice(b *testing.B) {
	src, dst := make([]uint16, 4096), make([]float32, 4096)
	for i := range src {
		src[i] = FromFloat32(float32(i-2048) * 0.01)
	}
	b.SetBytes(int64(len(dst) * 4))
	for b.Loop() {
		DecodeSlice(dst, src)
	}
}

func BenchmarkEncodeSlice(b *testing.B) {
	src, dst := make([]float32, 4096), make([]uint16, 4096)
	for i := range src {
		src[i] = float32(i-2048) * 0.01
	}
	b.SetBytes(int64(len(src) * 4))
	for b.Loop() {
		EncodeSlice(dst, src)
	}
}

// BenchmarkFillTable measures what the table costs a process at its start.
func BenchmarkFillTable(b *testing.B) {
	for b.Loop() {
		fillTable()
	}
}
