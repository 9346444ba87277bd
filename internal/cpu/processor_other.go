//go:build !amd64 || !linux || purego

package cpu

// Processor returns -1: which processor a thread is on is not known here.
func Processor() int { return -1 }

// Yield does nothing.
func Yield() {}

// Leave does nothing.
func Leave(int) {}
