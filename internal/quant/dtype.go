package quant

import (
	"fmt"
	"math"
	"strings"
)

// DType is how the weights of a tensor are stored. Values are the ids of ggml_type, which GGUF files carry.
type DType uint32

// The dtypes that this package dequantizes.
const (
	F32    DType = 0
	F16    DType = 1
	Q4_0   DType = 2
	Q4_1   DType = 3
	Q5_0   DType = 6
	Q5_1   DType = 7
	Q8_0   DType = 8
	Q2_K   DType = 10
	Q3_K   DType = 11
	Q4_K   DType = 12
	Q5_K   DType = 13
	Q6_K   DType = 14
	IQ4_NL DType = 20
	IQ4_XS DType = 23
	BF16   DType = 30
)

// format is what the package knows of a dtype. Where dequantize is nil the dtype has only its name.
type format struct {
	name       string
	weights    int                             // in a block
	bytes      int                             // in a block
	dequantize func(dst []float32, src []byte) // whole blocks, lengths checked by the caller
	quantize   func(dst []byte, src []float32) // the same; nil where there is no quantizer
}

// formats has every id of ggml_type in llama.cpp's ggml.h. The gaps are ids that were withdrawn.
var formats = [...]format{
	F32:    {"F32", 1, 4, dequantizeF32, quantizeF32},
	F16:    {"F16", 1, 2, dequantizeF16, quantizeF16},
	Q4_0:   {"Q4_0", BlockWeights, Q4_0Bytes, dequantizeQ4_0, quantizeQ4_0},
	Q4_1:   {"Q4_1", BlockWeights, Q4_1Bytes, dequantizeQ4_1, quantizeQ4_1},
	Q5_0:   {"Q5_0", BlockWeights, Q5_0Bytes, dequantizeQ5_0, nil},
	Q5_1:   {"Q5_1", BlockWeights, Q5_1Bytes, dequantizeQ5_1, nil},
	Q8_0:   {"Q8_0", BlockWeights, Q8_0Bytes, dequantizeQ8_0, quantizeQ8_0},
	9:      {name: "Q8_1"},
	Q2_K:   {"Q2_K", SuperBlockWeights, Q2_KBytes, dequantizeQ2_K, nil},
	Q3_K:   {"Q3_K", SuperBlockWeights, Q3_KBytes, dequantizeQ3_K, nil},
	Q4_K:   {"Q4_K", SuperBlockWeights, Q4_KBytes, dequantizeQ4_K, quantizeQ4_K},
	Q5_K:   {"Q5_K", SuperBlockWeights, Q5_KBytes, dequantizeQ5_K, nil},
	Q6_K:   {"Q6_K", SuperBlockWeights, Q6_KBytes, dequantizeQ6_K, quantizeQ6_K},
	15:     {name: "Q8_K"},
	16:     {name: "IQ2_XXS"},
	17:     {name: "IQ2_XS"},
	18:     {name: "IQ3_XXS"},
	19:     {name: "IQ1_S"},
	IQ4_NL: {"IQ4_NL", BlockWeights, IQ4_NLBytes, dequantizeIQ4_NL, nil},
	21:     {name: "IQ3_S"},
	22:     {name: "IQ2_S"},
	IQ4_XS: {"IQ4_XS", SuperBlockWeights, IQ4_XSBytes, dequantizeIQ4_XS, nil},
	24:     {name: "I8"},
	25:     {name: "I16"},
	26:     {name: "I32"},
	27:     {name: "I64"},
	28:     {name: "F64"},
	29:     {name: "IQ1_M"},
	BF16:   {"BF16", 1, 2, dequantizeBF16, quantizeBF16},
	34:     {name: "TQ1_0"},
	35:     {name: "TQ2_0"},
	39:     {name: "MXFP4"},
	40:     {name: "NVFP4"},
	41:     {name: "Q1_0"},
	42:     {name: "Q2_0"},
}

// format returns t's row of the table, or an empty one.
func (t DType) format() format {
	if uint64(t) < uint64(len(formats)) {
		return formats[t]
	}
	return format{}
}

// String returns the name that llama.cpp's tools use, such as "Q4_K", also of dtypes that are not supported, and
// "dtype 99" for an id without a name.
func (t DType) String() string {
	if name := t.format().name; name != "" {
		return name
	}
	return fmt.Sprintf("dtype %d", uint32(t))
}

// ByName returns the dtype called name, in upper or lower case, and whether there is one. It also finds dtypes that are
// not supported.
func ByName(name string) (DType, bool) {
	for id, f := range formats {
		if f.name != "" && strings.EqualFold(f.name, name) {
			return DType(id), true
		}
	}
	return 0, false
}

// Supported says whether Dequantize knows t. BlockSize, BlockBytes and RowBytes are 0 where it does not.
func (t DType) Supported() bool { return t.format().dequantize != nil }

// CanQuantize says whether Quantize knows t.
func (t DType) CanQuantize() bool { return t.format().quantize != nil }

// BlockSize returns the number of weights in a block: 1 for float dtypes, 32 or 256.
func (t DType) BlockSize() int { return t.format().weights }

// BlockBytes returns the size of a block in bytes.
func (t DType) BlockBytes() int { return t.format().bytes }

// RowBytes returns the size in bytes of a row of n weights, or 0 if there is no such row: n is negative or not a
// multiple of the block size, the size does not fit an int, or t is not supported.
func (t DType) RowBytes(n int) int {
	f := t.format()
	if f.weights == 0 || n < 0 || n%f.weights != 0 || n/f.weights > math.MaxInt/f.bytes {
		return 0
	}
	return n / f.weights * f.bytes
}
