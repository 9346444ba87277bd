package store

import (
	"io/fs"
	"syscall"
)

// fileIdentity names a file and its present content.
func fileIdentity(_ string, info fs.FileInfo) (string, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	return inodeIdentity(uint64(st.Dev), st.Ino, info, st.Ctimespec), true
}
