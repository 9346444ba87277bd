//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package gguf

import (
	"errors"
	"os"
	"syscall"
)

// mapFile maps size bytes of a file for reading. The error is errors.ErrUnsupported where the file system cannot.
func mapFile(file *os.File, size int) ([]byte, error) {
	data, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if errors.Is(err, syscall.ENODEV) { // what mmap(2) says of a file system without mappings
		return nil, errors.ErrUnsupported
	}
	return data, err
}

// mapMemory maps size bytes of zeroed memory with no file behind it.
func mapMemory(size int) ([]byte, error) {
	if size == 0 {
		return nil, errors.ErrUnsupported // mmap maps nothing so short
	}
	return syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
}

// unmap ends a mapping.
func unmap(data []byte) error { return syscall.Munmap(data) }
