//go:build unix && !(linux && (amd64 || arm64))

package wasm

import (
	"syscall"

	"github.com/realm-ai/realm"
)

// mapZeros maps memory that reads as zero, outside the Go heap.
func mapZeros(limit int) ([]byte, error) {
	data, err := syscall.Mmap(-1, 0, limit, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, errorf(realm.CodeOutOfMemory, "a guest memory of up to %d bytes: %w", limit, err)
	}
	return data, nil
}

func unmap(data []byte) { _ = syscall.Munmap(data) }
