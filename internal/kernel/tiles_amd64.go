//go:build amd64 && !purego

package kernel

import (
	"github.com/realm-ai/realm/internal/cpu"
	"github.com/realm-ai/realm/internal/quant"
)

//go:generate go run -C _asm . -amx -out ../amx_amd64.s -stubs ../amx_stubs_amd64.go -pkg kernel
//go:generate go run -C _asm ./join ../amx_amd64.s

// tileKernelsOf returns the kernels for a dtype, or nil.
func tileKernelsOf(set cpu.Set, t quant.DType) *tileKernels {
	if set >= cpu.AMX && int(t) < len(tilesAMX) {
		return tilesAMX[t]
	}
	return nil
}

// tilesAMX is indexed by dtype.
var tilesAMX = [...]*tileKernels{
	quant.Q4_0:   {many: dotQ40Q80AMX},
	quant.Q4_1:   {many: dotQ41Q80AMX},
	quant.Q5_0:   {many: dotQ50Q80AMX},
	quant.Q5_1:   {many: dotQ51Q80AMX},
	quant.Q8_0:   {many: dotQ80Q80AMX},
	quant.IQ4_NL: {many: dotIQ4NLQ80AMX},
	quant.Q2_K:   {[2]dotTiles{dotQ2KQ8KAMXT8, dotQ2KQ8KAMXT16}, dotQ2KQ8KAMX},
	quant.Q3_K:   {[2]dotTiles{dotQ3KQ8KAMXT8, dotQ3KQ8KAMXT16}, dotQ3KQ8KAMX},
	quant.Q4_K:   {[2]dotTiles{dotQ4KQ8KAMXT8, dotQ4KQ8KAMXT16}, dotQ4KQ8KAMX},
	quant.Q5_K:   {[2]dotTiles{dotQ5KQ8KAMXT8, dotQ5KQ8KAMXT16}, dotQ5KQ8KAMX},
	quant.Q6_K:   {[2]dotTiles{dotQ6KQ8KAMXT8, dotQ6KQ8KAMXT16}, dotQ6KQ8KAMX},
	quant.IQ4_XS: {[2]dotTiles{dotIQ4XSQ8KAMXT8, dotIQ4XSQ8KAMXT16}, dotIQ4XSQ8KAMX},
}
