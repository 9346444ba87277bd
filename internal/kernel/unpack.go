package kernel

import (
	"encoding/binary"

	"github.com/realm-ai/realm/internal/f16"
	"github.com/realm-ai/realm/internal/quant"
)

// The unpackers follow the block layouts of package quant, which describes them.

const (
	nibbleFields = 0x000F_000F_000F_000F
	byteFields   = 0x0000_00FF_0000_00FF
)

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// halves splits 16 bytes of a 32-block's nibbles: the low ones are weights 0 to 15, the high ones 16 to 31.
func halves(dst *[8]uint64, qs []byte) {
	a, b := le64(qs), le64(qs[8:])
	dst[0], dst[1] = a&nibbleFields, a>>8&nibbleFields
	dst[2], dst[3] = b&nibbleFields, b>>8&nibbleFields
	dst[4], dst[5] = a>>4&nibbleFields, a>>12&nibbleFields
	dst[6], dst[7] = b>>4&nibbleFields, b>>12&nibbleFields
}

// spread writes unsigned bytes as words of byte fields.
func spread(dst []uint64, u []byte) {
	for i := 0; i+8 <= len(u) && i/2+4 <= len(dst); i += 8 {
		v := le64(u[i:])
		d := dst[i/2 : i/2+4 : i/2+4]
		d[0], d[1], d[2], d[3] = v&byteFields, v>>8&byteFields, v>>16&byteFields, v>>24&byteFields
	}
}

func unpackQ4_0(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.Q4_0Bytes:][:quant.Q4_0Bytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q4_0D:]))
		halves((*[8]uint64)(w.words[b*8:]), block[quant.Q4_0Quants:])
	}
}

func unpackQ4_1(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.Q4_1Bytes:][:quant.Q4_1Bytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q4_1D:]))
		w.min[b] = f16.ToFloat32(le16(block[quant.Q4_1M:]))
		halves((*[8]uint64)(w.words[b*8:]), block[quant.Q4_1Quants:])
	}
}

func unpackQ5_0(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.Q5_0Bytes:][:quant.Q5_0Bytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q5_0D:]))
		unpack5(w.words[b*16:b*16+16], le32(block[quant.Q5_0High:]), block[quant.Q5_0Quants:])
	}
}

func unpackQ5_1(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.Q5_1Bytes:][:quant.Q5_1Bytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q5_1D:]))
		w.min[b] = f16.ToFloat32(le16(block[quant.Q5_1M:]))
		unpack5(w.words[b*16:b*16+16], le32(block[quant.Q5_1High:]), block[quant.Q5_1Quants:])
	}
}

// unpack5 joins nibbles with the fifth bits in high.
func unpack5(dst []uint64, high uint32, qs []byte) {
	var u [32]byte
	for i, q := range qs[:16] {
		u[i] = q&15 | byte(high>>i)<<4&16
		u[i+16] = q>>4 | byte(high>>(i+16))<<4&16
	}
	spread(dst, u[:])
}

func unpackQ8_0(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.Q8_0Bytes:][:quant.Q8_0Bytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q8_0D:]))
		dst := w.words[b*16 : b*16+16]
		for i := range 4 {
			v := le64(block[quant.Q8_0Quants+8*i:]) ^ 0x8080_8080_8080_8080 // adds 128 to each
			d := dst[4*i : 4*i+4 : 4*i+4]
			d[0], d[1], d[2], d[3] = v&byteFields, v>>8&byteFields, v>>16&byteFields, v>>24&byteFields
		}
	}
}

// iq4 is the value that each nibble of IQ4_NL and IQ4_XS stands for, plus 128.
var iq4 = func() (t [16]byte) {
	for i, v := range quant.IQ4_NLValues {
		t[i] = byte(int(v) + 128)
	}
	return t
}()

func unpackIQ4(dst []uint64, qs []byte) {
	var u [32]byte
	for i, q := range qs[:16] {
		u[i], u[i+16] = iq4[q&15], iq4[q>>4]
	}
	spread(dst, u[:])
}

func unpackIQ4NL(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.IQ4_NLBytes:][:quant.IQ4_NLBytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.IQ4_NLD:]))
		unpackIQ4(w.words[b*16:b*16+16], block[quant.IQ4_NLQuants:])
	}
}

func unpackIQ4XS(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.IQ4_XSBytes:][:quant.IQ4_XSBytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.IQ4_XSD:]))
		for j := range 8 {
			w.scales[b*8+j] = int32(quant.ScaleIQ4_XS(j, block[quant.IQ4_XSScalesHigh:]))
			unpackIQ4(w.words[b*128+j*16:b*128+j*16+16], block[quant.IQ4_XSQuants+16*j:])
		}
	}
}

func unpackQ2K(w *weights, row []byte) {
	var u [256]byte
	for b := range w.d {
		block := row[b*quant.Q2_KBytes:][:quant.Q2_KBytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q2_KD:]))
		w.min[b] = -f16.ToFloat32(le16(block[quant.Q2_KDMin:]))
		for j, s := range block[quant.Q2_KScales:quant.Q2_KQuants] {
			w.scales[b*16+j] = int32(s & 15)
			w.mins[b*16+j] = int32(s >> 4)
		}
		for i := range u {
			// Each half of 128 weights has 32 bytes, whose 4 pairs of bits are weights 32 apart.
			u[i] = block[quant.Q2_KQuants+i/128*32+i%32] >> (2 * (i / 32 % 4)) & 3
		}
		spread(w.words[b*128:b*128+128], u[:])
	}
}

func unpackQ3K(w *weights, row []byte) {
	var u [256]byte
	for b := range w.d {
		block := row[b*quant.Q3_KBytes:][:quant.Q3_KBytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q3_KD:]))
		for j := range 16 {
			w.scales[b*16+j] = int32(quant.ScaleQ3_K(j, block[quant.Q3_KScales:]))
		}
		for i := range u {
			u[i] = block[quant.Q3_KQuants+i/128*32+i%32]>>(2*(i/32%4))&3 | block[quant.Q3_KHigh+i%32]>>(i/32)&1<<2
		}
		spread(w.words[b*128:b*128+128], u[:])
	}
}

func unpackQ4K(w *weights, row []byte) {
	for b := range w.d {
		block := row[b*quant.Q4_KBytes:][:quant.Q4_KBytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q4_KD:]))
		w.min[b] = -f16.ToFloat32(le16(block[quant.Q4_KDMin:]))
		for j := range 8 {
			scale, minimum := quant.ScaleMinK4(j, block[quant.Q4_KScales:])
			w.scales[b*8+j], w.mins[b*8+j] = int32(scale), int32(minimum)
		}
		for c := range 4 {
			// 32 bytes: the low nibbles are sub-block 2c, the high ones 2c+1.
			dst := (*[16]uint64)(w.words[b*64+c*16:])
			for i := range 4 {
				v := le64(block[quant.Q4_KQuants+32*c+8*i:])
				dst[2*i], dst[2*i+1] = v&nibbleFields, v>>8&nibbleFields
				dst[8+2*i], dst[8+2*i+1] = v>>4&nibbleFields, v>>12&nibbleFields
			}
		}
	}
}

func unpackQ5K(w *weights, row []byte) {
	var u [256]byte
	for b := range w.d {
		block := row[b*quant.Q5_KBytes:][:quant.Q5_KBytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q5_KD:]))
		w.min[b] = -f16.ToFloat32(le16(block[quant.Q5_KDMin:]))
		for j := range 8 {
			scale, minimum := quant.ScaleMinK4(j, block[quant.Q5_KScales:])
			w.scales[b*8+j], w.mins[b*8+j] = int32(scale), int32(minimum)
		}
		for i := range u {
			u[i] = block[quant.Q5_KQuants+i/64*32+i%32]>>(4*(i/32%2))&15 | block[quant.Q5_KHigh+i%32]>>(i/32)&1<<4
		}
		spread(w.words[b*128:b*128+128], u[:])
	}
}

func unpackQ6K(w *weights, row []byte) {
	var u [256]byte
	for b := range w.d {
		block := row[b*quant.Q6_KBytes:][:quant.Q6_KBytes]
		w.d[b] = f16.ToFloat32(le16(block[quant.Q6_KD:]))
		for j, s := range block[quant.Q6_KScales:quant.Q6_KD] {
			w.scales[b*16+j] = int32(int8(s))
		}
		for h := range 2 {
			// Each half of 128 weights has 64 bytes of low nibbles and 32 bytes of pairs of high bits.
			low, high := block[quant.Q6_KQuants+64*h:][:64], block[quant.Q6_KHigh+32*h:][:32]
			out := u[128*h : 128*h+128]
			for i := range 32 {
				out[i] = low[i]&15 | high[i]&3<<4
				out[i+32] = low[i+32]&15 | high[i]>>2&3<<4
				out[i+64] = low[i]>>4 | high[i]>>4&3<<4
				out[i+96] = low[i+32]>>4 | high[i]>>6<<4
			}
		}
		spread(w.words[b*128:b*128+128], u[:])
	}
}
