//go:build linux && (amd64 || arm64)

package wasm

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/realm-ai/realm"
)

// snapshot is the content of a memory: a file without a name, which instances map copy-on-write. What they do not write
// they share.
type snapshot struct {
	file *os.File
	size int
}

func newSnapshot(memory []byte) (*snapshot, error) {
	file, err := os.CreateTemp("", "realm-guest-")
	if err != nil {
		return nil, errorf(realm.CodeIO, "snapshot: %w", err)
	}
	s := &snapshot{file, len(memory)}
	if err = os.Remove(file.Name()); err == nil {
		_, err = file.Write(memory)
	}
	if err != nil {
		s.close()
		return nil, errorf(realm.CodeIO, "snapshot: %w", err)
	}
	return s, nil
}

func (s *snapshot) close() { _ = s.file.Close() }

// noHugePages keeps an instance that uses a few pages from being given 2 MiB for each.
const noHugePages = 15 // MADV_NOHUGEPAGE

// newMapping maps a snapshot, or zeros where it is nil.
func newMapping(s *snapshot, limit int) (*mapping, error) {
	const prot = syscall.PROT_READ | syscall.PROT_WRITE
	data, err := syscall.Mmap(-1, 0, limit, prot, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return nil, errorf(realm.CodeOutOfMemory, "a guest memory of up to %d bytes: %w", limit, err)
	}
	m := &mapping{data}
	_ = syscall.Madvise(data, noHugePages) // advice; a kernel without huge pages refuses it
	if s != nil && s.size > 0 {
		_, _, errno := syscall.Syscall6(syscall.SYS_MMAP, uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(s.size), prot,
			syscall.MAP_PRIVATE|syscall.MAP_FIXED|syscall.MAP_NORESERVE, s.file.Fd(), 0)
		if errno != 0 {
			m.Free()
			return nil, errorf(realm.CodeOutOfMemory, "a guest memory of %d bytes: %w", s.size, errno)
		}
	}
	return m, nil
}

func unmap(data []byte) { _ = syscall.Munmap(data) }
