//go:build unix

package store

import (
	"fmt"
	"io/fs"
	"syscall"
)

// fileIdentity names a file and its present content.
func fileIdentity(_ string, info fs.FileInfo) (string, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	return fmt.Sprintf("%d:%d:%d:%d", st.Dev, st.Ino, info.Size(), info.ModTime().UnixNano()), true
}
