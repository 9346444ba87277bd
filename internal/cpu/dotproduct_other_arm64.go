//go:build !purego && !linux && !darwin && !windows

package cpu

// hasDotProduct does not know how to ask this system.
func hasDotProduct() bool { return false }
