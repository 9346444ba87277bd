package model

import (
	"syscall"
)

// allocate returns n bytes of zeroed memory outside the Go heap, for which the garbage collector need not account, in
// huge pages where the system has them: weights are read from one end to the other for every token.
func allocate(n int64) ([]byte, error) {
	data, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	_ = syscall.Madvise(data, syscall.MADV_HUGEPAGE) // advice: small pages are slower and as good
	return data, nil
}

// free gives back what allocate returned.
func free(data []byte) error { return syscall.Munmap(data) }
