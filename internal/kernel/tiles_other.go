//go:build !amd64 || purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

func tileKernelsOf(cpu.Set, quant.DType) *tileKernels { return nil }
