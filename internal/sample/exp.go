package sample

import "math"

// Package math's Exp and Log are assembly on some architectures and Go on others and differ in the last bit, so the
// two functions here are written out in double precision with additions, multiplications and bit operations only.
// Every product is converted explicitly before it is added to: the language then forbids fusing the two roundings.

// Both series run over a reduced argument that is so small that the first term left out is below 2^-53 of the result.
const (
	ln2 = 0.693147180559945309417232121458176568
	// ln2 in two parts: ln2Hi has 32 significant bits, so that k*ln2Hi is exact for every exponent k of a float64.
	ln2Hi = float64(2977044471) / (1 << 32)
	ln2Lo = ln2 - 2977044471.0/(1<<32)
)

// expCoef[n] is 1/n!, the Taylor series of e^x. With |x| <= ln2/2 the term after the last is below 2^-57.
var expCoef = [14]float64{
	1, 1, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800,
	1. / 39916800, 1. / 479001600, 1. / 6227020800,
}

// exp returns e^x for x <= 0, which is all a softmax needs, and 0 where the result is below the normal float64 range.
func exp(x float64) float64 {
	if x < -708 {
		return 0
	}
	k := int64(float64(x*(1/ln2)) - 0.5) // the nearest integer, since x <= 0 and the conversion truncates
	n := float64(k)
	r := (x - float64(n*ln2Hi)) - float64(n*ln2Lo)
	sum := expCoef[len(expCoef)-1]
	for i := len(expCoef) - 2; i >= 0; i-- {
		sum = float64(sum*r) + expCoef[i]
	}
	return sum * math.Float64frombits(uint64(1023+k)<<52)
}

// log returns the natural logarithm of x, which must be positive, finite and normal.
//
// x = 2^k * m with m in [sqrt(1/2), sqrt(2)), and log(m) = 2*atanh(s) = 2*(s + s^3/3 + s^5/5 + ...) with
// s = (m-1)/(m+1), so |s| < 0.172 and the term after the last is below 2^-57 of the first.
func log(x float64) float64 {
	bits := math.Float64bits(x)
	k := int64(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m >= math.Sqrt2 {
		m /= 2
		k++
	}
	s := (m - 1) / (m + 1)
	s2 := s * s
	sum := 0.0
	for i := 21; i >= 3; i -= 2 {
		sum = float64(sum*s2) + 1/float64(i)
	}
	// The large part k*ln2Hi is exact and is added last.
	n := float64(k)
	small := float64(n*ln2Lo) + 2*float64(s*float64(s2*sum))
	return float64(n*ln2Hi) + (2*s + small)
}
