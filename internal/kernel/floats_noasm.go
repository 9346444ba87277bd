//go:build !(amd64 || arm64) || purego

package kernel

import "github.com/realm-ai/realm/internal/cpu"

// Without assembly nothing is done in vectors.

func attendKernelsOf(cpu.Set) *attendKernels { return nil }

func divideVectors(_, _ []float32, _ float32) int               { return 0 }
func decodeVectors([]float32, []uint16) int                     { return 0 }
func encodeVectors([]uint16, []float32) int                     { return 0 }
func putKeyVectors([]uint16, int, int, []float32, int, int) int { return 0 }
func dotVectors(_ *[16]float32, _, _ []float32) int             { return 0 }
func scaleVectors(_, _, _ []float32, _ float32) int             { return 0 }
func swiGLUVectors(_, _ []float32) int                          { return 0 }
func mergeVectors(_, _ []float32, _, _ float32) int             { return 0 }
func multiplyVectors([]float32, float32) int                    { return 0 }
func addVectors(_, _ []float32) int                             { return 0 }
func skipVectors([]float32, float32) int                        { return 0 }
func ropeVectors(_, _, _ []float32, _ int, _ bool) int          { return 0 }
