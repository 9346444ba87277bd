//go:build darwin || linux

package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// mapShared maps a file for reading, in memory that all processes that map it share.
func mapShared(f *os.File, size int) ([]byte, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err == nil {
		adviseHuge(data)
	}
	return data, err
}

func unmap(data []byte) error { return syscall.Munmap(data) }

// lock takes the lock of a file that no other process has, until the file is closed or the process ends.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// trusted reports whether nobody but this user and root can write to a file.
func trusted(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid()) && info.Mode().Perm()&0o022 == 0
}

// FreeDisk returns the bytes that this user may still write to the file system of a folder, or of the folder that it will
// be made in.
func FreeDisk(dir string) (int64, bool) {
	var st syscall.Statfs_t
	for syscall.Statfs(dir, &st) != nil {
		parent := filepath.Dir(dir)
		if parent == dir {
			return 0, false
		}
		dir = parent
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
