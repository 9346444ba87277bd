package quant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math"
	"os"
	"strings"
	"testing"
)

// unit is the number of weights that the golden file counts in: a super-block, or eight blocks.
const unit = 256

type golden struct {
	Units      int // random units dequantized per dtype
	Rows       int // units quantized per dtype and kind
	Dequantize map[string]expected
	Quantize   map[string]map[string]expected
}

type expected struct {
	SHA256 string
	Last   string // the last values in hexadecimal, to look at when the hash differs
}

// loadGolden reads testdata/golden.json, or the file that REALM_QUANT_GOLDEN names; see testdata/gen_golden.py.
func loadGolden(t *testing.T) golden {
	t.Helper()
	path := os.Getenv("REALM_QUANT_GOLDEN")
	if path == "" {
		path = "testdata/golden.json"
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestDequantizeGolden(t *testing.T) {
	g := loadGolden(t)
	for id, f := range formats {
		if f.dequantize == nil {
			continue
		}
		dtype := DType(id)
		t.Run(dtype.String(), func(t *testing.T) {
			t.Parallel()
			want, ok := g.Dequantize[dtype.String()]
			if !ok {
				t.Fatal("not in the golden file")
			}
			sum, dst := sha256.New(), make([]float32, unit)
			for n := range g.Units {
				if err := Dequantize(dst, randomUnit(dtype, n), dtype); err != nil {
					t.Fatal(err)
				}
				hashFloats(sum, dst)
			}
			var last []string
			for _, f := range dst[unit-8:] {
				last = append(last, fmt.Sprintf("%08x", canonical(f)))
			}
			check(t, want, sum, strings.Join(last, " "))
		})
	}
}

func TestQuantizeGolden(t *testing.T) {
	g := loadGolden(t)
	for id, f := range formats {
		if f.quantize == nil {
			continue
		}
		dtype := DType(id)
		t.Run(dtype.String(), func(t *testing.T) {
			t.Parallel()
			for seed, k := range kinds {
				t.Run(k.name, func(t *testing.T) {
					want, ok := g.Quantize[dtype.String()][k.name]
					if !ok {
						t.Fatal("not in the golden file")
					}
					sum, src, dst := sha256.New(), make([]float32, unit), make([]byte, dtype.RowBytes(unit))
					for n := range g.Rows {
						k.fill(src, uint64(seed), n)
						for i := range dst {
							dst[i] = 0xaa // every byte has to be written
						}
						if err := Quantize(dst, src, dtype); err != nil {
							t.Fatal(err)
						}
						sum.Write(dst)
					}
					check(t, want, sum, hex.EncodeToString(dst[len(dst)-12:]))
				})
			}
		})
	}
}

func check(t *testing.T, want expected, sum hash.Hash, last string) {
	t.Helper()
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		t.Errorf("hash %s, want %s", got, want.SHA256)
	}
	if last != want.Last {
		t.Errorf("ends with %s, want %s", last, want.Last)
	}
}

// canonical returns the bits of f, the same for every NaN.
func canonical(f float32) uint32 {
	if f != f {
		return 0x7fc00000
	}
	return math.Float32bits(f)
}

func hashFloats(h hash.Hash, floats []float32) {
	buf := make([]byte, 0, 4*unit)
	for _, f := range floats {
		buf = binary.LittleEndian.AppendUint32(buf, canonical(f))
	}
	h.Write(buf)
}

// splitmix64 returns output n of the generator.
func splitmix64(seed uint64, n int) uint64 {
	z := seed + uint64(n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// scaleOffsets are where the F16 scales of a block are.
var scaleOffsets = map[DType][]int{
	Q4_0:   {Q4_0D},
	Q4_1:   {Q4_1D, Q4_1M},
	Q5_0:   {Q5_0D},
	Q5_1:   {Q5_1D, Q5_1M},
	Q8_0:   {Q8_0D},
	Q2_K:   {Q2_KD, Q2_KDMin},
	Q3_K:   {Q3_KD},
	Q4_K:   {Q4_KD, Q4_KDMin},
	Q5_K:   {Q5_KD, Q5_KDMin},
	Q6_K:   {Q6_KD},
	IQ4_NL: {IQ4_NLD},
	IQ4_XS: {IQ4_XSD},
}

// edges are the scales of the first ten of every 64 blocks: zeros, subnormals, the smallest normal, the largest,
// infinities, 1.
var edges = [...]uint16{0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x3c00}

// randomUnit returns the raw bytes of unit n: random but for the scales, which are finite or from edges.
func randomUnit(t DType, n int) []byte {
	size := t.RowBytes(unit)
	words := (size + 7) / 8
	raw := make([]byte, 0, 8*words)
	for i := range words {
		raw = binary.LittleEndian.AppendUint64(raw, splitmix64(uint64(t), n*words+i))
	}
	raw = raw[:size]
	blocks := unit / t.BlockSize()
	for i := range blocks {
		number, block := n*blocks+i, raw[i*t.BlockBytes():]
		for field, offset := range scaleOffsets[t] {
			d := binary.LittleEndian.Uint16(block[offset:])
			if d&0x7c00 == 0x7c00 {
				d &^= 0x4000
			}
			if number%64 < len(edges) {
				d = edges[(number+field)%len(edges)]
			}
			binary.LittleEndian.PutUint16(block[offset:], d)
		}
	}
	return raw
}

// uniform is uniform in [-2^exponent, 2^exponent).
func uniform(w uint64, exponent int) float32 {
	return float32(math.Ldexp(float64(int64(w)>>40), exponent-23))
}

// bell is the sum of four uniform numbers, in [-0.5, 0.5).
func bell(w uint64) float32 {
	sum := int(int16(w)) + int(int16(w>>16)) + int(int16(w>>32)) + int(int16(w>>48))
	return float32(math.Ldexp(float64(sum), -18))
}

func scaled(exponent int) func(w, first uint64, i int) float32 {
	return func(w, _ uint64, _ int) float32 { return uniform(w, exponent) }
}

// kind is one way in which the rows to quantize look. Its index in kinds is its seed.
type kind struct {
	name string
	// weight makes weight i of a unit from its random word w and the unit's first one.
	weight func(w, first uint64, i int) float32
}

var kinds = []kind{
	{"bell", func(w, _ uint64, _ int) float32 { return bell(w) }},
	{"uniform", scaled(0)},
	{"positive", func(w, _ uint64, _ int) float32 { return abs(uniform(w, 0)) + 0.5 }},
	{"negative", func(w, _ uint64, _ int) float32 { return -abs(uniform(w, 0)) - 0.5 }},
	{"constant", func(_, first uint64, _ int) float32 { return uniform(first, 0) }},
	{"zero", func(w, _ uint64, _ int) float32 { return math.Float32frombits(uint32(w >> 63 << 31)) }},
	{"sparse", func(w, _ uint64, _ int) float32 {
		if w&15 != 0 {
			return 0
		}
		return uniform(w, 0)
	}},
	{"outlier", func(w, first uint64, i int) float32 {
		if i == int(first>>56) {
			return bell(w) * 1024
		}
		return bell(w)
	}},
	{"wide", func(w, _ uint64, _ int) float32 { return uniform(w, int(w>>8&31)-16) }},
	{"small", scaled(-20)},
	{"smaller", scaled(-48)},
	{"tiny", scaled(-125)},
	{"subnormal", scaled(-140)},
	{"large", scaled(24)},
	{"huge", scaled(127)},
	{"bits", func(w, _ uint64, _ int) float32 {
		u := uint32(w)
		if u&0x7f800000 == 0x7f800000 {
			u &^= 1 << 30
		}
		return math.Float32frombits(u)
	}},
}

// fill makes unit n of the kind.
func (k kind) fill(dst []float32, seed uint64, n int) {
	first := splitmix64(seed, n*unit)
	for i := range dst {
		dst[i] = k.weight(splitmix64(seed, n*unit+i), first, i)
	}
}
