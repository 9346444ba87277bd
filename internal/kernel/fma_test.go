package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA computes x*y + z exactly and rounds once.
func exactFMA(x, y, z float32) float32 {
	p := new(big.Float).SetPrec(2000).Mul(big.NewFloat(float64(x)), big.NewFloat(float64(y)))
	p.Add(p, big.NewFloat(float64(z)))
	if p.Sign() == 0 {
		// big.Float does not follow IEEE 754 for the sign of a zero sum; float64 does, and is exact here.
		return float32(float64(x)*float64(y) + float64(z))
	}
	f, _ := p.Float32()
	return f
}

func TestFMAIsRoundedOnce(t *testing.T) {
	check := func(x, y, z float32) {
		t.Helper()
		got, want := FMA(x, y, z), exactFMA(x, y, z)
		if math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("FMA(%x, %x, %x) = %x, want %x", x, y, z, got, want)
		}
	}
	// z on a midpoint's edge, and a product just large enough to decide: what double rounding gets wrong.
	check(1+0x1p-23, 0x1p-24, 1)
	check(0x1p-12, 0x1p-12+0x1p-35, 1)
	check(-0x1p-12, 0x1p-12+0x1p-35, 1+0x1p-23)
	check(0x1p-40, 0x1p-40, 1+0x1p-23)
	check(math.MaxFloat32, 1+0x1p-23, -0x1p100)
	check(0x1p-100, 0x1p-49, 0x1p-149)
	check(0x1.8p-75, 0x1p-75, 0x1p-149)
	check(1, 1, -1)
	check(0, 1, 0)

	rng := rand.New(rand.NewPCG(1, 2))
	slow := 0
	for range 400_000 {
		x := math.Float32frombits(rng.Uint32())
		y := math.Float32frombits(rng.Uint32())
		z := math.Float32frombits(rng.Uint32())
		switch rng.IntN(3) {
		case 1: // a product near half a unit in the last place of z
			z = float32(rng.Float64() + 1)
			x = float32(int32(rng.Uint32()>>8)) * 0x1p-24
			y = 0x1p-23
		case 2: // subnormal results
			x = x * 0x1p-80
			y = float32(rng.Float64()) * 0x1p-60
			z = math.Float32frombits(rng.Uint32() & 0x80ffffff)
		}
		if x != x || y != y || z != z || math.IsInf(float64(x), 0) || math.IsInf(float64(y), 0) || math.IsInf(float64(z), 0) {
			continue
		}
		if b := math.Float64bits(float64(x)*float64(y) + float64(z)); b&(1<<29-1) == 1<<28 || b<<1 < 897<<53 {
			slow++
		}
		check(x, y, z)
	}
	if slow < 1000 {
		t.Errorf("only %d sums took the slow path: the test does not reach it", slow)
	}
}

func TestFMASpecialValues(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	if got := FMA(inf, 1, 0); got != inf {
		t.Errorf("inf*1 + 0 = %v", got)
	}
	if got := FMA(math.MaxFloat32, 2, 0); got != inf {
		t.Errorf("overflow gives %v", got)
	}
	for _, v := range []float32{FMA(inf, 0, 1), FMA(inf, 1, -inf), FMA(nan, 1, 1), FMA(1, 1, nan)} {
		if v == v {
			t.Errorf("got %v, want NaN", v)
		}
	}
}

func BenchmarkFMA(b *testing.B) {
	var acc [4]float32
	b.SetBytes(4 * 64)
	for b.Loop() {
		for i := range 64 {
			x := float32(i)
			for j := range acc {
				acc[j] = FMA(x, 0x1.2p-3, acc[j])
			}
		}
	}
}
