package tokenizer_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// threadTime is the processor time that f takes, which other processes do not add to.
func threadTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadClock()
	f()
	return threadClock() - start
}

func threadClock() time.Duration {
	const rusageThread = 1
	var usage syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func TestThreadTime(t *testing.T) {
	if slept := threadTime(func() { time.Sleep(50 * time.Millisecond) }); slept > 25*time.Millisecond {
		t.Errorf("sleeping takes %v", slept)
	}
}
