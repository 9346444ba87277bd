package main

import "github.com/realm-ai/realm/internal/kernel/_asm/layout"

// legacy is a dtype with blocks of 32.
type legacy struct {
	layout.DType
	// correction is where the stream has minus the sum of activations times what quants are above their weights, or 0.
	correction int

	constants []uint32
	// weights makes vector g, 0 to 7, of quarter q of signed bytes in v. The table of steps is behind the constants.
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
	{layout.Q4_0, layout.Minus8, []uint32{0x0f0f0f0f}, nibbles},
	{layout.Q4_1, 0, []uint32{0x0f0f0f0f}, nibbles},
	{layout.Q5_0, layout.Minus16, []uint32{0x0f0f0f0f, 0x10101010, 0}, fives},
	{layout.Q5_1, 0, []uint32{0x0f0f0f0f, 0x10101010, 0}, fives},
	{layout.Q8_0, 0, nil, func(k *kernel, _ []vec, g, q int, v vec) { k.load(v, k.weights(64*g, q)) }},
	{layout.IQ4_NL, 0, []uint32{0x0f0f0f0f}, func(k *kernel, c []vec, g, q int, v vec) {
		nibbles(k, c, g, q, v)
		k.look(v, c[1], v)
	}},
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
	k := begin(a, f.Name+"Q80", tokens, map[int]int{1: 4, 2: 4, 4: 4, 8: 2, 12: 1}[tokens])
	c := k.constants(f.constants, f.Steps)
	spare := k.vec()
	k.strip(f.Head)
	k.group(f.D)
	for _, row := range k.acc {
		for t, acc := range row {
			if f.correction == 0 {
				k.zero(acc)
				continue
			}
			x, lane := k.activation(f.correction, t, layout.Dwords32)
			k.dup(acc, x, lane)
		}
	}
	for g := range 8 {
		k.dot(g, layout.Dwords32, func(q int, v vec) { f.weights(k, c, g, q, v) })
	}
	for q := range k.quarters {
		for _, acc := range k.acc[q] {
			k.scvtf(acc, acc)
		}
		k.loadD(k.v[0], q, 0)
		k.step(q, layout.Scale32, layout.Dwords32, k.acc[q], spare, false)
	}
	if f.Min != 0 {
		k.comment("Minimums.")
		for q := range k.quarters {
			// The integer sums are done with: their registers take the factors, which need other parts of the stream.
			k.loadD(k.v[0], q, f.Min-f.D)
			for t := range tokens {
				dx, lane := k.activation(layout.Scale32, t, layout.Dwords32)
				k.fmulLane(k.acc[q][t], k.v[0], dx, lane)
			}
		}
		for q := range k.quarters {
			for t := range tokens {
				x, lane := k.activation(layout.SumFloat, t, layout.Dwords32)
				k.sum(q, t, spare, func(sum vec) { k.fmlaLane(sum, k.acc[q][t], x, lane) })
			}
		}
	}
	k.end(f.Bytes, layout.Dwords32)
}
