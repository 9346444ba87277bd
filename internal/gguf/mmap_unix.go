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

// unmap ends a mapping that mapFile made.
func unmap(data []byte) error { return syscall.Munmap(data) }
