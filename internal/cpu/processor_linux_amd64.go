//go:build !purego

package cpu

import (
	"runtime"
	"syscall"
	"unsafe"
)

func rdtscp() uint32

// tellsProcessor says whether RDTSCP is there: bit 27 of EDX in leaf 0x80000001.
var tellsProcessor = func() bool {
	if most, _, _, _ := cpuid(0x80000000, 0); most < 0x80000001 {
		return false
	}
	_, _, _, d := cpuid(0x80000001, 0)
	return d&(1<<27) != 0
}()

// Processor returns the number of the processor that the calling thread is on, or was a moment ago; -1 where that is not
// known. It takes some ten nanoseconds. Linux keeps the number in the low twelve bits of the register that RDTSCP reads.
func Processor() int {
	if !tellsProcessor {
		return -1
	}
	return int(rdtscp() & 0xfff)
}

// Yield lets other threads run that wait for the processor.
func Yield() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

// Leave moves the calling thread to another of the processors that it may use, if there is one and it is on processor n
// still. It may come back later, should the system think so.
func Leave(n int) {
	runtime.LockOSThread() // one thread for all three calls
	defer runtime.UnlockOSThread()
	all, size, errno := affinity()
	if errno != 0 || Processor() != n {
		return
	}
	others := all
	others[n/64] &^= 1 << (n % 64)
	if setAffinity(&others, size) == 0 { // else there are no others
		setAffinity(&all, size)
	}
}

// mask has a bit for each processor: for as many as RDTSCP tells apart.
type mask [4096 / 64]uint64

// affinity returns the processors that the calling thread may use, and how many bytes Linux has for such.
func affinity() (all mask, size uintptr, errno syscall.Errno) {
	size, _, errno = syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(all), uintptr(unsafe.Pointer(&all)))
	return all, size, errno
}

func setAffinity(m *mask, size uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, size, uintptr(unsafe.Pointer(m)))
	return errno
}
