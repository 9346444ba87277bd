package tokenizer

import (
	"slices"
	"strings"
)

// Files say too little about what their tokens are for: which one ends a turn, which are control tokens. llama.cpp goes
// by the texts of well-known tokens, and so does Realm: the lists in this file are those of llama_vocab::impl::load.

// The well-known texts of a token with one purpose, most specific first.
var (
	eotTexts = []string{
		"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>",
		"[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>",
	}
	eomTexts = []string{"<|eom_id|>"}
)

// fillIns are the tokens for filling in the middle of a text. They matter here for being control tokens, and some for
// ending an answer.
var fillIns = []struct {
	keys  []string
	texts []string
	ends  bool
}{
	{[]string{"fim_pre_token_id", "prefix_token_id"}, []string{
		"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
		"<|prefix|>",
	}, false},
	{[]string{"fim_suf_token_id", "suffix_token_id"}, []string{
		"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>",
		"<|suffix|>",
	}, false},
	{[]string{"fim_mid_token_id", "middle_token_id"}, []string{
		"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
		"<|middle|>",
	}, false},
	{[]string{"fim_pad_token_id"}, []string{"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}, true},
	{[]string{"fim_rep_token_id"}, []string{
		"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>",
	}, true},
	{[]string{"fim_sep_token_id"}, []string{"<|file_sep|>"}, true},
}

// endTexts are the texts of tokens that end an answer, whatever else the file says about them.
var endTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
	"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>",
	"<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
}

// shownTexts are control tokens by type that gpt-oss shows to its readers.
var shownTexts = []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}

// purposes reads the ids of special tokens, finds those that the file does not name, and lists what ends an answer.
func (r *reader) purposes() {
	v, s := r.v, &r.v.Special
	r.id("bos_token_id", &s.BOS)
	r.id("eos_token_id", &s.EOS)
	r.id("eot_token_id", &s.EOT)
	r.id("eom_token_id", &s.EOM)
	r.id("unknown_token_id", &s.UNK)
	r.id("seperator_token_id", &s.SEP) // the key is spelled so
	r.id("padding_token_id", &s.PAD)
	r.id("mask_token_id", &s.MASK)
	r.detect(&s.EOT, eotTexts)
	r.detect(&s.EOM, eomTexts)
	for _, f := range fillIns {
		id := None
		for _, key := range f.keys {
			r.id(key, &id)
		}
		r.detect(&id, f.texts)
		if f.ends {
			r.endAt(id)
		}
	}
	for _, text := range endTexts {
		if id := find(v, text); id != None {
			r.endAt(id)
			v.Attrs[id] |= Control
		}
	}
	for _, text := range shownTexts {
		if id := find(v, text); id != None {
			v.Attrs[id] = UserDefined
		}
	}
	r.endAt(s.EOS)
	r.endAt(s.EOT)
	r.endAt(s.EOM)

	// In o200k_harmony and solar-open, <|end|> only ends a message; in gemma4 and plamo, </s> is a tag.
	calls := r.ends("<|call|>") || r.ends("<|calls|>")
	if r.ends("<|end|>") && calls && (r.ends("<|return|>") || r.ends("<|flush|>")) {
		r.endNotAt("<|end|>", UserDefined)
	}
	if r.ends("</s>") && (r.ends("<|tool_response>") || r.ends("<|plamo:eos|>")) {
		r.endNotAt("</s>", Normal)
	}
	slices.Sort(v.EndOfGeneration)
}

// detect sets an id that the file does not name to the first of texts that is a token, which makes it a control token.
func (r *reader) detect(id *int32, texts []string) {
	for _, text := range texts {
		if *id != None {
			return
		}
		if *id = find(r.v, text); *id != None {
			r.v.Attrs[*id] |= Control
		}
	}
}

// endAt adds a token to the list of those that end an answer.
func (r *reader) endAt(id int32) {
	if id != None && !slices.Contains(r.v.EndOfGeneration, id) {
		r.v.EndOfGeneration = append(r.v.EndOfGeneration, id)
	}
}

// ends reports whether the token with this text ends an answer.
func (r *reader) ends(text string) bool { return slices.Contains(r.v.EndOfGeneration, find(r.v, text)) }

// endNotAt removes a token from that list.
func (r *reader) endNotAt(text string, attr Attr) {
	id := find(r.v, text)
	r.v.EndOfGeneration = slices.DeleteFunc(r.v.EndOfGeneration, func(end int32) bool { return end == id })
	r.v.Attrs[id] = attr
}

// strips marks the tokens that take the spaces beside them along. Files do not say; llama.cpp goes by the model's name.
func (r *reader) strips() {
	v := r.v
	pre, _ := r.md.String(keyPrefix + "pre")
	arch, _ := r.md.String("general.architecture")
	name, _ := r.md.String("general.name")
	name = strings.ToLower(name)
	switch {
	case containsAny(pre, "jina-v2-de", "jina-v2-es", "jina-v2-code"),
		containsAny(arch, "nomic-bert-moe", "jina-bert-v3"):
		r.mark("<mask>", StripBefore)
	case containsAny(name, "phi-3", "phi3"):
		for i := range v.Attrs {
			if v.Attrs[i].Has(Control | UserDefined | Unknown) {
				v.Attrs[i] |= StripAfter
			}
		}
		r.mark("</s>", StripAfter)
		for _, text := range []string{"<unk>", "<s>", "<|endoftext|>"} {
			if id := find(v, text); id != None {
				v.Attrs[id] &^= StripAfter
			}
		}
	case containsAny(name, "modern-bert"):
		r.mark("[MASK]", StripBefore)
	}
}

// mark adds an attribute to the token with this text, if there is one.
func (r *reader) mark(text string, attr Attr) {
	if id := find(r.v, text); id != None {
		r.v.Attrs[id] |= attr
	}
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}
