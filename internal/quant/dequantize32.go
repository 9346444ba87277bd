package quant

import "encoding/binary"

// The dequantizers of the 32-weight blocks. Here and in the other files an explicit float32() round stands around each
// product that is then added to something: without it Go may fuse the two into one operation, which rounds differently.

func dequantizeQ4_0(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[BlockWeights]float32)(dst), (*[Q4_0Bytes]byte)(src)
		d := readF16(b[Q4_0D:])
		for i, q := range b[Q4_0Quants:Q4_0Bytes] {
			w[i] = d * float32(int32(q&15)-8)
			w[i+16] = d * float32(int32(q>>4)-8)
		}
		dst, src = dst[BlockWeights:], src[Q4_0Bytes:]
	}
}

func dequantizeQ4_1(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[BlockWeights]float32)(dst), (*[Q4_1Bytes]byte)(src)
		d, m := readF16(b[Q4_1D:]), readF16(b[Q4_1M:])
		for i, q := range b[Q4_1Quants:Q4_1Bytes] {
			w[i] = float32(d*float32(q&15)) + m
			w[i+16] = float32(d*float32(q>>4)) + m
		}
		dst, src = dst[BlockWeights:], src[Q4_1Bytes:]
	}
}

func dequantizeQ5_0(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[BlockWeights]float32)(dst), (*[Q5_0Bytes]byte)(src)
		d, high := readF16(b[Q5_0D:]), binary.LittleEndian.Uint32(b[Q5_0High:])
		for i, q := range b[Q5_0Quants:Q5_0Bytes] {
			w[i] = d * float32(int32(uint32(q&15)|high<<4&16)-16)
			w[i+16] = d * float32(int32(uint32(q>>4)|high>>12&16)-16)
			high >>= 1
		}
		dst, src = dst[BlockWeights:], src[Q5_0Bytes:]
	}
}

func dequantizeQ5_1(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[BlockWeights]float32)(dst), (*[Q5_1Bytes]byte)(src)
		d, m := readF16(b[Q5_1D:]), readF16(b[Q5_1M:])
		high := binary.LittleEndian.Uint32(b[Q5_1High:])
		for i, q := range b[Q5_1Quants:Q5_1Bytes] {
			w[i] = float32(d*float32(int32(uint32(q&15)|high<<4&16))) + m
			w[i+16] = float32(d*float32(int32(uint32(q>>4)|high>>12&16))) + m
			high >>= 1
		}
		dst, src = dst[BlockWeights:], src[Q5_1Bytes:]
	}
}

func dequantizeQ8_0(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[BlockWeights]float32)(dst), (*[Q8_0Bytes]byte)(src)
		d := readF16(b[Q8_0D:])
		for i, q := range b[Q8_0Quants:Q8_0Bytes] {
			w[i] = d * float32(int8(q))
		}
		dst, src = dst[BlockWeights:], src[Q8_0Bytes:]
	}
}

func dequantizeIQ4_NL(dst []float32, src []byte) {
	for len(dst) > 0 {
		w, b := (*[BlockWeights]float32)(dst), (*[IQ4_NLBytes]byte)(src)
		d := readF16(b[IQ4_NLD:])
		for i, q := range b[IQ4_NLQuants:IQ4_NLBytes] {
			w[i] = d * float32(IQ4_NLValues[q&15])
			w[i+16] = d * float32(IQ4_NLValues[q>>4])
		}
		dst, src = dst[BlockWeights:], src[IQ4_NLBytes:]
	}
}
