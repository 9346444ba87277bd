package tokenizer

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// space is \s as pre-tokenizers mean it, for Go's regexp, where \s is ASCII only; it stands inside a class.
const space = `\s\x0b\x{85}\p{Z}`

// pattern is one regular expression of a pre-tokenizer.
type pattern struct {
	expr string
	// words ends the expression with \s+(?!\S)|\s+, which regexp cannot say.
	words bool
}

func (p pattern) compile() *regexp.Regexp {
	expr := strings.NewReplacer(`[^\s`, `[^`+space, `\s`, `[`+space+`]`).Replace(p.expr)
	if p.words {
		expr += `|[` + space + `]+`
	}
	return regexp.MustCompile(expr)
}

// split applies the pattern to a piece.
func (p pattern) split(re *regexp.Regexp, s string) []string {
	var out []string
	for s != "" {
		at := re.FindStringIndex(s)
		if at == nil {
			return append(out, s)
		}
		if at[0] > 0 {
			out = append(out, s[:at[0]])
		}
		match := s[at[0]:at[1]]
		blank := strings.TrimFunc(match, isWhite) == ""
		lines := strings.Contains(p.expr, `\s*[\r\n]+`) && strings.ContainsAny(match, "\r\n")
		if p.words && blank && !lines && at[1] < len(s) {
			// \s+(?!\S) leaves the last space to the word that follows, if there are two.
			if _, n := utf8.DecodeLastRuneInString(match); n < len(match) {
				match = match[:len(match)-n]
			}
		}
		out = append(out, match)
		s = s[at[0]+len(match):]
	}
	return out
}

func isWhite(r rune) bool { return classOf(r).is(isSpace) }

const (
	gpt2Expr   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`
	llama3Expr = `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+`
	// White space in a class of llama.cpp's wide expressions does not match.
	eastAsian = `[\x{800}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}` +
		`\x{3001}-\x{9FA5}\x{AC00}-\x{D7FF}]+`
)

var splitTests = map[string][]pattern{
	"gpt-2":     {{gpt2Expr, true}},
	"llama-bpe": {{llama3Expr, true}},
	"qwen2":     {{strings.Replace(llama3Expr, "{1,3}", "", 1), true}},
	"smollm":    {{`\p{N}`, false}, {gpt2Expr, true}},
	"default": {
		{`[\p{P}\$\+<=>\^~\|]+`, false}, {gpt2Expr, true}, {`\p{N}+`, false}, {`[0-9][0-9][0-9]`, false},
	},
	"falcon": {{"[\\p{P}\\$\\+<=>\\^~\\|`]+", false}, {gpt2Expr, true}, {`[0-9][0-9][0-9]`, false}},
	"deepseek-coder": {
		{`[\r\n]`, false}, {`\s?\p{L}+`, false}, {`\s?\p{P}+`, false}, {eastAsian, false}, {`\p{N}`, false},
	},
	"deepseek-llm": {
		{`[\r\n]`, false},
		{`\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+`, false}, // up to Armenian, as are the texts
		{`\s?[!-/:-~！-／：-～‘-‟、-。]+`, false},
		{`\s+$`, false},
		{eastAsian, false},
		{`\p{N}+`, false},
	},
}

// TestSplitLikeTheExpressions compares the scanners with the regular expressions that they stand for.
func TestSplitLikeTheExpressions(t *testing.T) {
	units := []string{
		"a", "B", "hello", "é", "ß", "Ж", "中", "字", "か", "가", "e\u0301", "\u0301", "1", "22", "4444", "½", "²", "٣", "'s",
		"'S", "'re", "'LL", "'", "\"", ".", ",", "!", "«", "。", "、", "！", "…", "$", "+", "<", "`", "^", "€", "™", "😀", "👩‍💻",
		" ", " ", " ", "  ", "   ", "\t", "\n", "\n", "\r\n", "\v", "\u00a0", "\u0085", "\u2003", "\u3000", "\u2028", "\x00", "\x1f",
		"\u200b", "\ufffd", "\u0378", "\ue000",
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for name, patterns := range splitTests {
		t.Run(name, func(t *testing.T) {
			rule, err := preTokenizer(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(rule.passes) != len(patterns) {
				t.Fatalf("%d passes, %d expressions", len(rule.passes), len(patterns))
			}
			var compiled []*regexp.Regexp
			for _, p := range patterns {
				compiled = append(compiled, p.compile())
			}
			for range 5000 {
				var b strings.Builder
				for range 1 + rng.IntN(12) {
					b.WriteString(units[rng.IntN(len(units))])
				}
				got, want := []string{b.String()}, []string{b.String()}
				for i, p := range patterns {
					got = apply(got, func(s string) []string { return splitAll(rule.passes[i], s) })
					want = apply(want, func(s string) []string { return p.split(compiled[i], s) })
					if !slices.Equal(got, want) {
						t.Fatalf("%q, pass %d: got %q, want %q", b.String(), i, got, want)
					}
				}
			}
		})
	}
}

func apply(pieces []string, f func(string) []string) []string {
	var out []string
	for _, s := range pieces {
		out = append(out, f(s)...)
	}
	return out
}

func splitAll(f splitter, s string) []string {
	var out []string
	for s != "" {
		n := f(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

// TestEveryPreTokenizerSplitsAnything cuts well-formed text of any kind into pieces that are not empty and lose
// nothing.
func TestEveryPreTokenizerSplitsAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, rule := range preRules {
		for range 500 {
			text := make([]byte, rng.IntN(40))
			for i := range text {
				text[i] = byte(rng.IntN(256))
			}
			s := wellFormed(string(text))
			pieces := []string{s}
			for _, pass := range rule.passes {
				pieces = apply(pieces, func(s string) []string { return splitAll(pass, s) })
			}
			if strings.Join(pieces, "") != s || slices.Contains(pieces[:max(len(pieces)-1, 0)], "") {
				t.Fatalf("%q: %q becomes %q", rule.names, s, pieces)
			}
		}
	}
}

// TestSplittersTakeLinearTime splits a quarter of a megabyte of what backtracking expressions are slow at. A scanner
// that read it again for each piece would take much longer than is allowed here.
func TestSplittersTakeLinearTime(t *testing.T) {
	const size = 1 << 18
	for _, unit := range []string{
		"a", "A", " ", "\t", "\u0301", "\ufffd", "'", "1", "\n", "\n ", " \n", "   a", "a   ", "'s", ".", "中", "\u3000", "`", "1a",
		"\u3000中", " .", " 1", "\r\n\t",
	} {
		text := strings.Repeat(unit, size/len(unit))
		for name := range splitTests {
			rule, err := preTokenizer(name)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if n := pieceBytes(text, rule.passes); n != len(text) {
				t.Errorf("%s: %q: %d of %d bytes", name, unit, n, len(text))
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s: %q takes %v", name, unit, took)
			}
		}
	}
}

// pieceBytes splits s by all passes and returns the bytes that come out.
func pieceBytes(s string, passes []splitter) int {
	if len(passes) == 0 {
		return len(s)
	}
	total := 0
	for s != "" {
		n := passes[0](s)
		total += pieceBytes(s[:n], passes[1:])
		s = s[n:]
	}
	return total
}
