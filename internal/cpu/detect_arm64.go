//go:build !purego

package cpu

// detect asks the operating system: reading a processor's own registers of features is a privileged instruction on
// arm64, which not every system emulates.
func detect() sets { return sets{Generic: true, NEON: hasDotProduct()} }
