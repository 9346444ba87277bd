package tokenizer

import (
	"math/bits"

	"github.com/realm-ai/realm/internal/errs"
)

// The two hash tables of a tokenizer, texts to ids and pairs of ids to merges, are open-addressing tables of uint32:
// one allocation each, no keys, since a slot only names a row of the vocabulary's own arrays. A slot holds eight bits
// of the hash above 24 bits of row+1, so that most unsuccessful lookups end without touching a row; 0 is a free slot.

const (
	rowBits = 24
	maxRows = 1<<rowBits - 1

	// maxProbes bounds how far an entry may stand from its own slot. At half load that many neighbours never happen
	// by chance; without the bound, a vocabulary made of colliding texts would turn every lookup into a long walk.
	maxProbes = 128
)

// table is such a table. Its length is a power of two.
type table []uint32

// makeTable makes a table for n rows that ends at most half full.
func makeTable(n int) (table, error) {
	if n > maxRows {
		return nil, errs.Errorf(errs.LimitExceeded, "tokenizer: %d tokens or merges: the limit is %d", n, maxRows)
	}
	return make(table, 1<<max(bits.Len(uint(2*n)), 3)), nil
}

// probe is a walk over the slots that may hold a key.
type probe struct {
	slot uint32
	tag  uint32
}

// start begins the walk for a key with the given hash.
func (t table) start(hash uint64) probe {
	hash ^= hash >> 32
	hash *= 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio: spreads the low bits upwards
	return probe{slot: uint32(hash >> (64 - bits.Len(uint(len(t)-1)))), tag: uint32(hash) &^ maxRows}
}

// next returns the next row that may have the key, -1 if there is none, and the walk from there on.
func (t table) next(p probe) (int, probe) {
	mask := uint32(len(t) - 1)
	for {
		entry := t[p.slot&mask]
		if entry == 0 {
			return -1, p
		}
		p.slot++
		if entry&^maxRows == p.tag {
			return int(entry&maxRows) - 1, p
		}
	}
}

// insert adds a row under a hash that it does not compare with others.
func (t table) insert(hash uint64, row int) error {
	p, mask := t.start(hash), uint32(len(t)-1)
	for range maxProbes {
		if slot := &t[p.slot&mask]; *slot == 0 {
			*slot = p.tag | uint32(row+1)
			return nil
		}
		p.slot++
	}
	return errs.Errorf(errs.LimitExceeded, "tokenizer: over %d tokens or merges share one hash value", maxProbes)
}

// FNV-1a: the hash of a text grows byte by byte, which lets the word-piece search hash all prefixes in one pass.
const (
	hashSeed  uint64 = 0xCBF29CE484222325
	hashPrime uint64 = 0x100000001B3
)

func hashByte(hash uint64, b byte) uint64 { return (hash ^ uint64(b)) * hashPrime }

func hashText[T string | []byte](text T) uint64 {
	hash := hashSeed
	for i := range len(text) {
		hash = hashByte(hash, text[i])
	}
	return hash
}

// hashPair is the hash of a pair of ids.
func hashPair(left, right int32) uint64 {
	return (uint64(uint32(left))<<32 | uint64(uint32(right))) * 0xD6E8FEB86659FD93
}
