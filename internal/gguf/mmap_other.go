//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package gguf

import (
	"errors"
	"os"
)

// mapFile is not to be had here: package syscall has no mmap on this platform, so that files are read instead.
func mapFile(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

// mapMemory is not to be had here either.
func mapMemory(int) ([]byte, error) { return nil, errors.ErrUnsupported }

// unmap has nothing to do, since nothing is mapped.
func unmap([]byte) error { return nil }
