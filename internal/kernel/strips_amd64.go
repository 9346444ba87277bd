//go:build amd64 && !purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

//go:generate go run -C _asm . -out ../strips_avx512_amd64.s -stubs ../stubs_amd64.go -pkg kernel

// stripKernelsOf returns the kernels for a dtype, or nil.
func stripKernelsOf(set cpu.Set, t quant.DType) *stripKernels {
	if set != cpu.AVX512 {
		return nil
	}
	switch t {
	case quant.Q4_K:
		return &q4KAVX512
	case quant.Q6_K:
		return &q6KAVX512
	case quant.Q4_0:
		return &q4_0AVX512
	case quant.Q4_1:
		return &q4_1AVX512
	case quant.Q8_0:
		return &q8_0AVX512
	case quant.Q5_0, quant.Q5_1, quant.IQ4_NL:
		return &tile32AVX512
	case quant.Q2_K, quant.Q3_K, quant.Q5_K, quant.IQ4_XS:
		return &tile256AVX512
	}
	return nil
}

var (
	q4KAVX512 = stripKernels{dots: [...]dotStrips{
		dotQ4KQ8KAVX512T1, dotQ4KQ8KAVX512T2, dotQ4KQ8KAVX512T4, dotQ4KQ8KAVX512T8, dotQ4KQ8KAVX512T12,
	}}
	q6KAVX512 = stripKernels{dots: [...]dotStrips{
		dotQ6KQ8KAVX512T1, dotQ6KQ8KAVX512T2, dotQ6KQ8KAVX512T4, dotQ6KQ8KAVX512T8, dotQ6KQ8KAVX512T12,
	}}
	q4_0AVX512 = stripKernels{dots: [...]dotStrips{
		dotQ40Q80AVX512T1, dotQ40Q80AVX512T2, dotQ40Q80AVX512T4, dotQ40Q80AVX512T8, dotQ40Q80AVX512T12,
	}}
	q4_1AVX512 = stripKernels{dots: [...]dotStrips{
		dotQ41Q80AVX512T1, dotQ41Q80AVX512T2, dotQ41Q80AVX512T4, dotQ41Q80AVX512T8, dotQ41Q80AVX512T12,
	}}
	q8_0AVX512 = stripKernels{dots: [...]dotStrips{
		dotQ80Q80AVX512T1, dotQ80Q80AVX512T2, dotQ80Q80AVX512T4, dotQ80Q80AVX512T8, dotQ80Q80AVX512T12,
	}}
	tile32AVX512 = stripKernels{expand: true, dots: [...]dotStrips{
		dotTile32Q80AVX512T1, dotTile32Q80AVX512T2, dotTile32Q80AVX512T4, dotTile32Q80AVX512T8, dotTile32Q80AVX512T12,
	}}
	tile256AVX512 = stripKernels{expand: true, dots: [...]dotStrips{
		dotTile256Q8KAVX512T1, dotTile256Q8KAVX512T2, dotTile256Q8KAVX512T4, dotTile256Q8KAVX512T8, dotTile256Q8KAVX512T12,
	}}
)
