// Package f16 converts between float32 and the two 16-bit floats that models are stored in: IEEE 754 half precision
// (F16) and the upper half of a float32 (BF16). A 16-bit float is held as its bits in a uint16.
//
// It must not know of blocks, dtypes or bytes: those are package quant's. Every conversion gives the bits that the
// hardware gives (VCVTPH2PS and VCVTPS2PH on amd64, FCVT on arm64, with rounding to nearest even), because kernels
// written in assembly use those instructions and must agree with the plain Go ones.
//
// Start at ToFloat32 and FromFloat32.
package f16

import "math"

const (
	signMask  = 0x8000
	infBits   = 0x7c00 // exponent all ones, fraction zero
	minNormal = 0x0400 // 2^-14
	quietBit  = 0x0200 // top bit of the fraction; set in a quiet NaN
)

// table holds the value of every half-precision float by its bits. A look-up takes a quarter of the time of the fastest
// arithmetic found (0.25 ns a value in DecodeSlice against 0.85), filling it takes under 0.1 ms once per process, and
// of its 256 KiB only the few exponents that weights and scales have are ever hot.
var table [1 << 16]float32

func init() { fillTable() }

func fillTable() {
	for h := range table {
		table[h] = widen(uint16(h))
	}
}

// ToFloat32 returns the value of the half-precision float with bits h. It is exact. A NaN keeps its sign and payload
// and comes out quiet.
func ToFloat32(h uint16) float32 { return table[h] }

// widen computes what table holds.
func widen(h uint16) float32 {
	sign, mag := uint32(h&signMask)<<16, uint32(h&^signMask)
	switch {
	case mag > infBits:
		return math.Float32frombits(sign | 0xff<<23 | (mag|quietBit)<<13)
	case mag == infBits:
		return math.Float32frombits(sign | 0xff<<23)
	case mag >= minNormal:
		// Exponent and fraction move to where float32 has them, and the bias changes from 15 to 127.
		return math.Float32frombits(sign | (mag<<13 + (127-15)<<23))
	default:
		// Zero or subnormal: mag units of 2^-24, exact in float32. The sign bit goes on last so that -0 survives.
		return math.Float32frombits(sign | math.Float32bits(float32(mag)*0x1p-24))
	}
}

// FromFloat32 returns the bits of the half-precision float nearest to f, ties to even. Magnitudes from 65520 up become
// infinite, those up to 2^-25 become zero, and the sign is kept in every case. A NaN comes out quiet, with the upper
// ten bits of its payload.
func FromFloat32(f float32) uint16 {
	const (
		overflow = (127 + 16) << 23 // 2^16: everything from here on is infinite or NaN
		normal   = (127 - 14) << 23 // 2^-14: everything from here on is a normal half
	)
	bits := math.Float32bits(f)
	sign, mag := uint16(bits>>16)&signMask, bits&^(1<<31)
	switch {
	case mag < normal:
		// A float32 in [0.5, 1) has steps of 2^-24, the step of a subnormal half: adding 0.5 rounds to that grid, and
		// what the sum's bits exceed those of 0.5 by is the number of steps. 1024 steps are the smallest normal.
		sum := math.Float32frombits(mag) + 0.5
		return sign | uint16(math.Float32bits(sum)-126<<23)
	case mag < overflow:
		// Rebias the exponent, then round away the 13 low bits of the fraction: just under one half is added to an even
		// result and exactly one half to an odd one. A carry moves on into the exponent, and from 65504 to infinity.
		mag += 0xfff + mag>>13&1 - 112<<23
		return sign | uint16(mag>>13)
	case mag > 0xff<<23:
		return sign | infBits | quietBit | uint16(mag>>13)&0x3ff
	default:
		return sign | infBits
	}
}

// DecodeSlice sets dst[i] to ToFloat32(src[i]) for every i. dst must be at least as long as src.
func DecodeSlice(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = ToFloat32(h)
	}
}

// EncodeSlice sets dst[i] to FromFloat32(src[i]) for every i. dst must be at least as long as src.
func EncodeSlice(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, f := range src {
		dst[i] = FromFloat32(f)
	}
}

// BF16ToFloat32 returns the value of the BF16 float with bits h. It is exact, and a NaN keeps every bit.
func BF16ToFloat32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// BF16FromFloat32 returns the bits of the BF16 float nearest to f, ties to even, as ggml_fp32_to_bf16 does: subnormals
// are kept, and a NaN comes out quiet with the upper bits of its payload.
func BF16FromFloat32(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&^(1<<31) > 0xff<<23 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
