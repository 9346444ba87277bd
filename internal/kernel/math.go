package kernel

import "math"

// Exp returns e**x in float32, with an error below 2 units in the last place. Below -87.3 the result is 0 rather than a
// subnormal number, above 88 it is +Inf. It uses single multiplications and additions only, in one order, so that every
// architecture gives the same bits. Range reduction and polynomial are those of Cephes' expf (Moshier).
func Exp(x float32) float32 {
	switch {
	case x > 88:
		return float32(math.Inf(1))
	case x < -87.3:
		return 0
	case x != x:
		return x
	}
	const magic = 0x1.8p23 // adding it rounds to an integer, half to even
	shifted := float32(x*math.Log2E) + magic
	n := shifted - magic
	// ln 2 in two parts, the first short enough that n times it is exact.
	r := x - float32(n*0.693359375)
	r -= float32(n * -2.12194440e-4)
	p := float32(1.9875691500e-4*r) + 1.3981999507e-3
	p = float32(p*r) + 8.3334519073e-3
	p = float32(p*r) + 4.1665795894e-2
	p = float32(p*r) + 1.6666665459e-1
	p = float32(p*r) + 5.0000001201e-1
	p = float32(p*float32(r*r)) + r
	p++
	return p * math.Float32frombits((math.Float32bits(shifted)-0x4b400000+127)<<23)
}

// The float64 functions below make tables when a model is opened or a step begins. Package math's differ between
// architectures, in assembly and in fused operations; these do not. They are right to a few units in the last place of
// a float64, far beyond what float32 tables keep.

// exp64 returns e**x for |x| < 700.
func exp64(x float64) float64 {
	n := math.Floor(float64(x*math.Log2E) + 0.5)
	r := float64(x-float64(n*0x1.62e42feep-1)) - float64(n*0x1.a39ef35793c76p-33)
	// The Taylor series to r**13/13!; |r| <= ln(2)/2.
	p := 1.0
	for i := 13.0; i >= 1; i-- {
		p = float64(float64(p*r)/i) + 1
	}
	return math.Ldexp(p, int(n))
}

// log64 returns the natural logarithm of x > 0.
func log64(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	// ln m = 2 atanh s = 2 (s + s**3/3 + s**5/5 + ...), with |s| < 0.172.
	s := (m - 1) / (m + 1)
	s2 := float64(s * s)
	p := 0.0
	for i := 23.0; i >= 1; i -= 2 {
		p = float64(p*s2) + 1/i
	}
	return float64(float64(e)*0x1.62e42feep-1) + (float64(2*s*p) + float64(float64(e)*0x1.a39ef35793c76p-33))
}

// sincos64 returns the sine and cosine of x for |x| < 2**30.
func sincos64(x float64) (sin, cos float64) {
	// Cody and Waite: x - n*pi/2 with pi/2 in three parts, the first two short enough that n times them is exact.
	n := math.Floor(float64(x*(2/math.Pi)) + 0.5)
	r := float64(x-float64(n*0x1.921fb4p+0)) - float64(n*0x1.4442dp-24)
	r -= float64(n * 0x1.8469898cc5170p-48)
	r2 := float64(r * r)
	// Taylor series; |r| <= pi/4.
	s, c := 1.0, 1.0
	for i := 16.0; i >= 2; i -= 2 {
		s = 1 - float64(float64(s*r2)/float64(i*(i+1)))
		c = 1 - float64(float64(c*r2)/float64(i*(i-1)))
	}
	s = float64(s * r)
	switch int64(n) & 3 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}
