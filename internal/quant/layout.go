package quant

// The layout of a block of each dtype, as in llama.cpp's ggml-common.h. A constant without suffix Bytes is the offset
// in bytes of a field; the comment beside it gives the field's size and contents. Every scale d, dmin or m is an F16,
// and all numbers are little-endian. The declaration below each group holds the sum of the fields' sizes to the
// block's.

const (
	// BlockWeights is the number of weights in a block of Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and IQ4_NL.
	BlockWeights = 32
	// SuperBlockWeights is the number of weights in a super-block of a K-quant or IQ4_XS.
	SuperBlockWeights = 256
)

// Q4_0: w = d * (q - 8).
const (
	Q4_0D      = 0 // 2
	Q4_0Quants = 2 // 16: byte i has weight i in its low nibble, weight i+16 in its high one
	Q4_0Bytes  = 18
)

var _ [Q4_0Bytes]byte = [2 + BlockWeights/2]byte{}

// Q4_1: w = d*q + m.
const (
	Q4_1D      = 0 // 2
	Q4_1M      = 2 // 2
	Q4_1Quants = 4 // 16: as Q4_0
	Q4_1Bytes  = 20
)

var _ [Q4_1Bytes]byte = [2 + 2 + BlockWeights/2]byte{}

// Q5_0: w = d * (q - 16).
const (
	Q5_0D      = 0 // 2
	Q5_0High   = 2 // 4: bit i of this uint32 is bit 4 of weight i
	Q5_0Quants = 6 // 16: bits 0 to 3, as Q4_0
	Q5_0Bytes  = 22
)

var _ [Q5_0Bytes]byte = [2 + BlockWeights/8 + BlockWeights/2]byte{}

// Q5_1: w = d*q + m.
const (
	Q5_1D      = 0 // 2
	Q5_1M      = 2 // 2
	Q5_1High   = 4 // 4: as Q5_0
	Q5_1Quants = 8 // 16: bits 0 to 3, as Q4_0
	Q5_1Bytes  = 24
)

var _ [Q5_1Bytes]byte = [2 + 2 + BlockWeights/8 + BlockWeights/2]byte{}

// Q8_0: w = d * q.
const (
	Q8_0D      = 0 // 2
	Q8_0Quants = 2 // 32: int8
	Q8_0Bytes  = 34
)

var _ [Q8_0Bytes]byte = [2 + BlockWeights]byte{}

// IQ4_NL: w = d * IQ4_NLValues[q].
const (
	IQ4_NLD      = 0 // 2
	IQ4_NLQuants = 2 // 16: as Q4_0
	IQ4_NLBytes  = 18
)

var _ [IQ4_NLBytes]byte = [2 + BlockWeights/2]byte{}

// Q2_K: 16 sub-blocks of 16; w = (d*sc)*q - dmin*m.
const (
	Q2_KScales = 0  // 16: byte j has sub-block j's sc in its low nibble, its m in the high one
	Q2_KQuants = 16 // 64: byte 32*h + i has weights 128*h + i + {0, 32, 64, 96} in its bit pairs, lowest first
	Q2_KD      = 80 // 2
	Q2_KDMin   = 82 // 2
	Q2_KBytes  = 84
)

var _ [Q2_KBytes]byte = [SuperBlockWeights/16 + SuperBlockWeights/4 + 2 + 2]byte{}

// Q3_K: 16 sub-blocks of 16; w = (d*sc) * (q - 4).
const (
	Q3_KHigh   = 0   // 32: bit k of byte i is bit 2 of weight 32*k + i
	Q3_KQuants = 32  // 64: bits 0 and 1, as Q2_K
	Q3_KScales = 96  // 12: see ScaleQ3_K
	Q3_KD      = 108 // 2
	Q3_KBytes  = 110
)

var _ [Q3_KBytes]byte = [SuperBlockWeights/8 + SuperBlockWeights/4 + 12 + 2]byte{}

// Q4_K: 8 sub-blocks of 32; w = (d*sc)*q - dmin*m.
const (
	Q4_KD      = 0  // 2
	Q4_KDMin   = 2  // 2
	Q4_KScales = 4  // 12: see ScaleMinK4
	Q4_KQuants = 16 // 128: byte 32*h + i has weight 64*h + i in its low nibble, weight 64*h + 32 + i in its high one
	Q4_KBytes  = 144
)

var _ [Q4_KBytes]byte = [2 + 2 + 12 + SuperBlockWeights/2]byte{}

// Q5_K: 8 sub-blocks of 32; w = (d*sc)*q - dmin*m.
const (
	Q5_KD      = 0  // 2
	Q5_KDMin   = 2  // 2
	Q5_KScales = 4  // 12: see ScaleMinK4
	Q5_KHigh   = 16 // 32: bit k of byte i is bit 4 of weight 32*k + i
	Q5_KQuants = 48 // 128: bits 0 to 3, as Q4_K
	Q5_KBytes  = 176
)

var _ [Q5_KBytes]byte = [2 + 2 + 12 + SuperBlockWeights/8 + SuperBlockWeights/2]byte{}

// Q6_K: 16 sub-blocks of 16; w = (d*sc) * (q - 32).
const (
	Q6_KQuants = 0   // 128: byte 64*h + i has bits 0 to 3 of weights 128*h + i + {0, 64}, low nibble first, for i < 64
	Q6_KHigh   = 128 // 64: byte 32*h + i has bits 4 and 5 of weights 128*h + i + {0, 32, 64, 96}, lowest pair first
	Q6_KScales = 192 // 16: int8 sc of each sub-block
	Q6_KD      = 208 // 2
	Q6_KBytes  = 210
)

var _ [Q6_KBytes]byte = [SuperBlockWeights/2 + SuperBlockWeights/4 + SuperBlockWeights/16 + 2]byte{}

// IQ4_XS: 8 sub-blocks of 32; w = (d*sc) * IQ4_NLValues[q].
const (
	IQ4_XSD          = 0 // 2
	IQ4_XSScalesHigh = 2 // 2: see ScaleIQ4_XS
	IQ4_XSScalesLow  = 4 // 4
	IQ4_XSQuants     = 8 // 128: byte 16*j + i has weights 32*j + i + {0, 16}, low nibble first
	IQ4_XSBytes      = 136
)

var _ [IQ4_XSBytes]byte = [2 + 2 + SuperBlockWeights/64 + SuperBlockWeights/2]byte{}

// IQ4_NLValues are the sixteen steps of IQ4_NL and IQ4_XS, closer together near zero, where most weights are. Nobody
// may change them. Source: kvalues_iq4nl in llama.cpp's ggml-common.h.
var IQ4_NLValues = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
