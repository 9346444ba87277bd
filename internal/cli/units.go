package cli

import (
	"fmt"
	"math"
	"time"
)

// Bytes writes a number of bytes for people, in powers of 1000.
func Bytes(n float64) string {
	if n < 1000 {
		return fmt.Sprintf("%.0f B", n)
	}
	unit := -1
	for n >= 999.5 && unit < 4 {
		n /= 1000
		unit++
	}
	return fmt.Sprintf("%.*f %cB", decimals(n), n, "kMGTP"[unit])
}

// Tokens writes a number of tokens for people.
func Tokens(n float64) string {
	if n == math.Trunc(n) {
		return fmt.Sprintf("%.0f tokens", n)
	}
	return fmt.Sprintf("%.*f tokens", decimals(n), n)
}

// decimals gives three digits to what is below 1000.
func decimals(n float64) int {
	switch {
	case n < 9.995:
		return 2
	case n < 99.95:
		return 1
	}
	return 0
}

// Milliseconds is a duration in milliseconds, to the microsecond.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Rate is so many per second, 0 where no time was taken.
func Rate(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
