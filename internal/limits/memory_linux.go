package limits

import "syscall"

// allocate returns n bytes outside the Go heap, in huge pages where the system has them, as weights are.
func allocate(n int64) ([]byte, error) {
	memory, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	_ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE) // advice: small pages are slower and as good
	return memory, nil
}

// free gives back what allocate returned. Nothing can be done where that fails.
func free(memory []byte) { _ = syscall.Munmap(memory) }
