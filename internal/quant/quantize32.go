package quant

import "math"

// The quantizers of the 32-weight blocks. The scale is computed in float32, and weights are multiplied by the
// reciprocal of that value, not of the F16 it is stored as.

// reciprocal returns 1/d, or 0 where d is.
func reciprocal(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// truncate returns the integer part of f, or math.MinInt32 where that is no int32 and for a NaN, as CVTTSS2SI on amd64
// does; what Go's own conversion gives then depends on the processor. It happens where a block's scale is so small that
// its reciprocal is infinite.
func truncate(f float32) int32 {
	if f >= math.MinInt32 && f < -math.MinInt32 {
		return int32(f)
	}
	return math.MinInt32
}

func abs(f float32) float32 { return math.Float32frombits(math.Float32bits(f) &^ (1 << 31)) }

// extreme returns the element of x with the largest magnitude, the first of several.
func extreme(x []float32) float32 {
	var found, largest float32
	for _, f := range x {
		if a := abs(f); a > largest {
			found, largest = f, a
		}
	}
	return found
}

// quantizeQ8_0 scales the largest magnitude to 127 and rounds half away from zero.
func quantizeQ8_0(dst []byte, src []float32) {
	for len(src) > 0 {
		x, b := (*[BlockWeights]float32)(src), (*[Q8_0Bytes]byte)(dst)
		d := abs(extreme(x[:])) / 127
		inverse := reciprocal(d)
		putF16(b[Q8_0D:], d)
		for i, f := range x {
			b[Q8_0Quants+i] = byte(truncate(float32(math.Round(float64(float32(f * inverse))))))
		}
		src, dst = src[BlockWeights:], dst[Q8_0Bytes:]
	}
}

// quantizeQ4_0 maps the weight of the largest magnitude to -8, whatever its sign, so that the scale takes the other
// one.
func quantizeQ4_0(dst []byte, src []float32) {
	for len(src) > 0 {
		x, b := (*[BlockWeights]float32)(src), (*[Q4_0Bytes]byte)(dst)
		d := extreme(x[:]) / -8
		inverse := reciprocal(d)
		putF16(b[Q4_0D:], d)
		// 8 to shift the steps to 0..15, 0.5 to make truncation round.
		step := func(f float32) byte { return nibble(float32(f*inverse) + 8.5) }
		for i := range BlockWeights / 2 {
			b[Q4_0Quants+i] = step(x[i]) | step(x[i+16])<<4
		}
		src, dst = src[BlockWeights:], dst[Q4_0Bytes:]
	}
}

// quantizeQ4_1 spreads the sixteen steps from the smallest weight to the largest.
func quantizeQ4_1(dst []byte, src []float32) {
	for len(src) > 0 {
		x, b := (*[BlockWeights]float32)(src), (*[Q4_1Bytes]byte)(dst)
		lowest, highest := float32(math.MaxFloat32), float32(-math.MaxFloat32)
		for _, f := range x {
			if f < lowest {
				lowest = f
			}
			if f > highest {
				highest = f
			}
		}
		d := (highest - lowest) / 15
		inverse := reciprocal(d)
		putF16(b[Q4_1D:], d)
		putF16(b[Q4_1M:], lowest)
		step := func(f float32) byte { return nibble(float32((f-lowest)*inverse) + 0.5) }
		for i := range BlockWeights / 2 {
			b[Q4_1Quants+i] = step(x[i]) | step(x[i+16])<<4
		}
		src, dst = src[BlockWeights:], dst[Q4_1Bytes:]
	}
}

// nibble truncates f to an int8 and returns the lesser of that and 15.
func nibble(f float32) byte { return byte(min(int8(truncate(f)), 15)) }
