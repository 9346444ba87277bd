//go:build unix && !linux

package cli

import (
	"runtime"
	"syscall"
)

// ReadMemory asks getrusage(2), which knows the peak only.
func ReadMemory() Memory {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return Memory{}
	}
	peak := int64(u.Maxrss) // in kB, but on Apple's systems in bytes
	if runtime.GOOS != "darwin" && runtime.GOOS != "ios" {
		peak *= 1024
	}
	return Memory{Peak: peak}
}
