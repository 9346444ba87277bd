//go:build !purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

// stripKernelsOf returns the kernels for a dtype, or nil.
func stripKernelsOf(set cpu.Set, t quant.DType) *stripKernels {
	if set == cpu.NEON && int(t) < len(stripsNEON) {
		return stripsNEON[t]
	}
	return nil
}

// stripsNEON and rowsNEON are indexed by dtype.
var stripsNEON = [...]*stripKernels{
	quant.Q4_0: {
		dotQ40Q80NEONT1, dotQ40Q80NEONT2, dotQ40Q80NEONT4, dotQ40Q80NEONT8, dotQ40Q80NEONT12,
	},
	quant.Q4_1: {
		dotQ41Q80NEONT1, dotQ41Q80NEONT2, dotQ41Q80NEONT4, dotQ41Q80NEONT8, dotQ41Q80NEONT12,
	},
	quant.Q5_0: {
		dotQ50Q80NEONT1, dotQ50Q80NEONT2, dotQ50Q80NEONT4, dotQ50Q80NEONT8, dotQ50Q80NEONT12,
	},
	quant.Q5_1: {
		dotQ51Q80NEONT1, dotQ51Q80NEONT2, dotQ51Q80NEONT4, dotQ51Q80NEONT8, dotQ51Q80NEONT12,
	},
	quant.Q8_0: {
		dotQ80Q80NEONT1, dotQ80Q80NEONT2, dotQ80Q80NEONT4, dotQ80Q80NEONT8, dotQ80Q80NEONT12,
	},
	quant.IQ4_NL: {
		dotIQ4NLQ80NEONT1, dotIQ4NLQ80NEONT2, dotIQ4NLQ80NEONT4, dotIQ4NLQ80NEONT8, dotIQ4NLQ80NEONT12,
	},
	quant.Q2_K: {
		dotQ2KQ8KNEONT1, dotQ2KQ8KNEONT2, dotQ2KQ8KNEONT4, dotQ2KQ8KNEONT8, dotQ2KQ8KNEONT12,
	},
	quant.Q3_K: {
		dotQ3KQ8KNEONT1, dotQ3KQ8KNEONT2, dotQ3KQ8KNEONT4, dotQ3KQ8KNEONT8, dotQ3KQ8KNEONT12,
	},
	quant.Q4_K: {
		dotQ4KQ8KNEONT1, dotQ4KQ8KNEONT2, dotQ4KQ8KNEONT4, dotQ4KQ8KNEONT8, dotQ4KQ8KNEONT12,
	},
	quant.Q5_K: {
		dotQ5KQ8KNEONT1, dotQ5KQ8KNEONT2, dotQ5KQ8KNEONT4, dotQ5KQ8KNEONT8, dotQ5KQ8KNEONT12,
	},
	quant.Q6_K: {
		dotQ6KQ8KNEONT1, dotQ6KQ8KNEONT2, dotQ6KQ8KNEONT4, dotQ6KQ8KNEONT8, dotQ6KQ8KNEONT12,
	},
	quant.IQ4_XS: {
		dotIQ4XSQ8KNEONT1, dotIQ4XSQ8KNEONT2, dotIQ4XSQ8KNEONT4, dotIQ4XSQ8KNEONT8, dotIQ4XSQ8KNEONT12,
	},
}

// rowKernelsOf returns the kernels for a float dtype, or nil.
func rowKernelsOf(set cpu.Set, t quant.DType) *rowKernels {
	if set == cpu.NEON && int(t) < len(rowsNEON) {
		return rowsNEON[t]
	}
	return nil
}

var rowsNEON = [...]*rowKernels{
	quant.F32:  {1, dotF32F32NEONT1, dotF32F32NEONT4},
	quant.F16:  {1, dotF16F32NEONT1, dotF16F32NEONT4},
	quant.BF16: {1, dotBF16F32NEONT1, dotBF16F32NEONT4},
}

// quantizerOf returns the kernel that quantizes activations in blocks of 32 or 256, or nil.
func quantizerOf(set cpu.Set, block int) quantizer {
	switch {
	case set != cpu.NEON:
		return nil
	case block == 32:
		return quantize32NEON
	}
	return quantize256NEON
}

func prefetch([]byte) {}
