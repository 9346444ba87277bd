// Package kernel owns the arithmetic of a transformer: products of quantized weight matrices with activations, RMS
// norm, rotary embedding, attention over one block of the KV cache, and the activation functions, with the worker pool
// that spreads them over threads.
//
// Every function here has one defined result, bit for bit (DESIGN section 5): the order of every sum is fixed, a fused
// multiply-add is a true one, and the transcendental functions are this package's own. Faster implementations of the
// same functions must give the same bytes, so their tests compare for equality with these.
//
// Plain Go is the reference, compiled everywhere. What is written in assembly, by _asm, is chosen by package cpu.
//
// It knows blocks, rows and heads. It must not know files, layers, sequences or models. Start at Matrix and
// Pool.MatMul.
package kernel
