package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// Offsets in a stream of 256-blocks, in dwords of one token: see stream in stream.go.
const (
	sums32     = 64
	sums16     = sums32 + 4
	scale256   = sums16 + 8
	dwords256  = scale256 + 1
	dwordsOf32 = 8 // dwords of weights in a sub-block of 32
)

// q4K multiplies Q4_K. A strip's block is 32 vectors of quants, 3 of scales and minimums, d and dmin.
//
// The products of a sub-block's scale with its sum are added up as floats: four of them are at most 4 * 63 * 32 * 15 *
// 127 = 15,361,920 in magnitude, less than 2^24, hence exact, and the sum of the two halves of a block rounds as the
// conversion of the integer would.
func q4K(tokens int) {
	const quants, scales, d, dmin, size = 0, 2048, 2240, 2272, 2304
	text("Q4KQ8K", tokens, "multiplies strips of Q4_K with a tile of tokens.")
	k := begin(tokens)
	const minimums, half, parked = 512, 768, 768 + 12*64 // in scratch, after the scales
	k.park = parked
	if tokens <= 8 {
		k.sums = vectors(tokens)
	}
	nibble := constant(0x0f0f0f0f)
	high := ZMM()
	VPSLLD(Imm(4), nibble, high)
	total := vectors(tokens)
	k.strip(false)

	Comment("Scales to scratch as floats, those of high nibbles a sixteenth, and minimums as pairs.")
	m3f, m30, mff := constant(0x3f3f3f3f), constant(0x30303030), constant(0xff)
	u0, u1, u2 := ZMM(), ZMM(), ZMM()
	VMOVDQU64(Mem{Base: k.w, Disp: scales}, u0)
	VMOVDQU64(Mem{Base: k.w, Disp: scales + 64}, u1)
	VMOVDQU64(Mem{Base: k.w, Disp: scales + 128}, u2)
	// The four bytes of a row's dword are the values of sub-blocks 0 to 3, or 4 to 7.
	sc, mn := vectors(2), vectors(2)
	VPANDD(m3f, u0, sc[0])
	VPANDD(m3f, u1, mn[0])
	VPSRLW(Imm(2), u0, sc[1])
	VPANDD(m30, sc[1], sc[1])
	VPTERNLOGD(Imm(or3and), nibble, u2, sc[1])
	VPSRLW(Imm(4), u2, u2)
	VPSRLW(Imm(2), u1, mn[1])
	VPANDD(m30, mn[1], mn[1])
	VPTERNLOGD(Imm(or3and), nibble, u2, mn[1])
	sixteenth := constant(0x3d800000) // 1/16
	words := constant(0x00ff00ff)
	v := ZMM()
	for h := range 2 {
		for i := range 4 {
			if i == 0 {
				VPANDD(mff, sc[h], v)
			} else {
				VPSRLD(U8(uint8(8*i)), sc[h], v)
				if i < 3 {
					VPANDD(mff, v, v)
				}
			}
			VCVTDQ2PS(v, v)
			if i%2 == 1 {
				VMULPS(sixteenth, v, v)
			}
			VMOVAPS(v, Mem{Base: k.scratch, Disp: 64 * (4*h + i)})
		}
		VPANDD(words, mn[h], v)
		VMOVDQA64(v, Mem{Base: k.scratch, Disp: minimums + 128*h})
		VPSRLW(Imm(8), mn[h], v)
		VMOVDQA64(v, Mem{Base: k.scratch, Disp: minimums + 128*h + 64})
	}

	w, scale, count := ZMM(), GP64(), GP64()
	MOVQ(k.scratch, scale)
	for h := range 2 {
		label := []string{"low", "high"}[h]
		Commentf("Sub-blocks %d to %d, two at a time.", 4*h, 4*h+3)
		k.clear(total)
		MOVQ(U32(2), count)
		Label(label)
		k.prefetch(0, 9)
		for side := range 2 {
			k.clear(k.acc)
			for g := range dwordsOf32 {
				mask := nibble
				if side == 1 {
					mask = high
				}
				VPANDD(Mem{Base: k.w, Disp: quants + 64*g}, mask, w)
				k.dot(w, dwordsOf32*side+g)
			}
			floats(k.acc)
			for t := range tokens {
				VFMADD231PS(Mem{Base: scale, Disp: 64 * side}, k.acc[t], total[t])
			}
		}
		ADDQ(I32(8*64), k.w)
		ADDQ(I32(9*64), k.ahead)
		ADDQ(I32(int32(4*16*tokens)), k.x)
		ADDQ(U32(128), scale)
		DECQ(count)
		JNZ(LabelRef(label))
		for t := range tokens {
			if at := (Mem{Base: k.scratch, Disp: half + 64*t}); h == 0 {
				VMOVAPS(total[t], at)
			} else {
				VADDPS(at, total[t], total[t])
			}
		}
	}

	Comment("Minimums.")
	k.clear(k.acc)
	for p := range 4 {
		VMOVDQA64(Mem{Base: k.scratch, Disp: minimums + 64*p}, w)
		k.pairs(w, sums32+p-64, k.acc)
	}
	floats(k.acc)
	VCVTPH2PS(Mem{Base: k.w, Disp: d - 2048}, w)
	k.step(w, scale256-64, total, false)
	VCVTPH2PS(Mem{Base: k.w, Disp: dmin - 2048}, w)
	k.step(w, scale256-64, k.acc, true)
	ADDQ(I32(size-2048), k.w)
	k.end(0, dwords256-64)
}

// q6K multiplies Q6_K. A strip's block is 32 vectors of low nibbles, 16 of pairs of high bits and 4 of scales; the d
// come first.
func q6K(tokens int) {
	const low, high, scales, size = 0, 2048, 3072, 3328
	text("Q6KQ8K", tokens, "multiplies strips of Q6_K with a tile of tokens.")
	k := begin(tokens)
	const corrections, parked = 1024, 1024 + 512 // in scratch, after the scales
	k.park = parked
	if tokens <= 4 {
		k.sums = vectors(tokens)
	}
	nibble, m30 := constant(0x0f0f0f0f), constant(0x30303030)
	total := vectors(tokens)
	k.strip(true)

	Comment("Scales to scratch, and minus 32 times each as pairs.")
	odd := constant(0xff00ff00)
	v, u := ZMM(), ZMM()
	for i := range 4 {
		VMOVDQU64(Mem{Base: k.w, Disp: scales + 64*i}, v)
		for j := range 4 {
			if j < 3 {
				VPSLLD(U8(uint8(24-8*j)), v, u)
				VPSRAD(Imm(24), u, u)
			} else {
				VPSRAD(Imm(24), v, u)
			}
			VMOVDQA64(u, Mem{Base: k.scratch, Disp: 64 * (4*i + j)})
		}
		VPSLLW(Imm(8), v, u)
		VPSRAW(Imm(3), u, u)
		VPSUBW(u, k.zero, u)
		VMOVDQA64(u, Mem{Base: k.scratch, Disp: corrections + 128*i})
		VPANDD(odd, v, v)
		VPSRAW(Imm(3), v, v)
		VPSUBW(v, k.zero, v)
		VMOVDQA64(v, Mem{Base: k.scratch, Disp: corrections + 128*i + 64})
	}
	k.clear(total)
	for p := range 8 {
		VMOVDQA64(Mem{Base: k.scratch, Disp: corrections + 64*p}, v)
		k.pairs(v, sums16+p, total)
	}

	scale, bits, count := GP64(), GP64(), GP64()
	MOVQ(k.scratch, scale)
	LEAQ(Mem{Base: k.w, Disp: high}, bits)
	MOVQ(U32(2), count)
	Label("half")
	for c := range 2 {
		for quarter := range 4 {
			// Sub-block 2*quarter + c of the half.
			k.prefetch(26*(4*c+quarter)/8, 26*(4*c+quarter+1)/8-26*(4*c+quarter)/8)
			k.clear(k.acc)
			for g := 4 * c; g < 4*c+4; g++ {
				q, h := Mem{Base: k.w, Disp: low + 512*(quarter%2) + 64*g}, Mem{Base: bits, Disp: 64 * g}
				switch quarter {
				case 0:
					VPSLLW(Imm(4), h, v)
					VPANDD(m30, v, v)
				case 1:
					VPSLLW(Imm(2), h, v)
					VPANDD(m30, v, v)
				case 2:
					VPANDD(h, m30, v)
				case 3:
					VPSRLW(Imm(2), h, v)
					VPANDD(m30, v, v)
				}
				if quarter < 2 {
					VPTERNLOGD(Imm(or3and), q, nibble, v)
				} else {
					VPSRLW(Imm(4), q, u)
					VPTERNLOGD(Imm(or3and), u, nibble, v)
				}
				k.dot(v, dwordsOf32*quarter+g)
			}
			for t := range tokens {
				VPMULLD(Mem{Base: scale, Disp: 64 * (2*quarter + c)}, k.acc[t], k.acc[t])
				VPADDD(k.acc[t], total[t], total[t])
			}
		}
	}
	ADDQ(I32(1024), k.w)
	ADDQ(I32(512), bits)
	ADDQ(I32(int32(4*32*tokens)), k.x)
	ADDQ(I32(26*64), k.ahead)
	ADDQ(I32(512), scale)
	DECQ(count)
	JNZ(LabelRef("half"))
	floats(total)
	VCVTPH2PS(Mem{Base: k.head}, v)
	ADDQ(Imm(32), k.head)
	k.step(v, scale256-64, total, false)
	ADDQ(I32(size-2048), k.w)
	k.end(16*210-2*26*64, dwords256-64)
}

// tile256 multiplies a strip of any dtype with blocks of 256 that expand made bytes of: 64 vectors of quants, 16 of
// scales, 8 of pairs that correct the sum, 8 of pairs of minimums, d and the factor of the minimums as floats.
func tile256(tokens int) {
	const quants, scales, corrections, minimums, d, min, size = 0, 4096, 5120, 5632, 6144, 6208, 6272
	text("Tile256Q8K", tokens, "multiplies tiles of 256-blocks with a tile of tokens.")
	k := begin(tokens)
	if tokens <= 8 {
		k.sums = vectors(tokens)
	}
	total := vectors(tokens)
	w, at, scale, count := ZMM(), GP64(), GP64(), GP64()
	k.strip(false)
	k.clear(total)
	for p := range 8 {
		VMOVDQU64(Mem{Base: k.w, Disp: corrections + 64*p}, w)
		k.pairs(w, sums16+p, total)
	}
	MOVQ(k.w, at)
	LEAQ(Mem{Base: k.w, Disp: scales}, scale)
	MOVQ(U32(16), count)
	Label("sub")
	k.clear(k.acc)
	for g := range 4 {
		VMOVDQU64(Mem{Base: at, Disp: quants + 64*g}, w)
		k.dot(w, g)
	}
	VMOVDQA64(Mem{Base: scale}, w)
	for t := range tokens {
		VPMULLD(w, k.acc[t], k.acc[t])
		VPADDD(k.acc[t], total[t], total[t])
	}
	ADDQ(I32(4*64), at)
	ADDQ(Imm(64), scale)
	ADDQ(I32(int32(4*4*tokens)), k.x)
	DECQ(count)
	JNZ(LabelRef("sub"))
	k.clear(k.acc)
	for p := range 8 {
		VMOVDQU64(Mem{Base: k.w, Disp: minimums + 64*p}, w)
		k.pairs(w, sums16+p-64, k.acc)
	}
	floats(total)
	floats(k.acc)
	VMOVUPS(Mem{Base: k.w, Disp: d}, w)
	k.step(w, scale256-64, total, false)
	VMOVUPS(Mem{Base: k.w, Disp: min}, w)
	k.step(w, scale256-64, k.acc, false)
	ADDQ(I32(size), k.w)
	k.end(0, dwords256-64)
}
