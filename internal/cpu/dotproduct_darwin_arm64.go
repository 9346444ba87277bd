//go:build !purego

package cpu

// hasDotProduct is true of every Mac with an arm64 processor: the first, M1, implements Armv8.4, of which dot products
// are a part.
func hasDotProduct() bool { return true }
