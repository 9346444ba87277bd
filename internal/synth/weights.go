package synth

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/realm-ai/realm/internal/quant"
)

// weights produces the bytes of a tensor, a piece at a time. It implements io.Reader.
type weights struct {
	tensor
	random   random
	progress *progress
	fill     func(dst []byte)
	left     int64  // bytes that fill has not made yet
	buffer   []byte // what fill makes in one go: whole blocks
	ready    []byte // the part of buffer that was not read yet
}

// pieceBlocks is how many blocks are made in one go.
const pieceBlocks = 256

// newWeights starts the bytes of t. They depend on the seed, the tensor's name and nothing else.
func newWeights(t tensor, seed uint64, p *progress) *weights {
	n := int64(1)
	for _, d := range t.shape {
		n *= int64(d)
	}
	w := &weights{
		tensor:   t,
		random:   newRandom(seed, t.name),
		progress: p,
		left:     n / int64(t.dtype.BlockSize()) * int64(t.dtype.BlockBytes()),
		buffer:   make([]byte, pieceBlocks*t.dtype.BlockBytes()),
	}
	if recipe, quantized := recipes[t.dtype]; quantized {
		w.fill = func(dst []byte) { w.blocks(dst, recipe) }
	} else {
		w.fill = w.floats
	}
	return w
}

// Read makes the next bytes of the tensor.
func (w *weights) Read(dst []byte) (int, error) {
	if len(w.ready) == 0 {
		if w.left == 0 {
			return 0, io.EOF
		}
		w.ready = w.buffer[:min(w.left, int64(len(w.buffer)))]
		w.fill(w.ready)
		w.left -= int64(len(w.ready))
		if err := w.progress.add(len(w.ready)); err != nil {
			return 0, err
		}
	}
	n := copy(dst, w.ready)
	w.ready = w.ready[n:]
	return n, nil
}

// floats fills dst with numbers of a float dtype, distributed around the mean like a bell.
func (w *weights) floats(dst []byte) {
	var values [pieceBlocks]float32
	n := len(dst) / w.dtype.BlockBytes()
	if w.values != nil {
		w.values = w.values[copy(values[:n], w.values):]
	} else {
		// A sum of four uniform 16-bit numbers has the mean 2*65535 and the variance 4*(2^32-1)/12.
		unit := w.std / math.Sqrt(4.0*(1<<32-1)/12)
		for i := range values[:n] {
			x := w.random.next()
			sum := int32(x&0xffff) + int32(x>>16&0xffff) + int32(x>>32&0xffff) + int32(x>>48) - 2*0xffff
			values[i] = float32(w.mean + float64(float64(sum)*unit))
		}
	}
	mustQuantize(dst, values[:n], w.dtype)
}

// mustQuantize is quant.Quantize where a failure could only be a mistake in this package.
func mustQuantize(dst []byte, src []float32, dtype quant.DType) {
	if err := quant.Quantize(dst, src, dtype); err != nil {
		panic(fmt.Sprintf("synth: %v", err))
	}
}

// recipe says how to turn random bytes into a block of a quantized dtype. Everything a block holds is random, except
// what decides how large its weights are.
type recipe struct {
	rms float64 // of a block's weights where d = 1
	d   int     // offset of the scale, an F16
	// Where the dtype has no minimum, its weights are not quite centred, so half of the blocks get a negative scale.
	signed bool
	min    int     // offset of the minimum, an F16, unless ratio is 0
	ratio  float64 // minimum / scale: such that the weights of a block are centred
	// scales puts right the sub-blocks' scales, where random bytes would not do.
	scales func(block []byte)
}

// The steps of a dtype are uniform, and so are the scales of its sub-blocks. L steps have the variance (L*L-1)/12,
// scales of 0 to 63 the mean square 1333.5, and rms follows: for Q4_K it is sqrt(1333.5 * (16*16-1)/12 + 7.5*7.5*2.5),
// where 2.5 is the mean square of the difference between a scale and its minimum.
var recipes = map[quant.DType]recipe{
	quant.Q4_0: {rms: 4.637, d: quant.Q4_0D, signed: true},
	quant.Q4_1: {rms: 4.61, d: quant.Q4_1D, min: quant.Q4_1M, ratio: -7.5},
	quant.Q5_0: {rms: 9.247, d: quant.Q5_0D, signed: true},
	quant.Q5_1: {rms: 9.233, d: quant.Q5_1D, min: quant.Q5_1M, ratio: -15.5},
	quant.Q8_0: {rms: 73.89, d: quant.Q8_0D, scales: func(block []byte) {
		// Quantizing clamps to +-127.
		for i, q := range block[quant.Q8_0Quants:] {
			if q == 0x80 {
				block[quant.Q8_0Quants+i] = 0x81
			}
		}
	}},
	quant.Q2_K: {rms: 9.9, d: quant.Q2_KD, min: quant.Q2_KDMin, ratio: 1.5, scales: func(block []byte) {
		scales := block[quant.Q2_KScales:quant.Q2_KQuants]
		for i, s := range scales {
			// The minimum is the scale, but for its lowest bit.
			scales[i] = s&15*0x11 ^ s&0x10
		}
	}},
	quant.Q3_K:   {rms: 43.34, d: quant.Q3_KD, signed: true},
	quant.Q4_K:   {rms: 168.8, d: quant.Q4_KD, min: quant.Q4_KDMin, ratio: 7.5, scales: scalesK4(quant.Q4_KScales)},
	quant.Q5_K:   {rms: 338.1, d: quant.Q5_KD, min: quant.Q5_KDMin, ratio: 15.5, scales: scalesK4(quant.Q5_KScales)},
	quant.Q6_K:   {rms: 1366, d: quant.Q6_KD, signed: true},
	quant.IQ4_NL: {rms: 67.44, d: quant.IQ4_NLD, signed: true},
	quant.IQ4_XS: {rms: 1246, d: quant.IQ4_XSD, signed: true},
}

// scalesK4 makes each minimum of a Q4_K or Q5_K super-block equal to the scale beside it, but for the lowest two bits,
// so that the two cannot be mistaken for each other. quant.ScaleMinK4 describes the twelve bytes.
func scalesK4(offset int) func(block []byte) {
	return func(block []byte) {
		s := block[offset : offset+12]
		for i := range 4 {
			s[i+4] = s[i] ^ s[i+4]&3
			s[i+8] = s[i+8]&15*0x11 ^ s[i+8]>>6<<4
		}
	}
}

// blocks fills dst with blocks whose scales vary by a quarter, so that one block's cannot pass for another's: they are
// uniform over [0.75, 1.25], which has the mean square 1 + 1/48.
func (w *weights) blocks(dst []byte, r recipe) {
	base := w.std / (r.rms * math.Sqrt(1+1.0/48))
	w.random.bytes(dst)
	size := w.dtype.BlockBytes()
	for ; len(dst) > 0; dst = dst[size:] {
		block := dst[:size]
		if r.scales != nil {
			r.scales(block)
		}
		x := w.random.next()
		d := base * (0.75 + float64(float64(x&0xff)*(0.5/255)))
		if r.signed && x&0x100 != 0 {
			d = -d
		}
		putF16(block[r.d:], d)
		if r.ratio != 0 {
			putF16(block[r.min:], d*r.ratio)
		}
	}
}

// putF16 stores x as an F16.
func putF16(dst []byte, x float64) {
	mustQuantize(dst[:2], []float32{float32(x)}, quant.F16)
}

// random is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): small, fast,
// and the same everywhere.
type random uint64

// newRandom starts the sequence of one tensor: its name, hashed by FNV-1a, is mixed with the seed.
func newRandom(seed uint64, name string) random {
	h := uint64(0xcbf29ce484222325)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	r := random(seed)
	return random(r.next() ^ h)
}

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	x := uint64(*r)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// bytes fills dst with random bytes.
func (r *random) bytes(dst []byte) {
	for len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, r.next())
		dst = dst[8:]
	}
	if len(dst) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], r.next())
		copy(dst, last[:])
	}
}
