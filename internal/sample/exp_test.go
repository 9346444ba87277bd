package sample

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"testing"
)

// ulps returns how far got is from want in units of want's last place.
func ulps(got, want float64) float64 {
	return math.Abs(got-want) / (math.Nextafter(math.Abs(want), math.Inf(1)) - math.Abs(want))
}

func TestExpAndLogAgreeWithMath(t *testing.T) {
	random := splitMix64(1)
	worstExp, worstLog := 0.0, 0.0
	for range 200_000 {
		x := -40 * random.float64() * random.float64()
		worstExp = max(worstExp, ulps(exp(x), math.Exp(x)))
		y := 1 + 1e6*random.float64()*random.float64()*random.float64()
		worstLog = max(worstLog, ulps(log(y), math.Log(y)), ulps(log(1/y), math.Log(1/y)))
	}
	for _, x := range []float64{0, -1e-300, -1e-9, -0.3, -0.34657359, -0.35, -1, -100, -700, -708} {
		worstExp = max(worstExp, ulps(exp(x), math.Exp(x)))
	}
	for _, y := range []float64{1 + 1e-15, 1 - 1e-16, 1 << 20, 0x1p-1022, math.MaxFloat64, math.Sqrt2, math.Sqrt2 / 2} {
		worstLog = max(worstLog, ulps(log(y), math.Log(y)))
	}
	// One unit of float32 is 2^29 of these.
	if worstExp > 2 || worstLog > 2 {
		t.Errorf("worst error in float64 units in the last place: exp %.2f, log %.2f, want at most 2", worstExp, worstLog)
	}
	if exp(-709) != 0 || exp(math.Inf(-1)) != 0 || exp(0) != 1 || log(1) != 0 {
		t.Error("exp or log: wrong at an end of its range")
	}
}

// TestExpAndLogBits holds every platform, the guest included, to the same bits.
func TestExpAndLogBits(t *testing.T) {
	random := splitMix64(2)
	hash := fnv.New64a()
	for range 20_000 {
		x := 50 * random.float64()
		b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(exp(-x)))
		hash.Write(binary.LittleEndian.AppendUint64(b, math.Float64bits(log(x))))
	}
	if got, want := hash.Sum64(), uint64(0xc032fa6ac6c0299); got != want {
		t.Errorf("hash of exp and log = %#x, want %#x", got, want)
	}
}

func BenchmarkExp(b *testing.B) {
	sum := 0.0
	for i := range b.N {
		sum += exp(-float64(i&63) / 3)
	}
	if sum == 0 {
		b.Error("no sum")
	}
}
