//go:build !purego

package cpu

import "syscall"

// hasDotProduct asks IsProcessorFeaturePresent for PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE (winnt.h).
func hasDotProduct() bool {
	ask := syscall.NewLazyDLL("kernel32.dll").NewProc("IsProcessorFeaturePresent")
	if ask.Find() != nil {
		return false
	}
	present, _, _ := ask.Call(43)
	return present != 0
}
