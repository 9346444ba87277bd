package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The constants of Exp in math.go, made when the first function needs them.
var (
	expLow, expHigh, expLog2E, expMagic, expBias, expLn2High, expLn2Low, one, infinity Mem
	expPoly                                                                            []Mem
)

func expConstants() {
	if expPoly != nil {
		return
	}
	expLow = constant("expLow", -87.3)
	expHigh = constant("expHigh", 88)
	expLog2E = constant("expLog2E", math.Log2E)
	expMagic = constant("expMagic", 0x1.8p23)
	expBias = table("expBias", func(int) uint32 { return 0x100000000 - 0x4b400000 + 127 })
	expLn2High = constant("expLn2High", 0.693359375)
	expLn2Low = constant("expLn2Low", -2.12194440e-4)
	expPoly = []Mem{
		constant("expPoly0", 1.9875691500e-4),
		constant("expPoly1", 1.3981999507e-3),
		constant("expPoly2", 8.3334519073e-3),
		constant("expPoly3", 4.1665795894e-2),
		constant("expPoly4", 1.6666665459e-1),
		constant("expPoly5", 5.0000001201e-1),
	}
	one = constant("one", 1)
	infinity = constant("infinity", float32(math.Inf(1)))
}

// exp sets x to Exp(x). No x is above 88. like makes a register as wide as x: XMM or YMM.
func exp(x VecVirtual, like func() VecVirtual) {
	keep, shifted, n, r, p := like(), like(), like(), like(), like()
	VCMPPS(Imm(notLess), expLow, x, keep)
	VMULPS(expLog2E, x, shifted)
	VADDPS(expMagic, shifted, shifted)
	VSUBPS(expMagic, shifted, n)
	VMULPS(expLn2High, n, r)
	VSUBPS(r, x, r)
	VMULPS(expLn2Low, n, n)
	VSUBPS(n, r, r)
	VMULPS(expPoly[0], r, p)
	for _, c := range expPoly[1:] {
		VADDPS(c, p, p)
		if c != expPoly[len(expPoly)-1] {
			VMULPS(r, p, p)
		}
	}
	VMULPS(r, r, n)
	VMULPS(n, p, p)
	VADDPS(r, p, p)
	VADDPS(one, p, p)
	VPADDD(expBias, shifted, shifted)
	VPSLLD(Imm(23), shifted, shifted)
	VMULPS(shifted, p, x)
	VANDPS(keep, x, x)
}
