//go:build darwin || linux

package store

import (
	"fmt"
	"io/fs"
	"syscall"
)

// inodeIdentity names the content that a file has had since its last change. Whoever writes to a file can set the time of
// modification back, as programs that copy do; the time of change belongs to the system.
func inodeIdentity(dev, ino uint64, info fs.FileInfo, changed syscall.Timespec) string {
	return fmt.Sprintf("%d:%d:%d:%d:%d", dev, ino, info.Size(), info.ModTime().UnixNano(), changed.Nano())
}
