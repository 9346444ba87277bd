package kernel

import (
	"github.com/realm-ai/realm/internal/f16"
	"github.com/realm-ai/realm/internal/quant"
)

// With one token, unpacking a row costs as much as multiplying it. The functions below multiply the dtypes that models
// use most as they stand: each sets w.d, w.min and the integer sums of l, the same as unpack and lane.run together.

func directQ4_0(l *lane, w *weights, row []byte, q *quantized) {
	for b := range w.d {
		block := (*[quant.Q4_0Bytes]byte)(row[b*quant.Q4_0Bytes:])
		w.d[b] = f16.ToFloat32(le16(block[quant.Q4_0D:]))
		l.isum[b] = dotNibbleBytes((*[16]byte)(block[quant.Q4_0Quants:]), (*[8]uint64)(q.nib[b*8:])) - 8*q.sums[b]
	}
}

func directQ4_1(l *lane, w *weights, row []byte, q *quantized) {
	for b := range w.d {
		block := (*[quant.Q4_1Bytes]byte)(row[b*quant.Q4_1Bytes:])
		w.d[b] = f16.ToFloat32(le16(block[quant.Q4_1D:]))
		w.min[b] = f16.ToFloat32(le16(block[quant.Q4_1M:]))
		l.isum[b] = dotNibbleBytes((*[16]byte)(block[quant.Q4_1Quants:]), (*[8]uint64)(q.nib[b*8:]))
	}
}

func directQ8_0(l *lane, w *weights, row []byte, q *quantized) {
	for b := range w.d {
		block := (*[quant.Q8_0Bytes]byte)(row[b*quant.Q8_0Bytes:])
		w.d[b] = f16.ToFloat32(le16(block[quant.Q8_0D:]))
		l.isum[b] = dotInt8Bytes((*[32]byte)(block[quant.Q8_0Quants:]), (*[16]uint64)(q.by[b*16:])) - 128*q.sums[b]
	}
}

// dotNibbleBytes is dotNibbles with the weights as a 32-block has them: 16 bytes with weights 0 to 15 in the low nibbles
// and 16 to 31 in the high ones.
func dotNibbleBytes(qs *[16]byte, x *[8]uint64) int32 {
	v, w := le64(qs[:8]), le64(qs[8:])
	a := v&nibbleFields*x[0] + v>>8&nibbleFields*x[1] + w&nibbleFields*x[2] + w>>8&nibbleFields*x[3]
	b := v>>4&nibbleFields*x[4] + v>>12&nibbleFields*x[5] + w>>4&nibbleFields*x[6] + w>>12&nibbleFields*x[7]
	return int32(int64(a+1<<47)>>48) + int32(int64(b+1<<47)>>48)
}

// dotInt8Bytes is the dot product of 32 weights of -128 to 127, plus 128 times the sum of the activations.
func dotInt8Bytes(qs *[32]byte, x *[16]uint64) int32 {
	const sign = 0x8080_8080_8080_8080 // turning it adds 128 to each
	a, b, c, d := le64(qs[:8])^sign, le64(qs[8:16])^sign, le64(qs[16:24])^sign, le64(qs[24:])^sign
	s := a&byteFields*x[0] + a>>8&byteFields*x[1] + a>>16&byteFields*x[2] + a>>24&byteFields*x[3]
	s += b&byteFields*x[4] + b>>8&byteFields*x[5] + b>>16&byteFields*x[6] + b>>24&byteFields*x[7]
	s += c&byteFields*x[8] + c>>8&byteFields*x[9] + c>>16&byteFields*x[10] + c>>24&byteFields*x[11]
	s += d&byteFields*x[12] + d>>8&byteFields*x[13] + d>>16&byteFields*x[14] + d>>24&byteFields*x[15]
	return int32(int64(s+1<<31) >> 32)
}
