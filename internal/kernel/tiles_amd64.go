//go:build amd64 && !purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

//go:generate go run -C _asm . -amx -out ../amx_amd64.s -stubs ../amx_stubs_amd64.go -pkg kernel

// tileKernelOf returns the kernel for a dtype, or nil.
func tileKernelOf(set cpu.Set, t quant.DType) dotTiles {
	if set >= cpu.AMX && int(t) < len(tilesAMX) {
		return tilesAMX[t]
	}
	return nil
}

// tilesAMX is indexed by dtype.
var tilesAMX = [...]dotTiles{
	quant.Q4_0:   dotQ40Q80AMX,
	quant.Q4_1:   dotQ41Q80AMX,
	quant.Q5_0:   dotQ50Q80AMX,
	quant.Q5_1:   dotQ51Q80AMX,
	quant.Q8_0:   dotQ80Q80AMX,
	quant.IQ4_NL: dotIQ4NLQ80AMX,
	quant.Q2_K:   dotQ2KQ8KAMX,
	quant.Q3_K:   dotQ3KQ8KAMX,
	quant.Q4_K:   dotQ4KQ8KAMX,
	quant.Q5_K:   dotQ5KQ8KAMX,
	quant.Q6_K:   dotQ6KQ8KAMX,
	quant.IQ4_XS: dotIQ4XSQ8KAMX,
}
