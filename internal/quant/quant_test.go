package quant

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
)

// The ids, and the sizes of a block, as gguf-py's constants.py lists them.
func TestDTypes(t *testing.T) {
	for _, c := range []struct {
		dtype          DType
		id             uint32
		name           string
		weights, bytes int
	}{
		{F32, 0, "F32", 1, 4},
		{F16, 1, "F16", 1, 2},
		{Q4_0, 2, "Q4_0", 32, 18},
		{Q4_1, 3, "Q4_1", 32, 20},
		{Q5_0, 6, "Q5_0", 32, 22},
		{Q5_1, 7, "Q5_1", 32, 24},
		{Q8_0, 8, "Q8_0", 32, 34},
		{Q2_K, 10, "Q2_K", 256, 84},
		{Q3_K, 11, "Q3_K", 256, 110},
		{Q4_K, 12, "Q4_K", 256, 144},
		{Q5_K, 13, "Q5_K", 256, 176},
		{Q6_K, 14, "Q6_K", 256, 210},
		{IQ4_NL, 20, "IQ4_NL", 32, 18},
		{IQ4_XS, 23, "IQ4_XS", 256, 136},
		{BF16, 30, "BF16", 1, 2},
	} {
		if uint32(c.dtype) != c.id || c.dtype.String() != c.name || !c.dtype.Supported() {
			t.Errorf("%v: id %d, supported %v, want %s, %d, true", c.dtype, c.dtype, c.dtype.Supported(), c.name, c.id)
		}
		if w, b := c.dtype.BlockSize(), c.dtype.BlockBytes(); w != c.weights || b != c.bytes {
			t.Errorf("%v: %d weights in %d bytes, want %d in %d", c.dtype, w, b, c.weights, c.bytes)
		}
		for _, name := range []string{c.name, strings.ToLower(c.name)} {
			if got, ok := ByName(name); !ok || got != c.dtype {
				t.Errorf("ByName(%q) = %v, %v", name, got, ok)
			}
		}
	}
}

func TestDTypesWithoutSupport(t *testing.T) {
	for _, c := range []struct {
		dtype DType
		name  string
	}{{9, "Q8_1"}, {16, "IQ2_XXS"}, {26, "I32"}, {39, "MXFP4"}, {42, "Q2_0"}} {
		if c.dtype.Supported() || c.dtype.CanQuantize() || c.dtype.String() != c.name || c.dtype.RowBytes(256) != 0 {
			t.Errorf("%v: supported %v, row of %d bytes", c.dtype, c.dtype.Supported(), c.dtype.RowBytes(256))
		}
		if got, ok := ByName(c.name); !ok || got != c.dtype {
			t.Errorf("ByName(%q) = %v, %v", c.name, got, ok)
		}
	}
	for _, id := range []DType{4, 31, 43, math.MaxUint32} {
		if id.Supported() || id.BlockSize() != 0 || id.BlockBytes() != 0 || !strings.HasPrefix(id.String(), "dtype ") {
			t.Errorf("%v: supported %v, block of %d weights", id, id.Supported(), id.BlockSize())
		}
	}
	for _, name := range []string{"", "Q4", "dtype 99"} {
		if got, ok := ByName(name); ok {
			t.Errorf("ByName(%q) = %v", name, got)
		}
	}
}

func TestRowBytes(t *testing.T) {
	for _, c := range []struct {
		dtype   DType
		n, want int
	}{
		{Q4_K, 0, 0},
		{Q4_K, 2048, 1152},
		{Q4_K, 2049, 0},
		{Q8_0, -32, 0},
		{Q8_0, math.MinInt, 0},
		{F32, math.MaxInt / 4, math.MaxInt / 4 * 4},
		{F32, math.MaxInt/4 + 1, 0},
		{Q8_0, math.MaxInt &^ 31, 0},
	} {
		if got := c.dtype.RowBytes(c.n); got != c.want {
			t.Errorf("%v.RowBytes(%d) = %d, want %d", c.dtype, c.n, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	floats, raw := make([]float32, 256), make([]byte, 144)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"unsupported", Dequantize(floats, raw, 16), "quant: dequantize: IQ2_XXS is not supported"},
		{"no such id", Dequantize(floats, raw, 99), "quant: dequantize: dtype 99 is not supported"},
		{"no quantizer", Quantize(raw, floats, Q2_K), "quant: quantize: Q2_K is not supported"},
		{
			"part of a block", Dequantize(floats[:255], raw, Q4_K),
			"quant: dequantize: Q4_K: 255 weights are not a multiple of the block size 256",
		},
		{
			"too few bytes", Dequantize(floats, raw[:143], Q4_K),
			"quant: dequantize: Q4_K: 256 weights take 144 bytes, not 143",
		},
		{
			"too many bytes", Quantize(raw, floats[:32], Q4_0),
			"quant: quantize: Q4_0: 32 weights take 18 bytes, not 144",
		},
		{"bytes for nothing", Dequantize(nil, raw[:1], F16), "quant: dequantize: F16: 0 weights take 0 bytes, not 1"},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, c.err, c.want)
		}
		_, unsupported := errors.AsType[*UnsupportedError](c.err)
		_, size := errors.AsType[*SizeError](c.err)
		if unsupported == size {
			t.Errorf("%s: error of type %T", c.name, c.err)
		}
	}
	if err := Dequantize(nil, nil, Q6_K); err != nil {
		t.Errorf("no weights: %v", err)
	}
}

// The comments in layout.go speak of single bits; so does this test: each bit of the twelve bytes is set alone.
func TestScaleMinK4EveryBit(t *testing.T) {
	for bit := range 96 {
		var scales [12]byte
		scales[bit/8] = 1 << (bit % 8)
		i, k := bit/8, bit%8
		var wantScale, wantMin [8]uint8
		switch {
		case i < 4 && k < 6:
			wantScale[i] = 1 << k
		case i < 4:
			wantScale[i+4] = 1 << (k - 6 + 4)
		case i < 8 && k < 6:
			wantMin[i-4] = 1 << k
		case i < 8:
			wantMin[i] = 1 << (k - 6 + 4)
		case k < 4:
			wantScale[i-4] = 1 << k
		default:
			wantMin[i-4] = 1 << (k - 4)
		}
		var sc, m [8]uint8
		for j := range sc {
			sc[j], m[j] = ScaleMinK4(j, scales[:])
		}
		if sc != wantScale || m != wantMin {
			t.Errorf("byte %d, bit %d: scales %v, minimums %v, want %v, %v", i, k, sc, m, wantScale, wantMin)
		}
		var packed [12]byte
		packScaleMinK4(&packed, &sc, &m)
		if packed != scales {
			t.Errorf("byte %d, bit %d: packed as %x", i, k, packed)
		}
	}
}

// Zero bytes make every signed scale -32, and the highest bit of scale 13 alone lifts that one to 0.
func TestSignedScales(t *testing.T) {
	q3, iq4 := make([]byte, 12), make([]byte, 6)
	q3[9], iq4[1] = 0x80, 0x08 // scales 13 and 5
	for j := range 16 {
		want := int8(-32)
		if j == 13 {
			want = 0
		}
		if got := ScaleQ3_K(j, q3); got != want {
			t.Errorf("ScaleQ3_K(%d) = %d, want %d", j, got, want)
		}
	}
	for j := range 8 {
		want := int8(-32)
		if j == 5 {
			want = 0
		}
		if got := ScaleIQ4_XS(j, iq4); got != want {
			t.Errorf("ScaleIQ4_XS(%d) = %d, want %d", j, got, want)
		}
	}
}

// hostile returns rows of 256 weights that hold NaNs and infinities.
func hostile() [][]float32 {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	payload := math.Float32frombits(0xff800001)
	var rows [][]float32
	for _, values := range [][]float32{
		{nan},
		{inf},
		{-inf},
		{nan, inf, -inf, payload},
		{nan, 1},
		{1, nan},
		{inf, 1},
		{-inf, 0},
		{0, inf, -inf},
		{payload, 0, 0, 0, 0, 0, 0, 0, 0, -1},
		{math.MaxFloat32, -math.MaxFloat32},
		{math.MaxFloat32, nan},
		{math.SmallestNonzeroFloat32, 0, inf},
	} {
		row := make([]float32, 256)
		for i := range row {
			row[i] = values[i%len(values)]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestQuantizeNaNAndInf(t *testing.T) {
	for id, f := range formats {
		if f.quantize == nil {
			continue
		}
		dtype := DType(id)
		for n, row := range hostile() {
			raw, back := make([]byte, dtype.RowBytes(256)), make([]float32, 256)
			if err := Quantize(raw, row, dtype); err != nil {
				t.Errorf("%v, row %d: %v", dtype, n, err)
			}
			if err := Dequantize(back, raw, dtype); err != nil {
				t.Errorf("%v, row %d: %v", dtype, n, err)
			}
			if dtype.BlockSize() > 1 {
				continue
			}
			for i, f := range row {
				isNaN, isInf := f != f, math.IsInf(float64(f), 0)
				if isNaN != (back[i] != back[i]) || isInf && back[i] != f {
					t.Errorf("%v, row %d: %v comes back as %v", dtype, n, f, back[i])
				}
			}
		}
	}
}

func FuzzDequantize(f *testing.F) {
	for id := range formats {
		f.Add(uint32(id), 256, bytes.Repeat([]byte{0x5a}, DType(id).RowBytes(256)))
		f.Add(uint32(id), 33, []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, id uint32, n int, src []byte) {
		dtype := DType(id)
		dst := make([]float32, max(0, min(n, 4096)))
		err := Dequantize(dst, src, dtype)
		fits := dtype.Supported() && len(dst)%dtype.BlockSize() == 0 && len(src) == dtype.RowBytes(len(dst))
		if fits != (err == nil) {
			t.Errorf("%v: %d weights from %d bytes: %v", dtype, len(dst), len(src), err)
		}
		for i, f := range dst {
			if err != nil && f != 0 {
				t.Fatalf("%v: failed, and changed weight %d", dtype, i)
			}
		}
	})
}

func FuzzQuantize(f *testing.F) {
	for id := range formats {
		for _, row := range hostile() {
			raw := make([]byte, 4*len(row))
			quantizeF32(raw, row)
			f.Add(uint32(id), raw)
		}
	}
	f.Fuzz(func(t *testing.T, id uint32, raw []byte) {
		dtype, src := DType(id), make([]float32, len(raw)/4)
		for i := range src {
			src[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		dst := make([]byte, dtype.RowBytes(len(src)))
		err := Quantize(dst, src, dtype)
		if fits := dtype.CanQuantize() && len(src)%dtype.BlockSize() == 0; fits != (err == nil) {
			t.Errorf("%v: %d weights: %v", dtype, len(src), err)
		}
		if err == nil {
			if err := Dequantize(src, dst, dtype); err != nil {
				t.Errorf("%v: cannot read back: %v", dtype, err)
			}
		}
	})
}
