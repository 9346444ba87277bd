//go:build amd64 && !purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

//go:generate go run -C _asm . -out ../avx512_amd64.s -stubs ../stubs_amd64.go -pkg kernel
//go:generate go run -C _asm ./avx2 -out ../avx2_amd64.s -stubs ../avx2_stubs_amd64.go -pkg kernel
//go:generate go run -C _asm ./join ../avx512_amd64.s ../avx2_amd64.s

// sequential is what kernels for one or two tokens look at that read weights from the first line to the last: whether they leave it
// to the processor to bring them from memory.
var sequential = cpu.ReadsAhead()

// stripKernelsOf returns the kernels for a dtype, or nil.
func stripKernelsOf(set cpu.Set, t quant.DType) *stripKernels {
	switch {
	case set >= cpu.AVX512 && int(t) < len(stripsAVX512):
		return stripsAVX512[t]
	case set == cpu.AVX2 && int(t) < len(stripsAVX2):
		return stripsAVX2[t]
	}
	return nil
}

// The tables of kernels are indexed by dtype.
var stripsAVX512 = [...]*stripKernels{
	quant.Q4_0: {
		dotQ40Q80AVX512T1, dotQ40Q80AVX512T2, dotQ40Q80AVX512T4, dotQ40Q80AVX512T8, dotQ40Q80AVX512T12,
	},
	quant.Q4_1: {
		dotQ41Q80AVX512T1, dotQ41Q80AVX512T2, dotQ41Q80AVX512T4, dotQ41Q80AVX512T8, dotQ41Q80AVX512T12,
	},
	quant.Q5_0: {
		dotQ50Q80AVX512T1, dotQ50Q80AVX512T2, dotQ50Q80AVX512T4, dotQ50Q80AVX512T8, dotQ50Q80AVX512T12,
	},
	quant.Q5_1: {
		dotQ51Q80AVX512T1, dotQ51Q80AVX512T2, dotQ51Q80AVX512T4, dotQ51Q80AVX512T8, dotQ51Q80AVX512T12,
	},
	quant.Q8_0: {
		dotQ80Q80AVX512T1, dotQ80Q80AVX512T2, dotQ80Q80AVX512T4, dotQ80Q80AVX512T8, dotQ80Q80AVX512T12,
	},
	quant.IQ4_NL: {
		dotIQ4NLQ80AVX512T1, dotIQ4NLQ80AVX512T2, dotIQ4NLQ80AVX512T4, dotIQ4NLQ80AVX512T8, dotIQ4NLQ80AVX512T12,
	},
	quant.Q2_K: {
		dotQ2KQ8KAVX512T1, dotQ2KQ8KAVX512T2, dotQ2KQ8KAVX512T4, dotQ2KQ8KAVX512T8, dotQ2KQ8KAVX512T12,
	},
	quant.Q3_K: {
		dotQ3KQ8KAVX512T1, dotQ3KQ8KAVX512T2, dotQ3KQ8KAVX512T4, dotQ3KQ8KAVX512T8, dotQ3KQ8KAVX512T12,
	},
	quant.Q4_K: {
		dotQ4KQ8KAVX512T1, dotQ4KQ8KAVX512T2, dotQ4KQ8KAVX512T4, dotQ4KQ8KAVX512T8, dotQ4KQ8KAVX512T12,
	},
	quant.Q5_K: {
		dotQ5KQ8KAVX512T1, dotQ5KQ8KAVX512T2, dotQ5KQ8KAVX512T4, dotQ5KQ8KAVX512T8, dotQ5KQ8KAVX512T12,
	},
	quant.Q6_K: {
		dotQ6KQ8KAVX512T1, dotQ6KQ8KAVX512T2, dotQ6KQ8KAVX512T4, dotQ6KQ8KAVX512T8, dotQ6KQ8KAVX512T12,
	},
	quant.IQ4_XS: {
		dotIQ4XSQ8KAVX512T1, dotIQ4XSQ8KAVX512T2, dotIQ4XSQ8KAVX512T4, dotIQ4XSQ8KAVX512T8, dotIQ4XSQ8KAVX512T12,
	},
}

var stripsAVX2 = [...]*stripKernels{
	quant.Q4_0: {
		dotQ40Q80AVX2T1, dotQ40Q80AVX2T2, dotQ40Q80AVX2T4, dotQ40Q80AVX2T8, dotQ40Q80AVX2T12,
	},
	quant.Q4_1: {
		dotQ41Q80AVX2T1, dotQ41Q80AVX2T2, dotQ41Q80AVX2T4, dotQ41Q80AVX2T8, dotQ41Q80AVX2T12,
	},
	quant.Q5_0: {
		dotQ50Q80AVX2T1, dotQ50Q80AVX2T2, dotQ50Q80AVX2T4, dotQ50Q80AVX2T8, dotQ50Q80AVX2T12,
	},
	quant.Q5_1: {
		dotQ51Q80AVX2T1, dotQ51Q80AVX2T2, dotQ51Q80AVX2T4, dotQ51Q80AVX2T8, dotQ51Q80AVX2T12,
	},
	quant.Q8_0: {
		dotQ80Q80AVX2T1, dotQ80Q80AVX2T2, dotQ80Q80AVX2T4, dotQ80Q80AVX2T8, dotQ80Q80AVX2T12,
	},
	quant.IQ4_NL: {
		dotIQ4NLQ80AVX2T1, dotIQ4NLQ80AVX2T2, dotIQ4NLQ80AVX2T4, dotIQ4NLQ80AVX2T8, dotIQ4NLQ80AVX2T12,
	},
	quant.Q2_K: {
		dotQ2KQ8KAVX2T1, dotQ2KQ8KAVX2T2, dotQ2KQ8KAVX2T4, dotQ2KQ8KAVX2T8, dotQ2KQ8KAVX2T12,
	},
	quant.Q3_K: {
		dotQ3KQ8KAVX2T1, dotQ3KQ8KAVX2T2, dotQ3KQ8KAVX2T4, dotQ3KQ8KAVX2T8, dotQ3KQ8KAVX2T12,
	},
	quant.Q4_K: {
		dotQ4KQ8KAVX2T1, dotQ4KQ8KAVX2T2, dotQ4KQ8KAVX2T4, dotQ4KQ8KAVX2T8, dotQ4KQ8KAVX2T12,
	},
	quant.Q5_K: {
		dotQ5KQ8KAVX2T1, dotQ5KQ8KAVX2T2, dotQ5KQ8KAVX2T4, dotQ5KQ8KAVX2T8, dotQ5KQ8KAVX2T12,
	},
	quant.Q6_K: {
		dotQ6KQ8KAVX2T1, dotQ6KQ8KAVX2T2, dotQ6KQ8KAVX2T4, dotQ6KQ8KAVX2T8, dotQ6KQ8KAVX2T12,
	},
	quant.IQ4_XS: {
		dotIQ4XSQ8KAVX2T1, dotIQ4XSQ8KAVX2T2, dotIQ4XSQ8KAVX2T4, dotIQ4XSQ8KAVX2T8, dotIQ4XSQ8KAVX2T12,
	},
}

// rowKernelsOf returns the kernels for a float dtype, or nil.
func rowKernelsOf(set cpu.Set, t quant.DType) *rowKernels {
	switch {
	case set >= cpu.AVX512 && int(t) < len(rowsAVX512):
		return rowsAVX512[t]
	case set == cpu.AVX2 && int(t) < len(rowsAVX2):
		return rowsAVX2[t]
	}
	return nil
}

var rowsAVX512 = [...]*rowKernels{
	quant.F32:  {1, dotF32F32AVX512T1, dotF32F32AVX512T4},
	quant.F16:  {1, dotF16F32AVX512T1, dotF16F32AVX512T4},
	quant.BF16: {1, dotBF16F32AVX512T1, dotBF16F32AVX512T4},
}

var rowsAVX2 = [...]*rowKernels{
	quant.F32:  {16, dotF32F32AVX2T1, dotF32F32AVX2T4},
	quant.F16:  {16, dotF16F32AVX2T1, dotF16F32AVX2T4},
	quant.BF16: {16, dotBF16F32AVX2T1, dotBF16F32AVX2T4},
}

// quantizerOf returns the kernel that quantizes activations in blocks of 32 or 256, or nil.
func quantizerOf(set cpu.Set, block int) quantizer {
	switch {
	case set >= cpu.AVX512 && block == 32:
		return quantize32AVX512
	case set >= cpu.AVX512:
		return quantize256AVX512
	case set == cpu.AVX2 && block == 32:
		return quantize32AVX2
	case set == cpu.AVX2:
		return quantize256AVX2
	}
	return nil
}

// prefetch brings the whole cache lines of b to the second-level cache.
func prefetch(b []byte) {
	if len(b) >= 64 {
		prefetchLines(&b[0], len(b)/64)
	}
}
