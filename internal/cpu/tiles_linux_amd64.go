//go:build !purego

package cpu

import "syscall"

// permitTiles asks Linux to let this process use AMX tiles, and says whether it may. The permission is the process's,
// and its threads' and children's, until it ends; until it is there the first tile instruction is a fault. Linux
// refuses where some thread's signal stack has no room for the tiles (11 KB; Go's have 32 KB). See
// https://docs.kernel.org/arch/x86/xstate.html.
func permitTiles() bool {
	const (
		archReqXCompPerm = 0x1023
		xfeatureXTile    = 18 // XTILEDATA, by its bit in XCR0
	)
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXCompPerm, xfeatureXTile, 0)
	return errno == 0
}
