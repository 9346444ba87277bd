// Package layout says where things stand in memory that kernels read: weights and scales in the strips that package
// kernel packs (packed.go), and activations in its streams (stream.go). The generators for amd64 share it.
package layout

// Offsets in a stream of 32-blocks, in dwords of one token.
const (
	Minus8   = 8 // the sum of the activations, times -8
	Minus16  = Minus8 + 1
	Minus128 = Minus16 + 1
	SumFloat = Minus128 + 1
	Scale32  = SumFloat + 1
	Dwords32 = Scale32 + 1
)

// Offsets in a stream of 256-blocks, in dwords of one token.
const (
	Sums32    = 64
	Sums16    = Sums32 + 4
	Scale256  = Sums16 + 8
	Dwords256 = Scale256 + 1
)

// DType is a dtype's block in a strip.
type DType struct {
	Name  string // in the names of kernels
	Bytes int    // of a strip's block, without d where Head is set
	Head  bool   // the d of all blocks come first in a strip
	D     int    // offset of d, where it does not come first
	Min   int    // offset of dmin or m, 0 where there are no minimums
	Sub   int    // weights in a sub-block, which has an integer scale; 32 for blocks of 32
	Max   int    // the largest unsigned weight, as pieces give it
	// Signed says that weights are signed bytes.
	Signed bool
	// Steps says that weights are indices of quant.IQ4_NLValues.
	Steps bool
	// Offset is how much larger unsigned weights are than those that they stand for.
	Offset int
	// Pieces says what vector g of weights, of which each dword holds weights 4*g to 4*g+3 of its row, is made of.
	Pieces func(g int) []Piece
}

// Piece is bits of weights: those of the vector at Offset in a strip's block, shifted left, or right by -Shift, of which
// Mask remains in each byte.
type Piece struct {
	Offset, Shift int
	Mask          byte
}

// nibbles is weights that are nibbles of 16 bytes for each 32, the low ones first.
func nibbles(g int) []Piece { return []Piece{{64 * (g%4 + g/8*4), -4 * (g / 4 % 2), 0x0f}} }

// fives is nibbles whose fifth bits stand in the next vector, bit g of each byte.
func fives(g int) []Piece { return append([]Piece{{256, 4 - g, 0x10}}, nibbles(g)...) }

// Dtypes with blocks of 32.
var (
	Q4_0   = DType{Name: "Q40", Bytes: 256, Head: true, Sub: 32, Max: 15, Offset: 8, Pieces: nibbles}
	Q4_1   = DType{Name: "Q41", Bytes: 320, D: 256, Min: 288, Sub: 32, Max: 15, Pieces: nibbles}
	Q5_0   = DType{Name: "Q50", Bytes: 320, Head: true, Sub: 32, Max: 31, Offset: 16, Pieces: fives}
	Q5_1   = DType{Name: "Q51", Bytes: 384, D: 320, Min: 352, Sub: 32, Max: 31, Pieces: fives}
	Q8_0   = DType{Name: "Q80", Bytes: 512, Head: true, Sub: 32, Signed: true, Pieces: bytes}
	IQ4_NL = DType{Name: "IQ4NL", Bytes: 256, Head: true, Sub: 32, Steps: true, Pieces: nibbles}
)

func bytes(g int) []Piece { return []Piece{{64 * g, 0, 0xff}} }

// Dtypes with blocks of 256. Their integer scales come first.
var (
	Q2_K = DType{
		Name: "Q2K", Bytes: 1344, D: 256, Min: 288, Sub: 16, Max: 3,
		Pieces: func(g int) []Piece {
			h, quarter, i := g/32, g/8%4, g%8
			return []Piece{{320 + 512*h + 64*i, -2 * quarter, 0x03}}
		},
	}
	Q3_K = DType{
		Name: "Q3K", Bytes: 1728, Head: true, Sub: 16, Max: 7, Offset: 4,
		Pieces: func(g int) []Piece {
			h, quarter, i := g/32, g/8%4, g%8
			lines := 192 + 192*i
			return []Piece{{lines, 2 - (4*h + quarter), 0x04}, {lines + 64 + 64*h, -2 * quarter, 0x03}}
		},
	}
	Q4_K = DType{
		Name: "Q4K", Bytes: 2304, D: 192, Min: 224, Sub: 32, Max: 15,
		Pieces: func(g int) []Piece {
			j, i := g/8, g%8
			return []Piece{{256 + 512*(j/2) + 64*i, -4 * (j % 2), 0x0f}}
		},
	}
	Q5_K = DType{
		Name: "Q5K", Bytes: 2816, D: 192, Min: 224, Sub: 32, Max: 31,
		Pieces: func(g int) []Piece {
			j, i := g/8, g%8
			lines := 256 + 320*i
			return []Piece{{lines, 4 - j, 0x10}, {lines + 64 + 64*(j/2), -4 * (j % 2), 0x0f}}
		},
	}
	Q6_K = DType{
		Name: "Q6K", Bytes: 3328, Head: true, Sub: 16, Max: 63, Offset: 32,
		Pieces: func(g int) []Piece {
			h, quarter, i := g/32, g/8%4, g%8
			lines := 256 + 1536*h + 192*i
			return []Piece{
				{lines, 4 - 2*quarter, 0x30},
				{lines + 64 + 64*(quarter%2), -4 * (quarter / 2), 0x0f},
			}
		},
	}
	IQ4_XS = DType{
		Name: "IQ4XS", Bytes: 2176, D: 64, Sub: 32, Steps: true,
		Pieces: func(g int) []Piece {
			p := nibbles(g)
			p[0].Offset += 128
			return p
		},
	}
)

// Dword returns a mask in each byte of a dword.
func Dword(mask byte) uint32 { return 0x01010101 * uint32(mask) }
