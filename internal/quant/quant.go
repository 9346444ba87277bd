// Package quant owns the numbers in a tensor's bytes: the dtypes, the layout of their blocks, and how weights are
// written to and read from them, in plain Go.
//
// It must not know where the bytes come from (package gguf), nor how they are multiplied (package kernel, which takes
// the layouts and scales from here). Values are those of llama.cpp bit for bit; testdata/gen_golden.py asks it.
//
// Start at Dequantize; layout.go draws the blocks.
package quant

import "fmt"

// UnsupportedError says that a dtype is unknown or cannot be used for what was asked.
type UnsupportedError struct {
	Op    string // "dequantize" or "quantize"
	DType DType
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("quant: %s: %v is not supported", e.Op, e.DType)
}

// SizeError says that a number of weights is not whole blocks, or that it does not take that many bytes.
type SizeError struct {
	Op      string // "dequantize" or "quantize"
	DType   DType
	Weights int
	Bytes   int
}

func (e *SizeError) Error() string {
	want := e.DType.RowBytes(e.Weights)
	if want == 0 && e.Weights != 0 {
		return fmt.Sprintf("quant: %s: %v: %d weights are not a multiple of the block size %d",
			e.Op, e.DType, e.Weights, e.DType.BlockSize())
	}
	return fmt.Sprintf("quant: %s: %v: %d weights take %d bytes, not %d", e.Op, e.DType, e.Weights, want, e.Bytes)
}

// Dequantize writes the len(dst) weights that src holds in dtype t to dst: one row, or several that follow each other.
// src has exactly t.RowBytes(len(dst)) bytes.
//
// Every weight has the bits that ggml's dequantize_row functions give, also where a scale is subnormal or infinite. A
// NaN (from a scale that is one, or infinity times zero) is a NaN, but its sign and payload are the processor's.
//
// The error is an *UnsupportedError or a *SizeError, and dst is then unchanged.
func Dequantize(dst []float32, src []byte, t DType) error {
	f := t.format()
	if f.dequantize == nil {
		return &UnsupportedError{"dequantize", t}
	}
	if len(dst)%f.weights != 0 || len(src) != t.RowBytes(len(dst)) {
		return &SizeError{"dequantize", t, len(dst), len(src)}
	}
	f.dequantize(dst, src)
	return nil
}

// Quantize writes the weights src to dst in dtype t, one of F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K and Q6_K. dst has
// exactly t.RowBytes(len(src)) bytes.
//
// The bytes are those of ggml's quantize_row_*_ref functions on amd64, also for weights so large or small that a
// block's scale or its reciprocal leaves the range of its type. F32, F16 and BF16 take every value; what the other
// dtypes make of a block with a NaN or an infinity in it is unspecified.
//
// The error is an *UnsupportedError or a *SizeError, and dst is then unchanged.
func Quantize(dst []byte, src []float32, t DType) error {
	f := t.format()
	if f.quantize == nil {
		return &UnsupportedError{"quantize", t}
	}
	if len(src)%f.weights != 0 || len(dst) != t.RowBytes(len(src)) {
		return &SizeError{"quantize", t, len(src), len(dst)}
	}
	f.quantize(dst, src)
	return nil
}
