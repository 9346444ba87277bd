package quant

import "testing"

// benchWeights is a row of a large model's feed-forward layer.
const benchWeights = 8192

func BenchmarkDequantize(b *testing.B) {
	for id, f := range formats {
		if f.dequantize == nil {
			continue
		}
		dtype := DType(id)
		b.Run(dtype.String(), func(b *testing.B) {
			var src []byte
			for n := range benchWeights / unit {
				src = append(src, randomUnit(dtype, n)...)
			}
			dst := make([]float32, benchWeights)
			b.SetBytes(4 * benchWeights)
			for b.Loop() {
				if err := Dequantize(dst, src, dtype); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkQuantize(b *testing.B) {
	src := make([]float32, benchWeights)
	for i := range src {
		src[i] = bell(splitmix64(0, i))
	}
	for id, f := range formats {
		if f.quantize == nil {
			continue
		}
		dtype := DType(id)
		b.Run(dtype.String(), func(b *testing.B) {
			dst := make([]byte, dtype.RowBytes(benchWeights))
			b.SetBytes(4 * benchWeights)
			for b.Loop() {
				if err := Quantize(dst, src, dtype); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
