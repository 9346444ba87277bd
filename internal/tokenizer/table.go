package tokenizer

import (
	"unsafe"

	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// A guest has its vocabulary from the host as the table of package abi, whose arrays are those of a Vocab. Attr and Model
// have the numbers of the table.

// switches lists what the bits of the table's flags stand for, bit 0 first.
func (v *Vocab) switches() [7]*bool {
	return [...]*bool{
		&v.AddBOS, &v.AddEOS, &v.AddSpacePrefix, &v.IgnoreMerges, &v.CleanSpaces, &v.Lowercase, &v.StripAccents,
	}
}

// VocabTable writes the vocabulary as the table that guests read. It fails with errs.LimitExceeded where it is over 2 GiB.
func (t *Tokenizer) VocabTable() ([]byte, error) {
	v := t.v
	table := abi.VocabTable{
		Model:   uint32(v.Model),
		Offsets: v.Offsets, Scores: v.Scores, Merges: v.Merges, EndOfGeneration: v.EndOfGeneration,
		Attrs: unsafe.Slice((*byte)(unsafe.SliceData(v.Attrs)), len(v.Attrs)), Pre: v.Pre, Bytes: v.Bytes,
	}
	for i, id := range v.Special.all() {
		table.Special[i] = *id
	}
	for bit, on := range v.switches() {
		if *on {
			table.Flags |= 1 << bit
		}
	}
	return table.Encode()
}

// VocabFromTable reads a vocabulary table in place: the arrays of the result are parts of the table, which must not
// change. It fails with errs.InvalidFormat where the table contradicts itself; New checks the rest.
func VocabFromTable(data []byte) (*Vocab, error) {
	table, err := abi.ParseVocabTable(data)
	if err != nil {
		return nil, err
	}
	if table.Model > uint32(WPM) {
		return nil, errs.Errorf(errs.Unsupported, "tokenizer: vocabulary table: unknown model %d", table.Model)
	}
	v := &Vocab{
		Model: Model(table.Model), Pre: table.Pre,
		Offsets: table.Offsets, Bytes: table.Bytes, Scores: table.Scores, Merges: table.Merges,
		Attrs:           unsafe.Slice((*Attr)(unsafe.SliceData(table.Attrs)), len(table.Attrs)),
		EndOfGeneration: table.EndOfGeneration,
	}
	for i, id := range v.Special.all() {
		*id = table.Special[i]
	}
	for bit, on := range v.switches() {
		*on = table.Flags>>bit&1 != 0
	}
	return v, nil
}
