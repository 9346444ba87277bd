package quant

import "math"

// The quantizers of the super-blocks. Both choose the scale of each sub-block by trying several and keeping the one
// with the smallest weighted squared error, then quantize the scales themselves, and at last the weights once more
// against the scales as they are stored.

// nearestInt rounds f to the nearest integer, ties to even: adding 1.5 * 2^23 leaves the integer in the fraction. That
// holds to +-4194303; beyond it the result is the fraction's bits all the same, here as in ggml.
func nearestInt(f float32) int32 {
	return int32(math.Float32bits(f+0x1.8p23)&(1<<23-1)) - 1<<22
}

func quantizeQ4_K(dst []byte, src []float32) {
	for len(src) > 0 {
		quantizeBlockQ4_K((*[Q4_KBytes]byte)(dst), (*[SuperBlockWeights]float32)(src))
		src, dst = src[SuperBlockWeights:], dst[Q4_KBytes:]
	}
}

func quantizeBlockQ4_K(b *[Q4_KBytes]byte, x *[SuperBlockWeights]float32) {
	var steps [8][32]uint8
	var scales, mins [8]float32
	var maxScale, maxMin float32
	for j := range scales {
		sub := (*[32]float32)(x[32*j:])
		scales[j], mins[j] = fitScaleMin(sub, importance(sub), &steps[j])
		maxScale, maxMin = max(maxScale, scales[j]), max(maxMin, mins[j])
	}

	var sc, m [8]uint8
	for j := range sc {
		sc[j] = sixBits(scales[j], maxScale)
		m[j] = sixBits(mins[j], maxMin)
	}
	packScaleMinK4((*[12]byte)(b[Q4_KScales:]), &sc, &m)
	putF16(b[Q4_KD:], maxScale/63)
	putF16(b[Q4_KDMin:], maxMin/63)

	d, dmin := readF16(b[Q4_KD:]), readF16(b[Q4_KDMin:])
	for j := range steps {
		scale, minimum := float32(d*float32(sc[j])), float32(dmin*float32(m[j]))
		if scale == 0 {
			continue // the steps of the fit stay
		}
		for i, f := range x[32*j:][:32] {
			steps[j][i] = uint8(min(max(nearestInt((f+minimum)/scale), 0), 15))
		}
	}
	for h := range 4 {
		quants := b[Q4_KQuants+32*h:][:32]
		for i := range quants {
			quants[i] = steps[2*h][i] | steps[2*h+1][i]<<4
		}
	}
}

// sixBits quantizes f to 0..63, where 63 stands for largest.
func sixBits(f, largest float32) uint8 {
	if largest <= 0 {
		return 0
	}
	inverse := 63 / largest
	return min(uint8(nearestInt(float32(inverse*f))), 63)
}

// importance returns how much the error of each weight counts: its magnitude plus the root mean square of all.
func importance(x *[32]float32) *[32]float32 {
	var sum float32
	for _, f := range x {
		sum += float32(f * f)
	}
	rms := float32(math.Sqrt(float64(sum / 32)))
	var w [32]float32
	for i, f := range x {
		w[i] = rms + abs(f)
	}
	return &w
}

// fitScaleMin finds scale and minimum, and steps in 0..15, so that scale*step - minimum comes close to x, with errors
// weighted by w. The minimum is not negative.
//
// Twenty-one slightly different scales each give a set of steps, for which scale and minimum follow by weighted least
// squares; the best of these and of the plain fit to the range wins. Source: make_qkx2_quants in llama.cpp's
// ggml-quants.c.
func fitScaleMin(x, w *[32]float32, steps *[32]uint8) (scale, minimum float32) {
	const largest = 15
	// offset is what a step of 0 stands for; the minimum that is returned is its opposite.
	offset, highest := x[0], x[0]
	var sumW, sumX float32
	for i, f := range x {
		if f < offset {
			offset = f
		}
		if f > highest {
			highest = f
		}
		sumW += w[i]
		sumX += float32(w[i] * f)
	}
	if offset > 0 {
		offset = 0
	}
	if highest == offset {
		*steps = [32]uint8{}
		return 0, -offset
	}

	inverse := largest / (highest - offset)
	scale = 1 / inverse
	quantizeSteps(steps, x, offset, inverse)
	bestError := weightedError(x, w, steps, scale, offset)

	var trial [32]uint8
	for n := range 21 {
		// The range starts at the best offset so far, not at the smallest weight: later trials build on earlier ones.
		inverse = (float32(float32(0.1)*float32(n)) - 1 + largest) / (highest - offset)
		quantizeSteps(&trial, x, offset, inverse)
		var sumL, sumLL, sumXL float32
		for i, step := range trial {
			l := float32(step)
			wl := float32(w[i] * l)
			sumL += wl
			sumLL += float32(wl * l)
			sumXL += float32(wl * x[i])
		}
		determinant := float32(sumW*sumLL) - float32(sumL*sumL)
		if !(determinant > 0) { // zero, negative by rounding, or NaN after an overflow
			continue
		}
		trialScale := (float32(sumW*sumXL) - float32(sumX*sumL)) / determinant
		trialOffset := (float32(sumLL*sumX) - float32(sumL*sumXL)) / determinant
		if trialOffset > 0 {
			trialOffset = 0
			trialScale = sumXL / sumLL
		}
		if e := weightedError(x, w, &trial, trialScale, trialOffset); e < bestError {
			*steps, bestError, scale, offset = trial, e, trialScale, trialOffset
		}
	}
	return scale, -offset
}

// quantizeSteps sets each step to the multiple of 1/inverse nearest to x - offset, within 0..15.
func quantizeSteps(steps *[32]uint8, x *[32]float32, offset, inverse float32) {
	for i, f := range x {
		steps[i] = uint8(min(max(nearestInt(float32(inverse*(f-offset))), 0), 15))
	}
}

// weightedError returns the sum over the weights of w * (scale*step + offset - x)^2.
func weightedError(x, w *[32]float32, steps *[32]uint8, scale, offset float32) float32 {
	var sum float32
	for i, step := range steps {
		diff := float32(scale*float32(step)) + offset - x[i]
		sum += float32(w[i] * float32(diff*diff))
	}
	return sum
}

func quantizeQ6_K(dst []byte, src []float32) {
	for len(src) > 0 {
		quantizeBlockQ6_K((*[Q6_KBytes]byte)(dst), (*[SuperBlockWeights]float32)(src))
		src, dst = src[SuperBlockWeights:], dst[Q6_KBytes:]
	}
}

// tooSmall is the magnitude under which Q6_K takes weights and scales for zero.
const tooSmall = 1e-15

func quantizeBlockQ6_K(b *[Q6_KBytes]byte, x *[SuperBlockWeights]float32) {
	var steps [SuperBlockWeights]uint8 // 0..63
	var scales [16]float32
	for j := range scales {
		scales[j] = fitScale((*[16]float32)(x[16*j:]), (*[16]uint8)(steps[16*j:]))
	}
	largest := extreme(scales[:])
	if abs(largest) < tooSmall {
		*b = [Q6_KBytes]byte{}
		return
	}

	inverse := -128 / largest
	putF16(b[Q6_KD:], 1/inverse)
	d := readF16(b[Q6_KD:])
	for j, s := range scales {
		sc := int8(min(nearestInt(float32(inverse*s)), 127))
		b[Q6_KScales+j] = byte(sc)
		scale := d * float32(sc)
		if scale == 0 {
			continue // the steps of the fit stay
		}
		for i, f := range x[16*j:][:16] {
			steps[16*j+i] = sixtyFour(f / scale)
		}
	}
	for h := range 2 {
		quants, high := (*[64]byte)(b[Q6_KQuants+64*h:]), (*[32]byte)(b[Q6_KHigh+32*h:])
		s := (*[128]uint8)(steps[128*h:])
		for i := range 64 {
			quants[i] = s[i]&15 | s[i+64]<<4
		}
		for i := range high {
			high[i] = s[i]>>4 | s[i+32]>>4<<2 | s[i+64]>>4<<4 | s[i+96]>>4<<6
		}
	}
}

// sixtyFour rounds f to -32..31 and returns that plus 32.
func sixtyFour(f float32) uint8 { return uint8(min(max(nearestInt(f), -32), 31) + 32) }

// fitScale finds a scale, and steps in 0..63, so that scale*(step - 32) comes close to x, with errors weighted by the
// squares of x. It maps the weight of the largest magnitude to about -32, in eighteen variations around that. Source:
// make_qx_quants in llama.cpp's ggml-quants.c, with rmse_type 1.
func fitScale(x *[16]float32, steps *[16]uint8) float32 {
	largest := extreme(x[:])
	if abs(largest) < tooSmall {
		*steps = [16]uint8{}
		return 0
	}
	// With w = x^2, the best scale for given l is sum(w*x*l) / sum(w*l*l), and what it takes off the error is
	// sum(w*x*l)^2 / sum(w*l*l).
	sums := func(inverse float32) (sumXL, sumLL float32) {
		for _, f := range x {
			l := float32(int32(sixtyFour(float32(inverse*f))) - 32)
			w := float32(f * f)
			sumXL += float32(float32(w*f) * l)
			sumLL += float32(float32(w*l) * l)
		}
		return sumXL, sumLL
	}

	chosen := -32 / largest
	var scale float32
	sumXL, sumLL := sums(chosen)
	if sumLL != 0 {
		scale = sumXL / sumLL
	}
	best := scale * sumXL
	for n := -9; n <= 9; n++ {
		if n == 0 {
			continue
		}
		inverse := -(32 + float32(float32(0.1)*float32(n))) / largest
		sumXL, sumLL = sums(inverse)
		if sumLL > 0 && float32(sumXL*sumXL) > float32(best*sumLL) {
			chosen = inverse
			scale = sumXL / sumLL
			best = scale * sumXL
		}
	}
	for i, f := range x {
		steps[i] = sixtyFour(float32(chosen * f))
	}
	return scale
}
