package cli

import (
	"math"
	"slices"
)

// MeanStddev returns the mean of samples and their sample standard deviation, which is 0 for a single one, as
// llama-bench does.
func MeanStddev(samples []float64) (mean, stddev float64) {
	for _, x := range samples {
		mean += x
	}
	mean /= float64(len(samples))
	if len(samples) < 2 {
		return mean, 0
	}
	for _, x := range samples {
		stddev += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(stddev / float64(len(samples)-1))
}

// Median returns the middle one of samples, or the mean of the two in the middle: neither a disturbance nor a burst of
// speed moves it far.
func Median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
