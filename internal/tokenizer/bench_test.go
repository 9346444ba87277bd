package tokenizer_test

import (
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/tokenizer"
)

// mixedText makes n bytes of English, code, Chinese, Japanese, Russian and emoji. The words of each follow a skewed
// distribution, as in real text, with made-up words among them that no vocabulary has whole.
func mixedText(n int) string {
	english := strings.Fields("the of and to in a is that for it as was with be by on not he his but at are this have " +
		"from or had an they which one you were all her she there would their we him been has when who will no more if " +
		"out so said what up its about into than them can only other new some could time these two may then do first " +
		"any my now such like our over man me even most made after also did many before must through years where much " +
		"tokenizer unbelievable sesquipedalian incomprehensibilities Constantinople don't we're it's they'll")
	code := []string{
		"for i := 0; i < len(xs); i++ {\n\t\tsum += xs[i] * 0x1F\n\t}\n", "if err != nil {\n\treturn nil, err\n}\n",
		"def __init__(self, name: str = \"world\"):\n        self.name = name\n", "SELECT id, name FROM users WHERE id >= 1024;\n",
		"<div class=\"item\">&nbsp;</div>\n", "const x = async () => await fetch(`/api/${id}`);\n",
	}
	chinese := []rune("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经")
	japanese := []rune("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんアイウエオカキクケコ日本語東京")
	russian := strings.Fields("и в не на я быть он с что а по это она этот к но они мы весь который из у свой человек год время рука")
	emoji := []string{"😀", "🚀", "👩‍💻", "🏳️‍🌈", "👍🏽", "❤️", "🇫🇷"}

	g := textGenerator{state: 1}
	skewed := func(n int) int { return g.below(g.below(n) + 1) }
	var b strings.Builder
	for b.Len() < n {
		switch g.below(10) {
		case 0, 1, 2, 3, 4:
			for range 20 + g.below(40) {
				b.WriteString(english[skewed(len(english))])
				if g.below(40) == 0 {
					for range 3 + g.below(8) {
						b.WriteByte(byte('a' + g.below(26)))
					}
				}
				b.WriteString([]string{" ", " ", " ", " ", " ", " ", ", ", ". "}[g.below(8)])
			}
			b.WriteString("\n\n")
		case 5, 6:
			b.WriteString(strings.Repeat("    ", g.below(4)))
			b.WriteString(code[g.below(len(code))])
		case 7:
			for range 10 + g.below(40) {
				b.WriteRune(chinese[skewed(len(chinese))])
			}
			b.WriteString("。\n")
		case 8:
			for range 10 + g.below(40) {
				b.WriteRune(japanese[skewed(len(japanese))])
			}
		default:
			for range 10 + g.below(10) {
				b.WriteString(russian[skewed(len(russian))] + " ")
			}
			b.WriteString(emoji[g.below(len(emoji))] + " " + "12345678 3.14159\n")
		}
	}
	return strings.ToValidUTF8(b.String()[:n], "")
}

// BenchmarkEncode tokenizes 1 MB of mixed text on one thread.
func BenchmarkEncode(b *testing.B) {
	text := mixedText(1 << 20)
	for _, r := range []result{
		{Vocab: "llama-spm"},
		{Vocab: "bert-bge"},
		{Vocab: "model"},
		{Vocab: "gpt-2"},
		{Vocab: "gpt-2", Pre: "default"},
		{Vocab: "gpt-2", Pre: "llama-bpe"},
		{Vocab: "gpt-2", Pre: "qwen2"},
		{Vocab: "gpt-2", Pre: "falcon"},
		{Vocab: "gpt-2", Pre: "deepseek-coder"},
		{Vocab: "deepseek-llm"},
	} {
		b.Run(r.name(), func(b *testing.B) {
			tok := r.load(b)
			b.SetBytes(int64(len(text)))
			var ids []int32
			for b.Loop() {
				ids, _ = tok.Encode(ids[:0], text, tokenizer.EncodeOptions{})
			}
			b.ReportMetric(float64(len(ids)), "tokens")
		})
	}
}

// BenchmarkNew makes a tokenizer from metadata that is in memory.
func BenchmarkNew(b *testing.B) {
	for _, name := range fixtureNames {
		b.Run(name, func(b *testing.B) {
			md := readMetadata(b, fixture(b, name))
			for b.Loop() {
				v, err := tokenizer.VocabFromMetadata(md, "")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := tokenizer.New(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecode decodes the tokens of 1 MB of text one by one.
func BenchmarkDecode(b *testing.B) {
	text := mixedText(1 << 20)
	for _, name := range []string{"llama-spm", "gpt-2"} {
		b.Run(name, func(b *testing.B) {
			tok := load(b, fixture(b, name), "")
			ids := encode(b, tok, text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				d := tok.NewDecoder(false)
				for _, id := range ids {
					d.Push(id)
				}
				d.Flush()
			}
		})
	}
}
