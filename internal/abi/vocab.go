package abi

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/realm-ai/realm/internal/errs"
)

// The vocabulary table is a vocabulary in flat little-endian arrays that a guest indexes where the host wrote them: a
// head of fixed size, then sections whose places follow from the counts in the head. Sections of 4-byte numbers come
// first, so that a table that is aligned to 4 has them all aligned.

const (
	vocabMagic   = 0x564D4C52 // "RLMV"
	VocabVersion = 1
	// VocabHeadSize is the size of the head.
	VocabHeadSize = 80
)

// vocabHead is the head of a table, in the same layout.
type vocabHead struct {
	Magic, Version  uint32
	Size            uint32
	Model           uint32
	Flags           uint32
	Tokens          uint32
	TextBytes       uint32
	Scores          uint32
	Merges          uint32
	EndOfGeneration uint32
	PreBytes        uint32
	Special         [8]int32
	Reserved        uint32
}

var _ [VocabHeadSize]byte = [unsafe.Sizeof(vocabHead{})]byte{}

// The bits of a table's flags.
const (
	FlagAddBOS = 1 << iota
	FlagAddEOS
	FlagAddSpacePrefix
	FlagIgnoreMerges
	FlagCleanSpaces
	FlagLowercase
	FlagStripAccents
)

// The entries of VocabTable.Special. One that is -1 stands for no token.
const (
	SpecialBOS = iota
	SpecialEOS
	SpecialEOT
	SpecialEOM
	SpecialUNK
	SpecialSEP
	SpecialMASK
	SpecialPAD
)

// VocabTable is a table in Go's types. n is the number of tokens, len(Attrs).
type VocabTable struct {
	Model   uint32 // 1 SPM, 2 BPE, 3 WPM
	Flags   uint32
	Special [8]int32

	Offsets         []uint32  // (n+1) token i's text is Bytes[Offsets[i]:Offsets[i+1]]
	Scores          []float32 // (n), or none
	Merges          []int32   // (2 x merges) left and right id of each, the first merge first
	EndOfGeneration []int32   // ascending
	Attrs           []byte    // (n)
	Pre             string
	Bytes           []byte
}

// VocabHead describes the head of the table, for the documentation.
func VocabHead() Struct {
	s := Struct{Name: "realm_vocab_head", Size: VocabHeadSize, Doc: "The head of the vocabulary table."}
	for _, f := range []Field{
		{"magic", U32, 0, "0x564D4C52, which is RLMV"},
		{"version", U32, 0, "of the table: 1"},
		{"size", U32, 0, "bytes of the table with its head"},
		{"model", U32, 0, "1 SPM (SentencePiece), 2 BPE (byte-level), 3 WPM (WordPiece)"},
		{"flags", U32, 0, "a bit for each: 1 add BOS, 2 add EOS, 4 add a space before the text, 8 ignore merges for words " +
			"that are tokens, 16 clean up spaces, 32 lowercase, 64 strip accents"},
		{"token_count", U32, 0, "tokens, n"},
		{"text_bytes", U32, 0, "bytes of all texts, b"},
		{"score_count", U32, 0, "scores, s: n or 0"},
		{"merge_count", U32, 0, "merges, m"},
		{"end_count", U32, 0, "tokens that end an answer, e"},
		{"pre_bytes", U32, 0, "bytes of the pre-tokenizer's name, p"},
		{"bos", I32, 0, "begins a sequence; -1 for none, here and below"},
		{"eos", I32, 0, "ends a sequence"},
		{"eot", I32, 0, "ends a turn"},
		{"eom", I32, 0, "ends a message"},
		{"unk", I32, 0, "stands for what has no token"},
		{"sep", I32, 0, "separates"},
		{"mask", I32, 0, "masks"},
		{"pad", I32, 0, "pads"},
		{"reserved", U32, 0, "0"},
	} {
		f.Offset = uint32(4 * len(s.Fields))
		s.Fields = append(s.Fields, f)
	}
	return s
}

// Section is an array of the vocabulary table.
type Section struct {
	Name  string
	Type  Type
	Count string // by the letters of the head
	Doc   string
}

// VocabSections lists what follows the head, without gaps.
func VocabSections() []Section {
	return []Section{
		{"offsets", U32, "n+1", "the text of token i is texts[offsets[i]] up to texts[offsets[i+1]]"},
		{"scores", F32, "s", "SPM: the pair with the highest score merges first"},
		{"merges", U32, "2m", "BPE: left and right token of each merge, the first merge first"},
		{"ends", U32, "e", "the tokens that end an answer, ascending"},
		{"attrs", U8, "n", "a bit for each: 1 normal, 2 unknown, 4 control, 8 user-defined, 16 unused, 32 byte, " +
			"64 takes spaces before it, 128 takes spaces after it"},
		{"pre", U8, "p", "BPE: the name of the pre-tokenizer"},
		{"texts", U8, "b", "the texts as the model's file has them"},
	}
}

// Encode writes a table. It fails where the numbers do not fit it.
func (t *VocabTable) Encode() ([]byte, error) {
	h := t.head()
	if size := h.size(); size > math.MaxInt32 {
		return nil, errs.Errorf(errs.LimitExceeded, "abi: vocabulary table: %d bytes: the limit is %d", size, math.MaxInt32)
	}
	if len(t.Offsets) != len(t.Attrs)+1 || len(t.Scores) != 0 && len(t.Scores) != len(t.Attrs) || len(t.Merges)%2 != 0 {
		return nil, errs.Errorf(errs.InvalidArgument, "abi: vocabulary table: %d offsets, %d scores, %d merge ids for %d tokens",
			len(t.Offsets), len(t.Scores), len(t.Merges), len(t.Attrs))
	}
	h.Size = uint32(h.size())
	b := make([]byte, 0, h.Size)
	for _, part := range []any{h, t.Offsets, t.Scores, t.Merges, t.EndOfGeneration, t.Attrs} {
		var err error
		if b, err = binary.Append(b, binary.LittleEndian, part); err != nil {
			return nil, errs.Errorf(errs.Internal, "abi: vocabulary table: %w", err)
		}
	}
	return append(append(b, t.Pre...), t.Bytes...), nil
}

func (t *VocabTable) head() *vocabHead {
	return &vocabHead{
		Magic: vocabMagic, Version: VocabVersion, Model: t.Model, Flags: t.Flags,
		Tokens: uint32(len(t.Attrs)), TextBytes: uint32(len(t.Bytes)), Scores: uint32(len(t.Scores)),
		Merges: uint32(len(t.Merges) / 2), EndOfGeneration: uint32(len(t.EndOfGeneration)), PreBytes: uint32(len(t.Pre)),
		Special: t.Special,
	}
}

// size is the number of bytes that the counts add up to. Each is below 2^32, so the sum does not overflow.
func (h *vocabHead) size() uint64 {
	return VocabHeadSize + 4*(uint64(h.Tokens)+1+uint64(h.Scores)+2*uint64(h.Merges)+uint64(h.EndOfGeneration)) +
		uint64(h.Tokens) + uint64(h.PreBytes) + uint64(h.TextBytes)
}

// ParseVocabTable reads a table. The arrays it returns are views of b where b is aligned to 4 and the processor is
// little-endian, else copies. It checks that the arrays fit the table, not what they hold.
func ParseVocabTable(b []byte) (*VocabTable, error) {
	var h vocabHead
	if _, err := binary.Decode(b, binary.LittleEndian, &h); err != nil {
		return nil, errs.Errorf(errs.InvalidFormat, "abi: vocabulary table: %d bytes: shorter than its head", len(b))
	}
	switch {
	case h.Magic != vocabMagic:
		return nil, errs.Errorf(errs.InvalidFormat, "abi: vocabulary table: begins with 0x%08x, want 0x%08x", h.Magic, uint32(vocabMagic))
	case h.Version != VocabVersion:
		return nil, errs.Errorf(errs.Unsupported, "abi: vocabulary table: version %d, want %d", h.Version, VocabVersion)
	case uint64(h.Size) != uint64(len(b)) || h.size() != uint64(len(b)):
		return nil, errs.Errorf(errs.InvalidFormat, "abi: vocabulary table: %d bytes, its head says %d and its counts %d",
			len(b), h.Size, h.size())
	case h.Scores != 0 && h.Scores != h.Tokens:
		return nil, errs.Errorf(errs.InvalidFormat, "abi: vocabulary table: %d scores for %d tokens", h.Scores, h.Tokens)
	}
	rest := b[VocabHeadSize:]
	t := &VocabTable{Model: h.Model, Flags: h.Flags, Special: h.Special}
	t.Offsets, rest = view[uint32](rest, int(h.Tokens)+1)
	t.Scores, rest = view[float32](rest, int(h.Scores))
	t.Merges, rest = view[int32](rest, 2*int(h.Merges))
	t.EndOfGeneration, rest = view[int32](rest, int(h.EndOfGeneration))
	t.Attrs, rest = rest[:h.Tokens:h.Tokens], rest[h.Tokens:]
	t.Pre, t.Bytes = string(rest[:h.PreBytes]), rest[h.PreBytes:]
	return t, nil
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// view returns the first n numbers of b, in place if it can be, and what follows them.
func view[T uint32 | int32 | float32](b []byte, n int) ([]T, []byte) {
	if n == 0 {
		return nil, b
	}
	data, rest := b[:4*n:4*n], b[4*n:]
	first := unsafe.Pointer(unsafe.SliceData(data))
	if littleEndian && uintptr(first)%4 == 0 {
		return unsafe.Slice((*T)(first), n), rest
	}
	out := make([]T, n)
	_, _ = binary.Decode(data, binary.LittleEndian, out) // the sizes are equal
	return out, rest
}
