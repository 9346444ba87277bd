//go:build !linux

package tokenizer_test

import "time"

// threadTime is the time that f takes.
func threadTime(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
