package tokenizer_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/realm-ai/realm/internal/tokenizer"
)

// golden is testdata/llama_cpp.json, what testdata/make_golden.py has llama.cpp say about random texts.
type golden struct {
	Words   []string  `json:"words"`
	Bits    []string  `json:"bits"`
	Ranges  [][2]rune `json:"ranges"`
	Block   int       `json:"block"` // texts per hash
	Results []result  `json:"results"`
}

type result struct {
	Vocab   string           `json:"vocab"` // a fixture, or "model"
	Pre     string           `json:"pre"`   // replaces the pre-tokenizer of the file if not empty
	Seed    uint64           `json:"seed"`
	Blocks  []string         `json:"blocks"` // the start of a SHA-256 in hexadecimal
	EOG     []int32          `json:"eog"`
	Special map[string]int32 `json:"special"`
	AddBOS  bool             `json:"add_bos"`
	AddEOS  bool             `json:"add_eos"`
}

func (r *result) name() string { return r.Vocab + "." + r.Pre }

func (r *result) load(tb testing.TB) *tokenizer.Tokenizer {
	tb.Helper()
	if r.Vocab == "model" {
		return load(tb, realModel(tb), r.Pre)
	}
	return load(tb, fixture(tb, r.Vocab), r.Pre)
}

func readGolden(tb testing.TB) *golden {
	tb.Helper()
	var g golden
	if err := json.Unmarshal([]byte(readFile(tb, filepath.Join("testdata", "llama_cpp.json"))), &g); err != nil {
		tb.Fatal(err)
	}
	return &g
}

// textGenerator makes the same texts as the Generator of testdata/make_golden.py.
type textGenerator struct {
	*golden
	state uint64
}

// below is the next number of SplitMix64, modulo n.
func (g *textGenerator) below(n int) int {
	g.state += 0x9E3779B97F4A7C15
	z := g.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(n))
}

func (g *textGenerator) text() string {
	var out []byte
	for range 1 + g.below(24) {
		switch kind := g.below(16); {
		case kind < 4:
			out = append(out, g.Words[g.below(len(g.Words))]...)
		case kind < 6:
			out = append(out, g.Bits[g.below(len(g.Bits))]...)
		case kind < 9:
			out = append(out, ' ')
		case kind < 14:
			between := g.Ranges[g.below(len(g.Ranges))]
			for range 1 + g.below(4) {
				out = appendRune(out, between[0]+rune(g.below(int(between[1]-between[0])+1)))
			}
		case kind == 14:
			c := []byte{byte(0x09 + g.below(0x18))}
			out = append(out, bytes.Repeat(c, 1+g.below(3))...)
		default:
			for range 1 + g.below(3) {
				b := byte(0x80 + g.below(0x80))
				if 0xF4 <= b && b <= 0xF7 {
					b = 0xC0
				}
				out = append(out, b)
			}
		}
	}
	return string(out)
}

// appendRune appends the UTF-8 of a code point, which may be a surrogate.
func appendRune(out []byte, r rune) []byte {
	switch {
	case r < 0x80:
		return append(out, byte(r))
	case r < 0x800:
		return append(out, 0xC0|byte(r>>6), 0x80|byte(r&0x3F))
	case r < 0x10000:
		return append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6&0x3F), 0x80|byte(r&0x3F))
	}
	return append(out, 0xF0|byte(r>>18), 0x80|byte(r>>12&0x3F), 0x80|byte(r>>6&0x3F), 0x80|byte(r&0x3F))
}

// line is the result for the i-th text, as make_golden.py writes it.
func line(tb testing.TB, tok *tokenizer.Tokenizer, text string, i int) []byte {
	add, parse := i&1 != 0, i&2 != 0
	ids, err := tok.Encode(nil, text, tokenizer.EncodeOptions{AddSpecial: add, ParseSpecial: parse})
	if err != nil {
		tb.Fatal(err)
	}
	var out []byte
	for j, id := range ids {
		if j > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(id), 10)
	}
	decoded := tok.Decode(ids, tokenizer.DecodeOptions{RemoveSpecial: add, Special: parse, CleanSpaces: true})
	return append(hex.AppendEncode(append(out, ' '), []byte(decoded)), '\n')
}

// TestAgainstLlamaCpp compares with the committed hashes.
func TestAgainstLlamaCpp(t *testing.T) {
	g := readGolden(t)
	for _, r := range g.Results {
		t.Run(r.name(), func(t *testing.T) {
			t.Parallel()
			tok := r.load(t)
			texts := textGenerator{golden: g, state: r.Seed}
			for i, want := range r.Blocks {
				hash := sha256.New()
				for j := range g.Block {
					hash.Write(line(t, tok, texts.text(), i*g.Block+j))
				}
				if got := hex.EncodeToString(hash.Sum(nil))[:len(want)]; got != want {
					t.Errorf("texts %d to %d: hash %s, want %s (find the text with make_golden.py --dump and TestDump)",
						i*g.Block, (i+1)*g.Block-1, got, want)
				}
			}
			if got := tok.EndOfGeneration(); !slices.Equal(got, r.EOG) {
				t.Errorf("end of generation: got %v, want %v", got, r.EOG)
			}
			s := tok.Special()
			got := map[string]int32{"bos": s.BOS, "eos": s.EOS, "eot": s.EOT, "sep": s.SEP, "pad": s.PAD, "mask": s.MASK}
			for name, want := range r.Special {
				if got[name] != want {
					t.Errorf("%s: got %d, want %d", name, got[name], want)
				}
			}
			if tok.AddsBOS() != r.AddBOS || tok.AddsEOS() != r.AddEOS && tok.Model() != tokenizer.WPM {
				t.Errorf("adds BOS %v, EOS %v; want %v, %v", tok.AddsBOS(), tok.AddsEOS(), r.AddBOS, r.AddEOS)
			}
		})
	}
}

// TestDump compares one by one with what make_golden.py --dump has written, where there is any.
func TestDump(t *testing.T) {
	folder := os.Getenv("REALM_TOKENIZER_DUMP")
	if folder == "" {
		t.Skip("REALM_TOKENIZER_DUMP is not set")
	}
	g := readGolden(t)
	for _, r := range g.Results {
		t.Run(r.name(), func(t *testing.T) {
			file, err := os.Open(filepath.Join(folder, r.name()+".txt"))
			if err != nil {
				t.Skip(err)
			}
			defer file.Close()
			tok := r.load(t)
			texts := textGenerator{golden: g, state: r.Seed}
			lines := bufio.NewReader(file)
			n, failures := 0, 0
			for ; failures < 10; n++ {
				want, err := lines.ReadBytes('\n')
				if err != nil {
					break
				}
				text := texts.text()
				if got := line(t, tok, text, n); !bytes.Equal(got, want) {
					t.Errorf("text %d, %q:\n got %s\nwant %s", n, text, got, want)
					failures++
				}
			}
			t.Logf("%d texts compared", n)
		})
	}
}
