package kernel

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/realm-ai/realm/internal/f16"
	"github.com/realm-ai/realm/internal/quant"
)

// splitmix64 returns n outputs of the generator of that name (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", 2014), as gen_products.py does.
func splitmix64(seed uint64, n int) []uint64 {
	words := make([]uint64, n)
	for i := range words {
		z := seed + uint64(i+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		words[i] = z ^ z>>31
	}
	return words
}

// bell returns n sums of four uniform numbers, in [-0.5, 0.5).
func bell(seed uint64, n int) []float32 {
	x := make([]float32, n)
	for i, w := range splitmix64(seed, n) {
		x[i] = float32(int(int16(w))+int(int16(w>>16))+int(int16(w>>32))+int(int16(w>>48))) * 0x1p-18
	}
	return x
}

// bellMatrix makes the matrix that gen_products.py makes of a dtype.
func bellMatrix(t *testing.T, d quant.DType, scales []int, rows, cols int) *Matrix {
	t.Helper()
	data := make([]byte, rows*d.RowBytes(cols))
	if len(scales) > 0 {
		for i, w := range splitmix64(uint64(d), (len(data)+7)/8) {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], w)
			copy(data[8*i:], b[:])
		}
		for b := 0; b < len(data); b += d.BlockBytes() {
			for _, at := range scales {
				high := &data[b+at+1]
				*high = *high&3 | 0x20 // 2^-7 to 2^-6
			}
		}
	} else {
		for i, v := range bell(uint64(d), rows*cols) {
			h := f16.FromFloat32(v)
			if d == quant.BF16 {
				h = uint16(math.Float32bits(v) >> 16)
			}
			binary.LittleEndian.PutUint16(data[2*i:], h)
		}
	}
	m, err := NewMatrix(d, rows, cols, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestProductsAgainstLlama holds the error of products, against exact arithmetic with the activations before they are
// quantized, to 1.05 times that of llama.cpp's.
func TestProductsAgainstLlama(t *testing.T) {
	const rows, cols, tokens = 48, 2048, 24
	raw, err := os.ReadFile("testdata/products.json")
	if err != nil {
		t.Fatal(err)
	}
	var llama struct{ NMSE map[string]float64 }
	if err := json.Unmarshal(raw, &llama); err != nil {
		t.Fatal(err)
	}
	p := NewPool(2)
	defer p.Close()
	x := bell(1000, tokens*cols)
	for _, d := range dtypes {
		if d.t == quant.F32 {
			continue // nothing is quantized
		}
		t.Run(d.t.String(), func(t *testing.T) {
			m := bellMatrix(t, d.t, d.scales, rows, cols)
			var in Input
			in.Set(x, tokens, cols)
			got := make([]float32, tokens*rows)
			p.MatMul(&in, Product{got, m})

			squared, energy := 0.0, 0.0
			w := make([]float32, cols)
			for r := range rows {
				m.Row(w, r)
				for tok := range tokens {
					exact := 0.0
					for i, v := range w {
						exact += float64(v) * float64(x[tok*cols+i])
					}
					diff := exact - float64(got[tok*rows+r])
					squared += diff * diff
					energy += exact * exact
				}
			}
			theirs := llama.NMSE[d.t.String()]
			if theirs == 0 {
				t.Fatal("testdata/products.json does not have it")
			}
			t.Logf("NMSE %.3g, llama.cpp %.3g, ratio %.4f", squared/energy, theirs, squared/energy/theirs)
			if ratio := squared / energy / theirs; !(ratio <= 1.05) {
				t.Errorf("the error is %.3f times that of llama.cpp", ratio)
			}
		})
	}
}
