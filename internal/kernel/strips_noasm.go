//go:build !amd64 || purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

// stripKernelsOf returns nil: there is no assembly here.
func stripKernelsOf(cpu.Set, quant.DType) *stripKernels { return nil }
