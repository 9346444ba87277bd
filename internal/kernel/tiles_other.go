//go:build !amd64 || purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

func tileKernelOf(cpu.Set, quant.DType) dotTiles { return nil }
