//go:build !(amd64 || arm64) || purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

// Where there is no assembly, no dtype has kernels.

func stripKernelsOf(cpu.Set, quant.DType) *stripKernels { return nil }

func rowKernelsOf(cpu.Set, quant.DType) *rowKernels { return nil }

func quantizerOf(cpu.Set, int) quantizer { return nil }

func prefetch([]byte) {}
