package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// The constants of Exp in math.go.
var (
	expLow     = constant("expLow", -87.3)
	expHigh    = constant("expHigh", 88)
	expLog2E   = constant("expLog2E", math.Log2E)
	expMagic   = constant("expMagic", 0x1.8p23)
	expBias    = ConstData("expBias", U32(0x100000000-0x4b400000+127))
	expLn2High = constant("expLn2High", 0.693359375)
	expLn2Low  = constant("expLn2Low", -2.12194440e-4)
	expPoly    = []Mem{
		constant("expPoly0", 1.9875691500e-4),
		constant("expPoly1", 1.3981999507e-3),
		constant("expPoly2", 8.3334519073e-3),
		constant("expPoly3", 4.1665795894e-2),
		constant("expPoly4", 1.6666665459e-1),
		constant("expPoly5", 5.0000001201e-1),
	}
	one      = constant("one", 1)
	infinity = constant("infinity", float32(math.Inf(1)))
)

// exp sets x to Exp(x) in the lanes of the mask and to 0 in others. No x is above 88.
func exp(x, mask Op) {
	keep := K()
	VCMPPS_BCST(Imm(notLess), expLow, x, mask, keep)
	shifted, n, r, p := ZMM(), ZMM(), ZMM(), ZMM()
	VMULPS_BCST(expLog2E, x, shifted)
	VADDPS_BCST(expMagic, shifted, shifted)
	VSUBPS_BCST(expMagic, shifted, n)
	VMULPS_BCST(expLn2High, n, r)
	VSUBPS(r, x, r)
	VMULPS_BCST(expLn2Low, n, n)
	VSUBPS(n, r, r)
	VMULPS_BCST(expPoly[0], r, p)
	for _, c := range expPoly[1:] {
		VADDPS_BCST(c, p, p)
		if c != expPoly[len(expPoly)-1] {
			VMULPS(r, p, p)
		}
	}
	VMULPS(r, r, n)
	VMULPS(n, p, p)
	VADDPS(r, p, p)
	VADDPS_BCST(one, p, p)
	VPADDD_BCST(expBias, shifted, shifted)
	VPSLLD(Imm(23), shifted, shifted)
	VMULPS_Z(shifted, p, keep, x)
}

// allLanes returns a full mask.
func allLanes() Op {
	k := K()
	KXNORW(k, k, k)
	return k
}
