package abi

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/realm-ai/realm/internal/errs"
)

// Field is a field of a struct in the guest's memory.
type Field struct {
	Name   string
	Type   Type
	Offset uint32
	Doc    string
}

// Struct is a struct in the guest's memory, without holes.
type Struct struct {
	Name   string // of the C header's type
	Size   uint32
	Fields []Field
	Doc    string
}

// Structs returns the structs of the ABI but for the head of the vocabulary table.
func Structs() []Struct { return []Struct{modelInfo, tokenLogprob} }

// ModelInfo is what realm_get_model_info writes, in the same layout.
type ModelInfo struct {
	TotalSize            uint64
	FileSize             uint64
	TensorCount          uint32
	ModelID              uint32
	LayerCount           uint32
	HiddenSize           uint32
	FFNSize              uint32
	HeadCount            uint32
	KVHeadCount          uint32
	HeadDim              uint32
	VocabSize            uint32
	TokenCount           uint32
	ContextLength        uint32
	TrainedContextLength uint32
}

// ModelInfoSize is the size of a ModelInfo.
const ModelInfoSize = 64

var _ [ModelInfoSize]byte = [unsafe.Sizeof(ModelInfo{})]byte{}

var modelInfo = Struct{
	Name: "realm_model_info", Size: ModelInfoSize,
	Doc: "What realm_get_model_info writes.",
	Fields: []Field{
		{"total_size", U64, 0, "bytes of all tensors, quantized as they are"},
		{"file_size", U64, 8, "bytes of the model's file or files"},
		{"tensor_count", U32, 16, "tensors"},
		{"model_id", U32, 20, "the model's id"},
		{"layer_count", U32, 24, "transformer layers"},
		{"hidden_size", U32, 28, "width of the hidden state"},
		{"ffn_size", U32, 32, "width of the feed-forward network"},
		{"head_count", U32, 36, "query heads"},
		{"kv_head_count", U32, 40, "key and value heads"},
		{"head_dim", U32, 44, "dimensions of a head"},
		{"vocab_size", U32, 48, "rows of the logits"},
		{"token_count", U32, 52, "tokens of the vocabulary, at most vocab_size"},
		{"context_length", U32, 56, "positions that a sequence may have"},
		{"trained_context_length", U32, 60, "positions that the model was trained for"},
	},
}

// Encode returns the bytes of the struct.
func (m *ModelInfo) Encode() []byte {
	b, err := binary.Append(make([]byte, 0, ModelInfoSize), binary.LittleEndian, m)
	if err != nil {
		return nil // a struct of fixed size always encodes
	}
	return b
}

// DecodeModelInfo reads what Encode wrote, or a later version that is longer.
func DecodeModelInfo(b []byte) (ModelInfo, error) {
	var m ModelInfo
	if _, err := binary.Decode(b, binary.LittleEndian, &m); err != nil {
		return m, errs.Errorf(errs.InvalidFormat, "abi: model info: %d bytes, want %d", len(b), ModelInfoSize)
	}
	return m, nil
}

// TokenLogprob is an element of a token chunk, in the same layout.
type TokenLogprob struct {
	ID      uint32
	Logprob float32
}

// TokenLogprobSize is the size of a TokenLogprob.
const TokenLogprobSize = 8

var _ [TokenLogprobSize]byte = [unsafe.Sizeof(TokenLogprob{})]byte{}

var tokenLogprob = Struct{
	Name: "realm_token_logprob", Size: TokenLogprobSize,
	Doc: "An element of a token chunk.",
	Fields: []Field{
		{"id", U32, 0, "a token"},
		{"logprob", F32, 4, "natural logarithm of its probability; NaN where it was not asked for"},
	},
}

// AppendTokenChunk appends a chunk of kind EmitToken: the token drawn, then the most probable ones.
func AppendTokenChunk(dst []byte, token TokenLogprob, top ...TokenLogprob) []byte {
	dst = token.append(dst)
	for _, t := range top {
		dst = t.append(dst)
	}
	return dst
}

func (t TokenLogprob) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, t.ID)
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(t.Logprob))
}

// ParseTokenChunk reads what AppendTokenChunk wrote.
func ParseTokenChunk(b []byte) (token TokenLogprob, top []TokenLogprob, err error) {
	if len(b) == 0 || len(b)%TokenLogprobSize != 0 {
		return token, nil, errs.Errorf(errs.InvalidFormat, "abi: token chunk: %d bytes: not a multiple of %d above 0",
			len(b), TokenLogprobSize)
	}
	read := func(b []byte) TokenLogprob {
		return TokenLogprob{binary.LittleEndian.Uint32(b), math.Float32frombits(binary.LittleEndian.Uint32(b[4:]))}
	}
	token = read(b)
	for b = b[TokenLogprobSize:]; len(b) > 0; b = b[TokenLogprobSize:] {
		top = append(top, read(b))
	}
	return token, top, nil
}
