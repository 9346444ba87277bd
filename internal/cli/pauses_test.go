package cli

import (
	"math"
	"runtime"
	"testing"
)

func TestPauses(t *testing.T) {
	inf := math.Inf(1)
	buckets := []float64{-inf, 0, 1, 2, 3, inf}
	before := Pauses{buckets, []uint64{0, 5, 0, 0, 0}}
	after := Pauses{buckets, []uint64{0, 95, 9, 0, 1}}
	d := after.Since(before)
	if got := d.Count(); got != 100 {
		t.Errorf("count %d, want 100", got)
	}
	for _, tc := range []struct{ q, want float64 }{{0, 1}, {0.5, 1}, {0.9, 1}, {0.91, 2}, {0.99, 2}, {1, 3}} {
		if got := d.Quantile(tc.q); got != tc.want {
			t.Errorf("quantile %v: %v, want %v", tc.q, got, tc.want)
		}
	}
	if got := (Pauses{}).Plus(d).Plus(d); got.Count() != 200 || got.Quantile(0.91) != 2 || d.Count() != 100 {
		t.Errorf("twice: %d pauses, of %d", got.Count(), d.Count())
	}
	if got := (Pauses{}).Quantile(0.99); got != 0 {
		t.Errorf("of none: %v", got)
	}

	start := ReadPauses()
	runtime.GC()
	// A collection stops the world when it begins and when marking ends.
	if d := ReadPauses().Since(start); d.Count() < 2 || d.Quantile(0.5) <= 0 || d.Quantile(1) > 10 {
		t.Errorf("of one collection: %d pauses, median %v, longest %v", d.Count(), d.Quantile(0.5), d.Quantile(1))
	}
}
