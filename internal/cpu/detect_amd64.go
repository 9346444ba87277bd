//go:build amd64 && !purego

package cpu

// cpuid runs CPUID with the given EAX and ECX.
func cpuid(leaf, sub uint32) (a, b, c, d uint32)

// xgetbv returns the low half of XCR0, the register state that the operating system saves. It needs OSXSAVE.
func xgetbv() uint32

// detect asks the processor. Bits are those of CPUID in the Intel 64 and IA-32 Architectures Software Developer's
// Manual, volume 2A, tables 3-8 and following; what the system must save is in volume 1, sections 14.3 and 15.2.
func detect() sets {
	can := sets{Generic: true}
	maxLeaf, _, _, _ := cpuid(0, 0)
	if maxLeaf < 7 {
		return can
	}
	const (
		fma     = 1 << 12 // leaf 1, ECX
		osxsave = 1 << 27
		avx     = 1 << 28
		f16c    = 1 << 29

		avx2     = 1 << 5 // leaf 7, EBX
		avx512f  = 1 << 16
		avx512dq = 1 << 17
		avx512bw = 1 << 30
		avx512vl = 1 << 31

		vnni = 1 << 11 // leaf 7, ECX

		amxTile = 1 << 24 // leaf 7, EDX
		amxInt8 = 1 << 25

		stateYMM = 1<<1 | 1<<2 // XCR0: XMM, and the upper halves of YMM
		stateZMM = stateYMM | 1<<5 | 1<<6 | 1<<7
		stateAMX = 1<<17 | 1<<18 // configuration and tiles
	)
	has := func(word, bits uint32) bool { return word&bits == bits }
	_, _, c1, _ := cpuid(1, 0)
	_, b7, c7, d7 := cpuid(7, 0)
	if !has(c1, osxsave|avx|fma|f16c) {
		return can
	}
	saved := xgetbv()
	can[AVX2] = has(b7, avx2) && has(saved, stateYMM)
	can[AVX512] = can[AVX2] && has(b7, avx512f|avx512dq|avx512bw|avx512vl) && has(c7, vnni) && has(saved, stateZMM)
	can[AMX] = can[AVX512] && has(d7, amxTile|amxInt8) && has(saved, stateAMX)
	return can
}

// ReadsAhead reports whether the processor, reading memory from one line to the next, brings what follows from there sooner by
// itself than when it is told what follows. Zen 4 does: one thread reads a third more of Q4_K, and a quarter more of Q4_1.
// Sapphire Rapids and Zen 5 read more when they are told.
func ReadsAhead() bool {
	_, b, c, d := cpuid(0, 0)
	amd := b == 0x68747541 && d == 0x69746e65 && c == 0x444d4163 // AuthenticAMD
	signature, _, _, _ := cpuid(1, 0)
	family := signature >> 8 & 0xf
	if family == 0xf {
		family += signature >> 20 & 0xff
	}
	return amd && family == 0x19 && available()[AVX512] // the family is Zen 3's too
}
