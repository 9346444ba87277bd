package quant

// The dequantizers of the 256-weight super-blocks. A sub-block's scale is rounded to float32 before it meets a weight,
// as ggml does it: (d*sc)*q, never d*(sc*q).

func dequantizeQ2_K(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[SuperBlockWeights]float32)(dst), (*[Q2_KBytes]byte)(src)
		d, dmin := readF16(b[Q2_KD:]), readF16(b[Q2_KDMin:])
		for j, sc := range b[Q2_KScales : Q2_KScales+16] {
			scale, minimum := float32(d*float32(sc&15)), float32(dmin*float32(sc>>4))
			quants, shift := b[Q2_KQuants+32*(j/8)+16*(j%2):][:16], 2*(j/2%4)
			out := w[16*j:][:16]
			for i, q := range quants {
				out[i] = float32(scale*float32(q>>shift&3)) - minimum
			}
		}
		dst, src = dst[SuperBlockWeights:], src[Q2_KBytes:]
	}
}

func dequantizeQ3_K(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[SuperBlockWeights]float32)(dst), (*[Q3_KBytes]byte)(src)
		d := readF16(b[Q3_KD:])
		for j := range 16 {
			scale := d * float32(ScaleQ3_K(j, b[Q3_KScales:Q3_KD]))
			quants, shift := b[Q3_KQuants+32*(j/8)+16*(j%2):][:16], 2*(j/2%4)
			high, bit := b[Q3_KHigh+16*(j%2):][:16], j/2
			out := w[16*j:][:16]
			for i, q := range quants {
				out[i] = scale * float32(int32(q>>shift&3|high[i]>>bit&1<<2)-4)
			}
		}
		dst, src = dst[SuperBlockWeights:], src[Q3_KBytes:]
	}
}

func dequantizeQ4_K(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[SuperBlockWeights]float32)(dst), (*[Q4_KBytes]byte)(src)
		d, dmin := readF16(b[Q4_KD:]), readF16(b[Q4_KDMin:])
		for h := range 4 {
			scale0, min0 := scaleMin(d, dmin, 2*h, b[Q4_KScales:Q4_KQuants])
			scale1, min1 := scaleMin(d, dmin, 2*h+1, b[Q4_KScales:Q4_KQuants])
			out := (*[64]float32)(w[64*h:])
			for i, q := range b[Q4_KQuants+32*h:][:32] {
				out[i] = float32(scale0*float32(q&15)) - min0
				out[i+32] = float32(scale1*float32(q>>4)) - min1
			}
		}
		dst, src = dst[SuperBlockWeights:], src[Q4_KBytes:]
	}
}

func dequantizeQ5_K(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[SuperBlockWeights]float32)(dst), (*[Q5_KBytes]byte)(src)
		d, dmin := readF16(b[Q5_KD:]), readF16(b[Q5_KDMin:])
		high := (*[32]byte)(b[Q5_KHigh:])
		for h := range 4 {
			scale0, min0 := scaleMin(d, dmin, 2*h, b[Q5_KScales:Q5_KHigh])
			scale1, min1 := scaleMin(d, dmin, 2*h+1, b[Q5_KScales:Q5_KHigh])
			out := (*[64]float32)(w[64*h:])
			for i, q := range b[Q5_KQuants+32*h:][:32] {
				top := high[i] >> (2 * h)
				out[i] = float32(scale0*float32(q&15|top<<4&16)) - min0
				out[i+32] = float32(scale1*float32(q>>4|top<<3&16)) - min1
			}
		}
		dst, src = dst[SuperBlockWeights:], src[Q5_KBytes:]
	}
}

// scaleMin returns the scale and the minimum of sub-block j of a Q4_K or Q5_K super-block as float32.
func scaleMin(d, dmin float32, j int, scales []byte) (scale, minimum float32) {
	sc, m := ScaleMinK4(j, scales)
	return float32(d * float32(sc)), float32(dmin * float32(m))
}

func dequantizeQ6_K(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[SuperBlockWeights]float32)(dst), (*[Q6_KBytes]byte)(src)
		d := readF16(b[Q6_KD:])
		for g := range 4 { // groups of 16 bytes of Q6_KHigh, each serving four sub-blocks
			h, k := g/2, g%2
			var scale [4]float32
			for r := range scale {
				scale[r] = d * float32(int8(b[Q6_KScales+8*h+2*r+k]))
			}
			quants := (*[48]byte)(b[Q6_KQuants+64*h+16*k:])
			high := (*[16]byte)(b[Q6_KHigh+32*h+16*k:])
			out := (*[112]float32)(w[128*h+16*k:])
			for i, top := range high {
				q0, q1 := quants[i], quants[i+32]
				out[i] = scale[0] * float32(int32(q0&15|top<<4&48)-32)
				out[i+32] = scale[1] * float32(int32(q1&15|top<<2&48)-32)
				out[i+64] = scale[2] * float32(int32(q0>>4|top&48)-32)
				out[i+96] = scale[3] * float32(int32(q1>>4|top>>2&48)-32)
			}
		}
		dst, src = dst[SuperBlockWeights:], src[Q6_KBytes:]
	}
}

func dequantizeIQ4_XS(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[SuperBlockWeights]float32)(dst), (*[IQ4_XSBytes]byte)(src)
		d := readF16(b[IQ4_XSD:])
		for j := range 8 {
			scale := d * float32(ScaleIQ4_XS(j, b[IQ4_XSScalesHigh:IQ4_XSQuants]))
			out := (*[32]float32)(w[32*j:])
			for i, q := range b[IQ4_XSQuants+16*j:][:16] {
				out[i] = scale * float32(IQ4_NLValues[q&15])
				out[i+16] = scale * float32(IQ4_NLValues[q>>4])
			}
		}
		dst, src = dst[SuperBlockWeights:], src[IQ4_XSBytes:]
	}
}
