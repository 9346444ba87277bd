package kernel

import "math"

// FMA returns x*y + z rounded once to float32, on every architecture.
//
// The product of two float32 is exact in float64, so only the float64 sum can round before the conversion to float32
// rounds again. Rounding twice is wrong only where the first one lands on a midpoint between two float32: those sums,
// and all that are subnormal in float32 (whose midpoints lie elsewhere), take the slow path.
func FMA(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	if roundsTwice(s) {
		return roundOnce(p, z)
	}
	return float32(s)
}

// roundsTwice reports whether float32(s) may differ from the exact sum rounded once. The loops of this package spell
// FMA out with it, since the compiler does not inline a function that calls roundOnce.
func roundsTwice(s float64) bool {
	b := math.Float64bits(s)
	return b&(1<<29-1) == 1<<28 || b<<1 < (1023-126)<<53
}

// axpy does acc[i] = FMA(x[i], y, acc[i]) for every i of acc; x is at least as long.
func axpy(acc, x []float32, y float32) {
	x = x[:len(acc)]
	y64 := float64(y)
	for i, a := range acc {
		p := float64(x[i]) * y64
		s := p + float64(a)
		if roundsTwice(s) {
			acc[i] = roundOnce(p, a)
			continue
		}
		acc[i] = float32(s)
	}
}

// roundOnce returns p + z rounded once to float32. It rounds the float64 sum to odd, after which the conversion rounds as
// if it were the only one (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
// rounding to odd", 2008).
func roundOnce(p float64, z float32) float32 {
	c := float64(z)
	s := float64(p + c)
	// Knuth's two-sum: s + e is p + c exactly.
	b := float64(s - p)
	e := float64(float64(p-float64(s-b)) + float64(c-b))
	if e == 0 || math.IsInf(s, 0) || e != e {
		return float32(s)
	}
	bits := math.Float64bits(s)
	if bits&1 == 0 {
		// s is even and inexact: the odd neighbour on the side of e. A larger magnitude is the next bit pattern.
		if (e > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
	}
	return float32(math.Float64frombits(bits))
}
