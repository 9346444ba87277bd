package kernel

import "github.com/realm-ai/realm/internal/quant"

// goldenMatMul is the FNV-1a hash of TestMatMulBits' products. A kernel that gives another is wrong, however close: see
// DESIGN section 5 and docs/rationale.md.
var goldenMatMul = map[quant.DType]uint64{
	quant.F32:    0xd2f238bb64868d15,
	quant.F16:    0x5c9b9962aa9eb4a,
	quant.BF16:   0x5cca86cf14d255dc,
	quant.Q4_0:   0x2b0489ec349d57c4,
	quant.Q4_1:   0x9de51b06688912c2,
	quant.Q5_0:   0x1a6b25ca4293f07a,
	quant.Q5_1:   0x6ffe072139e17900,
	quant.Q8_0:   0xad728b56f42a4ae4,
	quant.IQ4_NL: 0x53ae1b48c9e96422,
	quant.Q2_K:   0x57c3ce58659c19a1,
	quant.Q3_K:   0x32ad2f01cd6c732a,
	quant.Q4_K:   0x20956caa8d1c5db8,
	quant.Q5_K:   0x1247f3d05c3e06ff,
	quant.Q6_K:   0xaa333c50223611dc,
	quant.IQ4_XS: 0x2606f406964b3963,
}

// goldenAttention is the FNV-1a hash of TestAttentionBits' output.
const goldenAttention = 0x1b1b03b5ebace307
