package kernel

import "math"

// RMSNorm writes x / rms(x) * weight to dst, where rms(x) = sqrt(mean(x*x) + eps) (Zhang and Sennrich, "Root Mean Square
// Layer Normalization", 2019). dst may be x.
func RMSNorm(dst, x, weight []float32, eps float32) {
	mean := dotFloats(x, x) / float32(len(x))
	scale := 1 / float32(math.Sqrt(float64(mean+eps)))
	for i := scaleVectors(dst, x, weight, scale); i < len(x); i++ {
		dst[i] = float32(x[i]*scale) * weight[i]
	}
}

// SwiGLU writes silu(gate) * up to gate, where silu(x) = x / (1 + e**-x) (Shazeer, "GLU Variants Improve Transformer",
// 2020).
func SwiGLU(gate, up []float32) {
	for i := swiGLUVectors(gate, up); i < len(gate); i++ {
		g := gate[i]
		gate[i] = g / (1 + Exp(-g)) * up[i]
	}
}

// Add adds x to acc.
func Add(acc, x []float32) {
	for i := addVectors(acc, x); i < len(x); i++ {
		acc[i] += x[i]
	}
}

// Scale multiplies x by a number.
func Scale(x []float32, by float32) {
	for i := multiplyVectors(x, by); i < len(x); i++ {
		x[i] *= by
	}
}

// Rope is a rotary position embedding (Su et al., "RoFormer", 2021): pair i of a head turns by position * Freq[i].
type Rope struct {
	// Freq has the angle of each pair for one position, in radians. Dimensions of a head beyond the pairs do not turn.
	Freq []float64
	// Magnitude scales the rotated pairs; 1 but for YaRN.
	Magnitude float32
	// Halves says that a pair is (i, i+len(Freq)), as in Qwen and GPT-NeoX, rather than the neighbours (2i, 2i+1), as in
	// a llama GGUF.
	Halves bool
}

// RopeScaling says how a model's context length was extended.
type RopeScaling struct {
	// Factor divides the frequencies: 1 for none, 4 for a context length four times the original.
	Factor float64
	// Divisors, if not nil, divides the frequency of each pair on its own: llama 3's `rope_freqs.weight`.
	Divisors []float32
	// Yarn keeps fast pairs as they are and divides only slow ones (Peng et al., "YaRN", 2023).
	Yarn bool
	// The context length before it was extended, and the numbers of rotations over it at which pairs are fast (32) and
	// slow (1): for YaRN only.
	OriginalContext    int
	BetaFast, BetaSlow float64
	// Magnitude is that of the rotated pairs, before YaRN's own factor 1 + 0.1 ln Factor: usually 1.
	Magnitude float64
}

// NewRope makes the embedding of dim dimensions whose pair i turns by base**(-2i/dim) a position, as scaled.
func NewRope(dim int, base float64, halves bool, s RopeScaling) *Rope {
	r := &Rope{Freq: make([]float64, dim/2), Magnitude: float32(s.Magnitude), Halves: halves}
	scale := 1 / s.Factor
	low, high := 0.0, 0.0
	if s.Yarn {
		// The pair that turns `rotations` times over the original context length.
		pair := func(rotations float64) float64 {
			return float64(dim) * log64(float64(s.OriginalContext)/(rotations*2*math.Pi)) / (2 * log64(base))
		}
		low = max(0, math.Floor(pair(s.BetaFast)))
		high = min(float64(dim-1), math.Ceil(pair(s.BetaSlow)))
		r.Magnitude = float32(s.Magnitude * (1 + float64(0.1*log64(max(1, s.Factor)))))
	}
	for i := range r.Freq {
		f := exp64(-2 * float64(i) / float64(dim) * log64(base))
		if s.Divisors != nil {
			f /= float64(s.Divisors[i])
		}
		slow := 1.0 // how far the pair is scaled
		if s.Yarn {
			slow = min(1, max(0, (float64(i)-low)/max(0.001, high-low)))
		}
		r.Freq[i] = float64(f*float64(scale*slow)) + float64(f*(1-slow))
	}
	return r
}

// Table writes the cosines and sines of a position, each as long as Freq, times the magnitude.
func (r *Rope) Table(cos, sin []float32, position int) {
	for i, f := range r.Freq {
		s, c := sincos64(float64(position) * f)
		cos[i], sin[i] = float32(c)*r.Magnitude, float32(s)*r.Magnitude
	}
}

// Apply turns one head in place by a position's table.
func (r *Rope) Apply(head, cos, sin []float32) {
	n := len(r.Freq)
	for i := ropeVectors(head, cos, sin, n, r.Halves); i < n; i++ {
		a, b := 2*i, 2*i+1
		if r.Halves {
			a, b = i, i+n
		}
		x, y := head[a], head[b]
		head[a] = float32(x*cos[i]) - float32(y*sin[i])
		head[b] = float32(x*sin[i]) + float32(y*cos[i])
	}
}
