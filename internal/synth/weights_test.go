package synth

import (
	"context"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/quant"
)

// TestDistribution checks that the weights of every dtype have the mean and the size that were asked for, which fails
// if a recipe's rms, an offset or a ratio is wrong.
func TestDistribution(t *testing.T) {
	const std = 1.0 / 16
	for _, d := range tinyDTypes {
		shape := tensor{name: d.name, dtype: d.dtype, shape: []uint64{256, 2048}, std: std}
		data, err := io.ReadAll(newWeights(shape, 1, &progress{ctx: t.Context()}))
		if err != nil {
			t.Fatal(err)
		}
		values := dequantize(t, data, d.dtype)
		if len(values) != 256*2048 {
			t.Fatalf("%s: %d weights", d.name, len(values))
		}
		var sum, squares, largest float64
		for _, x := range values {
			sum += float64(x)
			squares += float64(x) * float64(x)
			largest = max(largest, math.Abs(float64(x)))
		}
		n := float64(len(values))
		if mean := sum / n; math.Abs(mean) > std/100 {
			t.Errorf("%s: mean %.5f, want about 0", d.name, mean)
		}
		if rms := math.Sqrt(squares / n); math.Abs(rms/std-1) > 0.015 {
			t.Errorf("%s: rms %.5f is %.4f of what was asked", d.name, rms, rms/std)
		}
		if largest > 8*std {
			t.Errorf("%s: largest weight is %.1f standard deviations", d.name, largest/std)
		}
	}
}

// TestScalesAndMinimumsDiffer: a kernel that takes one for the other, or one sub-block's for the next one's, must not
// get away with it.
func TestScalesAndMinimumsDiffer(t *testing.T) {
	for _, tc := range []struct {
		dtype  quant.DType
		offset int
	}{{quant.Q4_K, quant.Q4_KScales}, {quant.Q5_K, quant.Q5_KScales}} {
		data := make([]byte, tc.dtype.BlockBytes())
		w := newWeights(tensor{name: "x", dtype: tc.dtype, shape: []uint64{256}, std: 1}, 1, &progress{ctx: t.Context()})
		if _, err := io.ReadFull(w, data); err != nil {
			t.Fatal(err)
		}
		different := 0
		var scales []uint8
		for j := range 8 {
			sc, m := quant.ScaleMinK4(j, data[tc.offset:tc.offset+12])
			if sc>>2 != m>>2 {
				t.Errorf("%v: sub-block %d has scale %d and minimum %d, which differ in more than two bits", tc.dtype, j, sc, m)
			}
			if sc != m {
				different++
			}
			if !slices.Contains(scales, sc) {
				scales = append(scales, sc)
			}
		}
		if different < 3 || len(scales) < 5 {
			t.Errorf("%v: %d of 8 minimums differ from the scale, %d different scales", tc.dtype, different, len(scales))
		}
	}
}

// TestReadSizes reads in odd amounts: how a tensor is read must not change it.
func TestReadSizes(t *testing.T) {
	shape := tensor{name: "x", dtype: quant.Q6_K, shape: []uint64{256, 600}, std: 1}
	p := &progress{ctx: context.Background()}
	want, err := io.ReadAll(newWeights(shape, 1, p))
	if err != nil {
		t.Fatal(err)
	}
	w := newWeights(shape, 1, p)
	var got []byte
	for n := 1; ; n = n*3%1009 + 1 {
		buffer := make([]byte, n)
		k, err := w.Read(buffer)
		got = append(got, buffer[:k]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) || len(want) != 600*quant.Q6_KBytes {
		t.Errorf("%d bytes in odd amounts, %d at once, want %d and the same", len(got), len(want), 600*quant.Q6_KBytes)
	}
}

// TestRandom compares with the sequence that the authors' C code (prng.di.unimi.it/splitmix64.c) gives for the state
// 1234567.
func TestRandom(t *testing.T) {
	r := random(1234567)
	want := []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431}
	for i, w := range want {
		if got := r.next(); got != w {
			t.Errorf("number %d is %d, want %d", i, got, w)
		}
	}
}

// TestLlama3Factors compares with the tensor that converting Llama 3.1 gives for a head of 128, at its corners.
func TestLlama3Factors(t *testing.T) {
	got := llama3Factors(500_000, 128)
	if len(got) != 64 || got[0] != 1 || got[63] != 8 {
		t.Fatalf("%d factors from %v to %v, want 64 from 1 to 8", len(got), got[0], got[len(got)-1])
	}
	if !slices.IsSorted(got) {
		t.Errorf("factors fall: %v", got)
	}
	for i, x := range got {
		// The definition, with package math.
		wavelength := 2 * math.Pi * math.Pow(500_000, float64(2*i)/128)
		want := 1.0
		if wavelength > 8192 {
			want = 8
		} else if wavelength >= 8192.0/4 {
			smooth := (8192/wavelength - 1) / 3
			want = 1 / ((1-smooth)/8 + smooth)
		}
		if math.Abs(float64(x)/want-1) > 1e-6 {
			t.Errorf("factor %d is %v, want %v", i, x, want)
		}
	}
}
