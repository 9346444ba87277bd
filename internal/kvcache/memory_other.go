//go:build !linux

package kvcache

import "unsafe"

// allocate returns n bytes of zeroed memory.
func allocate(n int64) ([]byte, error) {
	words := make([]uint64, (n+7)/8) // aligned for any float
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n), nil
}

// free leaves the memory to the garbage collector.
func free([]byte) {}
