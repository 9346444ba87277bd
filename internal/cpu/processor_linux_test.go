//go:build amd64 && !purego

package cpu

import (
	"runtime"
	"testing"
)

// TestLeave moves a thread off its processor, after which it may still use all that it could before.
func TestLeave(t *testing.T) {
	if Processor() < 0 || runtime.NumCPU() < 2 {
		t.Skip("needs RDTSCP and two processors")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, _, errno := affinity()
	if errno != 0 {
		t.Fatal(errno)
	}
	moved := 0
	for range 20 {
		at := Processor()
		Leave(at)
		if Processor() != at {
			moved++
		}
	}
	if moved < 10 { // the system may move it back at any time
		t.Errorf("a thread left its processor %d times of 20", moved)
	}
	if after, _, _ := affinity(); after != before {
		t.Errorf("processors allowed: %x, and %x before", after, before)
	}
}

// TestLeaveElsewhere leaves a processor that the thread is not on.
func TestLeaveElsewhere(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, _, _ := affinity()
	Leave(len(before)*64 - 1)
	if after, _, _ := affinity(); after != before {
		t.Errorf("processors allowed: %x, and %x before", after, before)
	}
}
