//go:build !(darwin || linux)

package store

import (
	"fmt"
	"io/fs"
	"path/filepath"
)

// fileIdentity names a file and its present content.
func fileIdentity(path string, info fs.FileInfo) (string, bool) {
	abs, err := filepath.Abs(path)
	return fmt.Sprintf("%s:%d:%d", abs, info.Size(), info.ModTime().UnixNano()), err == nil
}
