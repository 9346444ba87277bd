package quant

// ScaleMinK4 returns the 6-bit scale and minimum of sub-block j, 0 to 7, of a Q4_K or Q5_K super-block, whose twelve
// bytes at Q4_KScales or Q5_KScales are scales. The first four of each stand whole in bytes 0 to 3 and 4 to 7; the last
// four have their low nibbles together in bytes 8 to 11 and their top bits in the top bits of the first four.
func ScaleMinK4(j int, scales []byte) (sc, minimum uint8) {
	if j < 4 {
		return scales[j] & 63, scales[j+4] & 63
	}
	return scales[j+4]&15 | scales[j-4]>>6<<4, scales[j+4]>>4 | scales[j]>>6<<4
}

// packScaleMinK4 is the inverse of ScaleMinK4 for all eight sub-blocks. Values are at most 63.
func packScaleMinK4(scales *[12]byte, sc, minimum *[8]uint8) {
	for j := range 4 {
		scales[j] = sc[j] | sc[j+4]>>4<<6
		scales[j+4] = minimum[j] | minimum[j+4]>>4<<6
		scales[j+8] = sc[j+4]&15 | minimum[j+4]<<4
	}
}

// ScaleQ3_K returns the scale, -32 to 31, of sub-block j, 0 to 15, of a Q3_K super-block, whose twelve bytes at
// Q3_KScales are scales. Bytes 0 to 7 hold the low nibbles of scales 0 to 7, and above them those of 8 to 15. The top
// two bits are in bytes 8 to 11: byte 8 has those of scales 0, 4, 8 and 12, lowest pair first.
func ScaleQ3_K(j int, scales []byte) int8 {
	low := scales[j%8] >> (4 * (j / 8)) & 15
	high := scales[8+j%4] >> (2 * (j / 4)) & 3
	return int8(low|high<<4) - 32
}

// ScaleIQ4_XS returns the scale, -32 to 31, of sub-block j, 0 to 7, of an IQ4_XS super-block, whose six bytes at
// IQ4_XSScalesHigh are scales: a uint16 with the top two bits of each, then their low nibbles in pairs.
func ScaleIQ4_XS(j int, scales []byte) int8 {
	high := scales[j/4] >> (2 * (j % 4)) & 3
	low := scales[2+j/2] >> (4 * (j % 2)) & 15
	return int8(low|high<<4) - 32
}
