package cli

import (
	"math"
	"runtime/metrics"
	"slices"
)

// pauseMetric is a histogram of how long the garbage collector stopped the world, waiting for threads included.
const pauseMetric = "/sched/pauses/total/gc:seconds"

// Pauses are the times for which the garbage collector stopped the world, from one moment to another.
type Pauses struct {
	buckets []float64
	counts  []uint64
}

// ReadPauses returns the pauses since the process started.
func ReadPauses() Pauses {
	sample := []metrics.Sample{{Name: pauseMetric}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return Pauses{}
	}
	h := sample[0].Value.Float64Histogram()
	return Pauses{buckets: h.Buckets, counts: h.Counts}
}

// Since returns the pauses that came after those before.
func (p Pauses) Since(before Pauses) Pauses {
	return p.combine(before, func(a, b uint64) uint64 { return a - b })
}

// Plus returns the pauses of both.
func (p Pauses) Plus(q Pauses) Pauses {
	if p.counts == nil {
		return q
	}
	return p.combine(q, func(a, b uint64) uint64 { return a + b })
}

func (p Pauses) combine(q Pauses, op func(a, b uint64) uint64) Pauses {
	out := Pauses{buckets: p.buckets, counts: slices.Clone(p.counts)}
	for i, n := range q.counts {
		out.counts[i] = op(p.counts[i], n)
	}
	return out
}

// Count returns the number of pauses.
func (p Pauses) Count() uint64 {
	n := uint64(0)
	for _, c := range p.counts {
		n += c
	}
	return n
}

// Quantile returns a number of seconds that the share q of the pauses did not exceed, as precisely as the runtime's
// buckets are narrow; 0 where there was none.
func (p Pauses) Quantile(q float64) float64 {
	want, n := q*float64(p.Count()), uint64(0)
	for i, c := range p.counts {
		if n += c; n > 0 && float64(n) >= want {
			if end := p.buckets[i+1]; !math.IsInf(end, 1) {
				return end
			}
			return p.buckets[i]
		}
	}
	return 0
}
