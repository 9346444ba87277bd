package sample

// splitMix64 is the generator of Steele, Lea and Flood ("Fast splittable pseudorandom number generators", 2014): one
// 64-bit counter and a mixing function. Its output is part of what a seed means, so it is written out here and never
// changes with a library.
type splitMix64 uint64

func (s *splitMix64) uint64() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// float64 returns a multiple of 2^-53 in [0, 1).
func (s *splitMix64) float64() float64 { return float64(s.uint64()>>11) * 0x1p-53 }
