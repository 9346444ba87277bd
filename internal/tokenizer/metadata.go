package tokenizer

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
)

// Metadata is where a vocabulary comes from: the key-value pairs of a GGUF file. Each method answers false for a key
// that is missing or has a value of another type.
type Metadata interface {
	String(key string) (string, bool)
	Uint(key string) (uint64, bool)
	Bool(key string) (bool, bool)
	Strings(key string) ([]string, bool)
	Floats(key string) ([]float32, bool)
	Ints(key string) ([]int32, bool)
}

const keyPrefix = "tokenizer.ggml."

// VocabFromMetadata reads a vocabulary, with llama.cpp's defaults for what the file leaves out and its corrections to
// what files are known to get wrong. If pre is not empty, it replaces the file's tokenizer.ggml.pre.
//
// A model or pre-tokenizer that Realm does not have is errs.Unsupported, an inconsistent vocabulary errs.InvalidFormat.
func VocabFromMetadata(md Metadata, pre string) (*Vocab, error) {
	r := reader{md: md, v: &Vocab{}}
	if err := r.model(pre); err != nil {
		return nil, err
	}
	if err := r.tokens(); err != nil {
		return nil, err
	}
	if err := r.v.validate(); err != nil {
		return nil, err
	}
	if err := r.v.indexTexts(); err != nil {
		return nil, err
	}
	r.flags()
	r.purposes()
	r.strips()
	if r.v.Model == BPE {
		if err := r.merges(); err != nil {
			return nil, err
		}
	}
	return r.v, nil
}

// reader fills a Vocab from metadata.
type reader struct {
	md Metadata
	v  *Vocab
}

// otherModels are the values of tokenizer.ggml.model that llama.cpp knows besides the three that Realm runs.
var otherModels = []string{"t5", "rwkv", "plamo2", "gemma4", "hybriddna", "whitespace", "none", "no_vocab"}

// model sets what tokenizer.ggml.model and the pre-tokenizer decide.
func (r *reader) model(pre string) error {
	v := r.v
	name, ok := r.md.String(keyPrefix + "model")
	if !ok {
		return errs.Errorf(errs.InvalidFormat, "tokenizer: metadata: no %smodel", keyPrefix)
	}
	none := Special{BOS: None, EOS: None, EOT: None, EOM: None, UNK: None, SEP: None, MASK: None, PAD: None}
	v.Special = none
	switch name {
	case "llama":
		v.Model = SPM
		v.Special.BOS, v.Special.EOS, v.Special.UNK = 1, 2, 0
		v.AddBOS, v.AddSpacePrefix = true, true
	case "bert":
		v.Model = WPM
		v.Special.BOS, v.Special.UNK, v.Special.SEP, v.Special.PAD, v.Special.MASK = 101, 100, 102, 0, 103
		v.AddBOS, v.CleanSpaces, v.Lowercase = true, true, true
	case "gpt2":
		v.Model = BPE
		v.Special.BOS, v.Special.EOS = 11, 11
		v.Pre, _ = r.md.String(keyPrefix + "pre")
		if pre != "" {
			v.Pre = pre
		}
		rule, err := preTokenizer(v.Pre)
		if err != nil {
			return err
		}
		v.AddBOS, v.IgnoreMerges, v.CleanSpaces = rule.addBOS, rule.ignoreMerges, !rule.keepSpaces
		if rule.noBOS {
			v.Special.BOS = None
		}
	default:
		if slices.Contains(otherModels, name) {
			return errs.Errorf(errs.Unsupported, "tokenizer: metadata: model %q is not supported; these are: "+
				"gpt2 (BPE), llama (SPM), bert (WPM)", name)
		}
		return errs.Errorf(errs.Unsupported, "tokenizer: metadata: unknown model %.64q", name)
	}
	return nil
}

// tokens copies texts, scores and types.
func (r *reader) tokens() error {
	tokens, ok := r.md.Strings(keyPrefix + "tokens")
	if !ok {
		return errs.Errorf(errs.InvalidFormat, "tokenizer: metadata: no %stokens", keyPrefix)
	}
	n, total := len(tokens), uint64(0)
	for _, text := range tokens {
		total += uint64(len(text))
	}
	if total > math.MaxUint32/2 {
		return errs.Errorf(errs.LimitExceeded, "tokenizer: metadata: %d bytes of tokens: the limit is 2 GiB", total)
	}
	v := r.v
	v.Offsets, v.Bytes, v.Attrs = make([]uint32, 1, n+1), make([]byte, 0, total), make([]Attr, n)
	for i, text := range tokens {
		if text == "" {
			text = "[EMPTY_" + strconv.Itoa(i) + "]" // as llama.cpp: every token has a text of its own
		}
		v.Bytes = append(v.Bytes, text...)
		v.Offsets = append(v.Offsets, uint32(len(v.Bytes)))
	}
	if scores, ok := r.md.Floats(keyPrefix + "scores"); ok {
		v.Scores = scores
	} else if scores, ok := r.md.Ints(keyPrefix + "scores"); ok {
		v.Scores = make([]float32, len(scores))
		for i, score := range scores {
			v.Scores[i] = float32(score)
		}
	}
	if v.Scores != nil {
		if len(v.Scores) < n {
			return errs.Errorf(errs.InvalidFormat, "tokenizer: metadata: %d scores for %d tokens", len(v.Scores), n)
		}
		v.Scores = v.Scores[:n]
	}
	types, ok := r.md.Ints(keyPrefix + "token_type")
	if ok && len(types) < n {
		return errs.Errorf(errs.InvalidFormat, "tokenizer: metadata: %d token types for %d tokens", len(types), n)
	}
	for i := range v.Attrs {
		v.Attrs[i] = Normal
		if ok {
			v.Attrs[i] = attrOfType(types[i])
		}
	}
	for _, id := range v.Special.all() {
		if int(*id) >= n {
			*id = None // the model's default is of no use here
		}
	}
	return nil
}

// attrOfType translates the values of tokenizer.ggml.token_type (enum llama_token_type).
func attrOfType(typ int32) Attr {
	switch typ {
	case 1:
		return Normal
	case 2:
		return Unknown
	case 3:
		return Control
	case 4:
		return UserDefined
	case 5:
		return Unused
	case 6:
		return Byte
	}
	return 0
}

// flags reads the switches that override the defaults of the model and the pre-tokenizer.
func (r *reader) flags() {
	v := r.v
	r.bool("add_bos_token", &v.AddBOS)
	r.bool("add_eos_token", &v.AddEOS)
	r.bool("add_space_prefix", &v.AddSpacePrefix)
	r.bool("normalizer.lowercase", &v.Lowercase)
	v.StripAccents = v.Lowercase
	r.bool("normalizer.strip_accents", &v.StripAccents)
}

func (r *reader) bool(key string, value *bool) {
	if b, ok := r.md.Bool(keyPrefix + key); ok {
		*value = b
	}
}

// id reads the id of a special token. A value beyond the vocabulary leaves the default.
func (r *reader) id(key string, id *int32) {
	if value, ok := r.md.Uint(keyPrefix + key); ok && value < uint64(r.v.size()) {
		*id = int32(value)
	}
}

// merges turns the strings "left right" into pairs of ids. A merge of texts that are no tokens is dropped, since no
// word can come to contain them.
func (r *reader) merges() error {
	merges, ok := r.md.Strings(keyPrefix + "merges")
	if !ok {
		return errs.Errorf(errs.InvalidFormat, "tokenizer: metadata: no %smerges", keyPrefix)
	}
	v := r.v
	v.Merges = make([]int32, 0, 2*len(merges))
	for _, merge := range merges {
		if merge == "" {
			continue
		}
		// A token may start with a space, as far as the format goes.
		space := strings.IndexByte(merge[1:], ' ') + 1
		if space == 0 {
			continue
		}
		left, right := find(v, merge[:space]), find(v, merge[space+1:])
		if left != None && right != None {
			v.Merges = append(v.Merges, left, right)
		}
	}
	return nil
}
