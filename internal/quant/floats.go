package quant

import (
	"encoding/binary"
	"math"

	"github.com/realm-ai/realm/internal/f16"
)

// readF16 returns the F16 at the start of b.
func readF16(b []byte) float32 { return f16.ToFloat32(binary.LittleEndian.Uint16(b)) }

// putF16 writes f as an F16 to the start of b.
func putF16(b []byte, f float32) { binary.LittleEndian.PutUint16(b, f16.FromFloat32(f)) }

func dequantizeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src))
		src = src[4:]
	}
}

func dequantizeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = readF16(src)
		src = src[2:]
	}
}

func dequantizeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = f16.BF16ToFloat32(binary.LittleEndian.Uint16(src))
		src = src[2:]
	}
}

func quantizeF32(dst []byte, src []float32) {
	for _, f := range src {
		binary.LittleEndian.PutUint32(dst, math.Float32bits(f))
		dst = dst[4:]
	}
}

func quantizeF16(dst []byte, src []float32) {
	for _, f := range src {
		putF16(dst, f)
		dst = dst[2:]
	}
}

func quantizeBF16(dst []byte, src []float32) {
	for _, f := range src {
		binary.LittleEndian.PutUint16(dst, f16.BF16FromFloat32(f))
		dst = dst[2:]
	}
}
