package tokenizer

import (
	"slices"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
)

// preRule is a pre-tokenizer: how a text is split, and what its name says about the rest of the tokenizer.
type preRule struct {
	names  []string   // the values of tokenizer.ggml.pre
	passes []splitter // each splits the pieces that the one before it made

	addBOS       bool
	noBOS        bool // there is no default BOS token
	ignoreMerges bool
	keepSpaces   bool // decoding never drops spaces
}

var (
	gpt2Passes      = []splitter{gpt2Words}
	llama3Passes    = []splitter{llama3Words}
	qwen2Passes     = []splitter{qwen2Words}
	starcoderPasses = []splitter{search(isNumber, singles(isNumber)), gpt2Words}
)

// preRules are the pre-tokenizers that Realm has. llama.cpp's table of names is in llama_vocab::impl::load.
var preRules = []preRule{
	{
		names: []string{"default", ""},
		passes: []splitter{
			search(isPunct|isSymbol, defaultPunct), gpt2Words, search(isNumber, runs(isNumber)), search(isNumber, threeDigits),
		},
	},
	{
		names: []string{
			"gpt-2", "mpt", "olmo", "jais", "exaone4", "phi-2", "gigachat", "a.x-4.0", "mellum", "modern-bert",
			"jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en", "jina-v2-code", "roberta-bpe",
		},
		passes: gpt2Passes,
	},
	{names: []string{"trillion", "granite-docling"}, passes: gpt2Passes, keepSpaces: true},
	{
		names: []string{
			"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
		},
		passes: llama3Passes, addBOS: true, ignoreMerges: true,
	},
	{names: []string{"dbrx", "smaug-bpe"}, passes: llama3Passes},
	{names: []string{"chatglm-bpe"}, passes: llama3Passes, noBOS: true},
	{names: []string{"glm4", "glm5"}, passes: llama3Passes, noBOS: true, ignoreMerges: true},
	{
		names:  []string{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"},
		passes: qwen2Passes, keepSpaces: true,
	},
	{names: []string{"stablelm2", "megrez"}, passes: qwen2Passes},
	{
		names:  []string{"starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"},
		passes: starcoderPasses,
	},
	{names: []string{"smollm", "command-r"}, passes: starcoderPasses, keepSpaces: true},
	{
		names:  []string{"falcon"},
		passes: []splitter{search(isPunct|isSymbol, falconPunct), gpt2Words, search(isNumber, threeDigits)},
	},
	{
		names: []string{"deepseek-llm"},
		passes: []splitter{
			search(isSpace, lineBreaks), search(0, spaceRangeRuns(deepseekLetters)), search(0, spaceRangeRuns(deepseekPunct)),
			trailingSpaces, search(0, rangeRuns(deepseekEastAsian)), search(isNumber, runs(isNumber)),
		},
		keepSpaces: true,
	},
	{
		names: []string{"deepseek-coder"},
		passes: []splitter{
			search(isSpace, lineBreaks), search(isSpace|isLetter, spaceRuns(isLetter)), search(isSpace|isPunct, spaceRuns(isPunct)),
			search(0, rangeRuns(deepseekEastAsian)), search(isNumber, singles(isNumber)),
		},
		keepSpaces: true,
	},
}

// preTokenizer finds the rule with the given name.
func preTokenizer(name string) (*preRule, error) {
	var known []string
	for i := range preRules {
		if slices.Contains(preRules[i].names, name) {
			return &preRules[i], nil
		}
		known = append(known, preRules[i].names...)
	}
	slices.Sort(known)
	return nil, errs.Errorf(errs.Unsupported, "tokenizer: pre-tokenizer %.64q is not supported; these are: %s", name,
		strings.TrimPrefix(strings.Join(known, ", "), ", "))
}
