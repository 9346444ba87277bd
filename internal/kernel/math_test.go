package kernel

import (
	"math"
	"testing"
)

func TestExp(t *testing.T) {
	worst := 0.0
	for x := float32(-87.2); x < 88; x += 0.000917 {
		want := math.Exp(float64(x))
		ulp := float64(math.Nextafter32(float32(want), math.MaxFloat32)) - float64(float32(want))
		worst = max(worst, math.Abs(float64(Exp(x))-want)/ulp)
	}
	t.Logf("largest error: %.2f units in the last place", worst)
	if worst > 2 {
		t.Errorf("error of %.2f units in the last place, want at most 2", worst)
	}
	inf := float32(math.Inf(1))
	nan := Exp(float32(math.NaN()))
	if Exp(0) != 1 || Exp(-inf) != 0 || Exp(-100) != 0 || Exp(inf) != inf || Exp(100) != inf || nan == nan {
		t.Error("wrong at 0, infinity, NaN or out of range")
	}
}

func TestFloat64Functions(t *testing.T) {
	relative := func(got, want float64) float64 { return math.Abs(got-want) / max(math.Abs(want), 1e-3) }
	for x := -300.0; x < 300; x += 0.0731 {
		if r := relative(exp64(x), math.Exp(x)); r > 1e-15 {
			t.Fatalf("exp64(%v): relative error %g", x, r)
		}
	}
	for x := 1e-9; x < 1e9; x *= 1.0137 {
		if r := relative(log64(x), math.Log(x)); r > 1e-15 {
			t.Fatalf("log64(%v): relative error %g", x, r)
		}
	}
	for x := 0.0; x < 1e7; x = x*1.0003 + 0.0137 {
		s, c := sincos64(x)
		if ws, wc := math.Sincos(x); math.Abs(s-ws) > 1e-14 || math.Abs(c-wc) > 1e-14 {
			t.Fatalf("sincos64(%v) = %v, %v, want %v, %v", x, s, c, ws, wc)
		}
	}
}

// TestGoldenBits holds the results to fixed bits, which every architecture must give.
func TestGoldenBits(t *testing.T) {
	h := uint64(14695981039346656037)
	mix := func(b uint64) { h = (h ^ b) * 1099511628211 }
	for i := range 20000 {
		x := float64(float64(i)*0.0091) - 87 // converted, or arm64 would fuse it
		mix(uint64(math.Float32bits(Exp(float32(x)))))
		mix(math.Float64bits(exp64(x)))
		mix(math.Float64bits(log64(float64(float64(i)*0.37) + 1e-3)))
		s, c := sincos64(float64(i) * 1.7)
		mix(math.Float64bits(s))
		mix(math.Float64bits(c))
	}
	if want := uint64(0x70e789cc3a9c5f3d); h != want {
		t.Errorf("hash of results %#x, want %#x", h, want)
	}
}

func BenchmarkExp(b *testing.B) {
	for b.Loop() {
		for i := range 64 {
			Exp(float32(i) * -0.1)
		}
	}
}
