package kvcache

import (
	"fmt"
	"syscall"
)

// allocate returns n bytes of zeroed memory, in huge pages where the system has them.
func allocate(n int64) ([]byte, error) {
	b, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes: %w", ErrFull, n, err)
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // advice: small pages are slower and as good
	return b, nil
}

// free gives back what allocate returned.
func free(b []byte) { _ = syscall.Munmap(b) }
