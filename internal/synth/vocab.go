package synth

import (
	"fmt"
	"slices"
)

// vocabulary is a tokenizer's metadata. Most tokens are syllables made of frequent letters, which were learned from no
// text; but every text can be tokenized, and common words take fewer tokens than they have letters.
type vocabulary struct {
	model    string // tokenizer.ggml.model: "gpt2" is BPE, "llama" is SPM
	pre      string // tokenizer.ggml.pre, for BPE
	tokens   []string
	scores   []float32 // for SPM
	types    []int32
	merges   []string
	bos, eos uint32
	template string // chat template
}

// Token types (enum llama_token_type in llama.h).
const (
	typeNormal  = 1
	typeUnknown = 2
	typeControl = 3
	typeByte    = 6
)

// metadata puts the vocabulary into the keys of tokenizer.ggml.
func (v vocabulary) metadata() []pair {
	pairs := []pair{{"tokenizer.ggml.model", v.model}}
	if v.pre != "" {
		pairs = append(
			pairs,
			pair{"tokenizer.ggml.add_space_prefix", false},
			pair{"tokenizer.ggml.add_bos_token", false},
			pair{"tokenizer.ggml.pre", v.pre},
		)
	}
	pairs = append(pairs, pair{"tokenizer.ggml.tokens", v.tokens})
	if v.scores != nil {
		pairs = append(pairs, pair{"tokenizer.ggml.scores", v.scores})
	}
	return append(
		pairs,
		pair{"tokenizer.ggml.token_type", v.types},
		pair{"tokenizer.ggml.merges", v.merges},
		pair{"tokenizer.ggml.bos_token_id", v.bos},
		pair{"tokenizer.ggml.eos_token_id", v.eos},
		pair{"tokenizer.ggml.unknown_token_id", uint32(0)},
		pair{"tokenizer.ggml.padding_token_id", v.eos},
		pair{"tokenizer.chat_template", v.template},
	)
}

// chatSpecials are the control tokens of a small BPE vocabulary.
var chatSpecials = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}

// smolSpecials are the control tokens of SmolLM2.
var smolSpecials = []string{
	"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>",
	"<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>",
	"<jupyter_code>", "<jupyter_output>", "<jupyter_script>", "<empty_output>",
}

// chatML is the template of models whose turns stand between <|im_start|> and <|im_end|>.
const chatML = "{% for message in messages %}" +
	"{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}" +
	"{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

// zephyr is the template of TinyLlama's chat models: a line with the role before each turn, EOS after it.
const zephyr = "{% for message in messages %}" +
	"{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}" +
	"{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"

// bpeVocabulary is a byte-level BPE vocabulary of n tokens: the specials, a token for each byte, and merges.
func bpeVocabulary(pre string, n int, specials []string, bos, eos uint32) vocabulary {
	v := vocabulary{model: "gpt2", pre: pre, bos: bos, eos: eos, template: chatML}
	for _, s := range specials {
		v.tokens = append(v.tokens, s)
		v.types = append(v.types, typeControl)
	}
	for b := range 256 {
		v.tokens = append(v.tokens, string(byteRune(byte(b))))
		v.types = append(v.types, typeNormal)
	}
	for _, p := range madeUpPieces(string(byteRune(' ')), n-len(v.tokens)) {
		v.tokens = append(v.tokens, p.text())
		v.types = append(v.types, typeNormal)
		v.merges = append(v.merges, p.left+" "+p.right)
	}
	return v
}

// byteRune is the character that stands for a byte in byte-level BPE: itself where it can be seen, else one of those
// from U+0100 on, in the order of the bytes (bytes_to_unicode in GPT-2's encoder.py).
func byteRune(b byte) rune {
	visible := func(c int) bool { return c >= '!' && c <= '~' || c >= 0xa1 && c <= 0xff && c != 0xad }
	if visible(int(b)) {
		return rune(b)
	}
	r := rune(0x100)
	for c := range int(b) {
		if !visible(c) {
			r++
		}
	}
	return r
}

// spmVocabulary is a SentencePiece vocabulary of n tokens in the order of Llama 2's: unknown, BOS, EOS, a token for
// each byte, pieces by falling score, and single characters last.
func spmVocabulary(n int) vocabulary {
	const space = "▁"
	v := vocabulary{model: "llama", bos: 1, eos: 2, template: zephyr}
	add := func(text string, score float32, kind int32) {
		v.tokens = append(v.tokens, text)
		v.scores = append(v.scores, score)
		v.types = append(v.types, kind)
	}
	add("<unk>", 0, typeUnknown)
	add("<s>", 0, typeControl)
	add("</s>", 0, typeControl)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), 0, typeByte)
	}
	characters := []string{space}
	for c := '!'; c <= '~'; c++ {
		characters = append(characters, string(c))
	}
	for _, first := range []rune{'À', 'Α', 'А', 'あ'} { // Latin, Greek, Cyrillic, Hiragana: an alphabet's worth of each
		for c := first; c < first+24; c++ {
			characters = append(characters, string(c))
		}
	}
	pieces := madeUpPieces(space, n-len(v.tokens)-len(characters))
	known := map[string]bool{}
	for _, c := range characters {
		known[c] = true
	}
	for i, p := range pieces {
		add(p.text(), -float32(i), typeNormal)
		known[p.text()] = true
	}
	for i, c := range characters {
		add(c, -float32(len(pieces)+i), typeNormal)
	}
	// SPM does not need merges, but conversion writes every split of a piece into two others, and so do we: a reader has
	// to get past them.
	for _, p := range pieces {
		text := []rune(p.text())
		for i := 1; i < len(text); i++ {
			left, right := string(text[:i]), string(text[i:])
			if known[left] && known[right] {
				v.merges = append(v.merges, left+" "+right)
			}
		}
	}
	return v
}

// piece is a token that comes of merging two shorter ones.
type piece struct{ left, right string }

func (p piece) text() string { return p.left + p.right }

// madeUpPieces returns n different pieces, shorter before longer and frequent letters before rare ones: a space, a
// small or a capital letter, followed by one, two or three small letters. Each is an earlier piece and a letter.
func madeUpPieces(space string, n int) []piece {
	letters := []string{
		"e", "t", "a", "o", "i", "n", "s", "h", "r", "d", "l", "u", "c", "m", "f", "w", "y", "g", "p", "b", "v", "k", "x",
		"q", "j", "z",
	}
	starts := append([]string{space}, letters...)
	for c := 'A'; c <= 'Z'; c++ {
		starts = append(starts, string(c))
	}
	pieces := make([]piece, 0, n)
	// Pairs by the sum of their letters' places.
	for sum := 0; sum < len(starts)+len(letters)-1; sum++ {
		for i := max(0, sum-len(letters)+1); i <= min(sum, len(starts)-1); i++ {
			pieces = append(pieces, piece{starts[i], letters[sum-i]})
		}
	}
	for next := 0; len(pieces) < n; next++ {
		for _, letter := range letters {
			pieces = append(pieces, piece{pieces[next].text(), letter})
		}
	}
	return slices.Clip(pieces[:n])
}
