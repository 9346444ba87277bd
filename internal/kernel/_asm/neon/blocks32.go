package main

// Offsets in a stream of 32-blocks, in dwords of one token: see stream.go.
const (
	minus8   = 8
	minus16  = minus8 + 1
	minus128 = minus16 + 1
	sumFloat = minus128 + 1
	scale32  = sumFloat + 1
	dwords32 = scale32 + 1
)

// legacy is a dtype with blocks of 32.
type legacy struct {
	name  string
	bytes int  // of a strip's block, without d where head is set
	head  bool // the d come first
	d     int  // offset of d, and of m behind it, where d does not come first
	// correction is where the stream has minus the sum of activations times what quants are above their weights, or 0.
	correction int

	constants []uint32
	steps     bool // constants has the table of steps behind it
	// weights makes vector g, 0 to 7, of quarter q of signed bytes in v.
	weights func(k *kernel, c []vec, g, q int, v vec)
}

// nibbles makes weights that are nibbles, the low ones first. The first constant is their mask.
func nibbles(k *kernel, c []vec, g, q int, v vec) { k.nibble(k.weights(64*(g%4), q), g/4, c[0], v) }

// nibble loads a vector's low nibbles, or its high ones.
func (k *kernel) nibble(from mem, high int, mask, v vec) {
	k.load(v, from)
	if high == 1 {
		k.shiftB(v, v, -4)
	} else {
		k.and(v, v, mask)
	}
}

// fives makes weights of five bits, of which the highest stand in a vector after the nibbles, bit g of each byte.
func fives(k *kernel, c []vec, g, q int, v vec) {
	nibbles(k, c, g, q, v)
	u := c[2]
	k.load(u, k.weights(256, q))
	k.shiftB(u, u, 4-g)
	k.insert(v, u, c[1])
}

var legacies = []legacy{
	{name: "Q40", bytes: 256, head: true, correction: minus8, constants: []uint32{0x0f0f0f0f}, weights: nibbles},
	{name: "Q41", bytes: 320, d: 256, constants: []uint32{0x0f0f0f0f}, weights: nibbles},
	{
		name: "Q50", bytes: 320, head: true, correction: minus16,
		constants: []uint32{0x0f0f0f0f, 0x10101010, 0}, weights: fives,
	},
	{name: "Q51", bytes: 384, d: 320, constants: []uint32{0x0f0f0f0f, 0x10101010, 0}, weights: fives},
	{
		name: "Q80", bytes: 512, head: true,
		weights: func(k *kernel, _ []vec, g, q int, v vec) { k.load(v, k.weights(64*g, q)) },
	},
	{
		name: "IQ4NL", bytes: 256, head: true, constants: []uint32{0x0f0f0f0f}, steps: true,
		weights: func(k *kernel, c []vec, g, q int, v vec) {
			nibbles(k, c, g, q, v)
			k.look(v, c[1], v)
		},
	},
}

// steps are those of IQ4_NL and IQ4_XS: see quant.IQ4_NLValues.
var steps = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// constants loads what weights wants.
func (k *kernel) constants(dwords []uint32, steps bool) []vec {
	c := k.vecs(len(dwords))
	for i, dword := range dwords {
		if dword != 0 { // else it is a register to spare
			k.constant(c[i], dword)
		}
	}
	if steps {
		c = append(c, k.vec())
		k.loadTable(c[len(c)-1], "steps")
	}
	return c
}

// block32 multiplies a dtype with blocks of 32.
func block32(a *asm, f legacy, tokens int) {
	k := begin(a, f.name+"Q80", tokens, map[int]int{1: 4, 2: 4, 4: 4, 8: 2, 12: 1}[tokens])
	c := k.constants(f.constants, f.steps)
	spare := k.vec()
	k.strip(f.head)
	k.group(f.d)
	for i, row := range k.acc {
		for t, acc := range row {
			if f.correction == 0 || i >= k.quarters {
				k.zero(acc)
				continue
			}
			x, lane := k.activation(f.correction, t, dwords32)
			k.dup(acc, x, lane)
		}
	}
	for g := range 8 {
		k.dot(g, dwords32, func(q int, v vec) { f.weights(k, c, g, q, v) })
	}
	k.joinSets()
	for q := range k.quarters {
		for _, acc := range k.acc[q] {
			k.scvtf(acc, acc)
		}
		k.loadD(k.v[0], q, 0)
		k.step(q, scale32, dwords32, k.acc[q], spare, false)
	}
	if !f.head {
		k.comment("Minimums.")
		for q := range k.quarters {
			// The integer sums are done with: their registers take the factors, which need other parts of the stream.
			k.loadD(k.v[0], q, 32)
			for t := range tokens {
				dx, lane := k.activation(scale32, t, dwords32)
				k.fmulLane(k.acc[q][t], k.v[0], dx, lane)
			}
		}
		for q := range k.quarters {
			for t := range tokens {
				x, lane := k.activation(sumFloat, t, dwords32)
				k.sum(q, t, spare, func(sum vec) { k.fmlaLane(sum, k.acc[q][t], x, lane) })
			}
		}
	}
	k.end(f.bytes, dwords32)
}
