package model_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/realm-ai/realm/internal/gguf"
)

// The goldens of llama.cpp stand in testdata: llama_greedy.json and llama_text.json are what tools/goldens/llama.py
// writes, llama_exact.json what TestMakeGoldens below makes of llama.cpp's logits. The head of the script has the
// commands and the versions.

// greedyGoldens is testdata/llama_greedy.json.
type greedyGoldens struct {
	Reference   string         `json:"reference"`
	ModelSHA256 string         `json:"model_sha256"`
	Positions   int            `json:"positions"` // after each prompt
	Prompts     []greedyPrompt `json:"prompts"`
}

// greedyPrompt is a prompt and what llama.cpp continues it with: Greedy[i] is the argmax of the logits that follow
// Tokens and Greedy[:i], and Second[i] the runner-up.
type greedyPrompt struct {
	Name         string    `json:"name"`
	Kind         string    `json:"kind"` // "raw" or "chat"
	Text         string    `json:"text"` // as tokenized, so with the template applied
	Tokens       []int32   `json:"tokens"`
	Greedy       []int32   `json:"greedy"`
	GreedyLogits []float64 `json:"greedy_logits"`
	Second       []int32   `json:"second"`
	SecondLogits []float64 `json:"second_logits"`
}

// fed is what goes into a model so that its last len(Greedy) positions predict Greedy.
func (p *greedyPrompt) fed() []int32 {
	return append(append([]int32(nil), p.Tokens...), p.Greedy[:len(p.Greedy)-1]...)
}

// textGoldens is testdata/llama_text.json.
type textGoldens struct {
	Reference   string  `json:"reference"`
	ModelSHA256 string  `json:"model_sha256"`
	Tokens      []int32 `json:"tokens"`
}

// exactGoldens is testdata/llama_exact.json: how far llama.cpp is from exact arithmetic.
type exactGoldens struct {
	MadeBy      string           `json:"made_by"`
	Reference   string           `json:"reference"`
	ModelSHA256 string           `json:"model_sha256"`
	Prompts     []promptDistance `json:"prompts"` // those of greedyGoldens, in order
	Text        textErrors       `json:"text"`
}

// promptDistance has one entry for each golden position of a prompt.
type promptDistance struct {
	Name string `json:"name"`
	// Exact is the argmax of the exact logits.
	Exact []int32 `json:"exact"`
	// Distance is the largest |llama.cpp's logit - exact logit| over the vocabulary.
	Distance []short `json:"distance"`
	// Near has the tokens whose logit by llama.cpp is less than Distance below that of its choice.
	Near [][]int32 `json:"near"`
}

// textErrors has one entry for each position of the text, or, where it speaks of the next token, for each but the last.
type textErrors struct {
	Energy         []short `json:"energy"`          // sum over the vocabulary of (exact logit)^2
	LlamaError     []short `json:"llama_error"`     // sum over the vocabulary of (llama.cpp's logit - exact logit)^2
	ExactSurprisal []short `json:"exact_surprisal"` // -ln of the probability of the next token
	LlamaSurprisal []short `json:"llama_surprisal"` // the same by llama.cpp's logits
}

// short is a float64 written with seven digits.
type short float64

func (x short) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(x), 'g', 7, 64), nil
}

// loadGoldens decodes a file of testdata.
func loadGoldens(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// hashFile is the SHA-256 of a file in hexadecimal digits, computed once for each path.
var hashFile = func() func(path string) (string, error) {
	var known sync.Map
	return func(path string) (string, error) {
		if digest, ok := known.Load(path); ok {
			return digest.(string), nil
		}
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		hash := sha256.New()
		if _, err := io.Copy(hash, file); err != nil {
			return "", err
		}
		digest := hex.EncodeToString(hash.Sum(nil))
		known.Store(path, digest)
		return digest, nil
	}
}()

// openRealModel opens the model that the goldens were made with, or skips the test where it is not at hand.
func openRealModel(t testing.TB, digest string) *gguf.File {
	t.Helper()
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		path = filepath.Join("..", "..", "build", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
		if _, err := os.Stat(path); err != nil {
			t.Skip("no model: set REALM_MODEL, or let `make demo` fetch it")
		}
	}
	got, err := hashFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != digest {
		t.Skipf("%s is not the model of the goldens: SHA-256 %s, not %s", path, got, digest)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// argmax is the index of the largest value, the first of equals.
func argmax[T float32 | float64](x []T) int {
	best := 0
	for i := range x {
		if x[i] > x[best] {
			best = i
		}
	}
	return best
}

// surprisal is -ln softmax(logits)[token].
func surprisal[T float32 | float64](logits []T, token int32) float64 {
	largest := float64(logits[argmax(logits)])
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - largest)
	}
	return math.Log(sum) + largest - float64(logits[token])
}

// squaredError is the sum of (x - exact)^2, and energy the sum of exact^2.
func squaredError(x []float32, exact []float64) (squared, energy float64) {
	for i, e := range exact {
		d := float64(x[i]) - e
		squared += d * d
		energy += e * e
	}
	return squared, energy
}

// TestMakeGoldens writes testdata/llama_exact.json from the logits that tools/goldens/llama.py has left in the folder
// that REALM_GOLDENS names. It takes a few minutes of exact arithmetic.
func TestMakeGoldens(t *testing.T) {
	folder := os.Getenv("REALM_GOLDENS")
	if folder == "" {
		t.Skip("makes goldens: REALM_GOLDENS names the folder of llama.cpp's logits")
	}
	var greedy greedyGoldens
	loadGoldens(t, "llama_greedy.json", &greedy)
	var text textGoldens
	loadGoldens(t, "llama_text.json", &text)
	f := openRealModel(t, greedy.ModelSHA256)
	r := newReference(t, f)
	exact := exactGoldens{
		MadeBy:      "TestMakeGoldens of internal/model",
		Reference:   greedy.Reference,
		ModelSHA256: greedy.ModelSHA256,
	}
	for _, p := range greedy.Prompts {
		hidden := r.hidden(p.fed())
		d := promptDistance{Name: p.Name}
		golden := hidden[len(hidden)-greedy.Positions:]
		eachLogits(t, r, golden, logitsFile(folder, p.Name), func(_ int, llama []float32, exact []float64) {
			furthest := 0.0
			for i := range exact {
				furthest = max(furthest, math.Abs(float64(llama[i])-exact[i]))
			}
			near := []int32{}
			best := argmax(llama)
			for i := range llama {
				if i != best && float64(llama[best]-llama[i]) < furthest {
					near = append(near, int32(i))
				}
			}
			d.Exact = append(d.Exact, int32(argmax(exact)))
			d.Distance = append(d.Distance, short(furthest))
			d.Near = append(d.Near, near)
		})
		exact.Prompts = append(exact.Prompts, d)
		t.Logf("%s: %d tokens", p.Name, len(p.Tokens))
	}
	e := &exact.Text
	eachLogits(t, r, r.hidden(text.Tokens), logitsFile(folder, "text"), func(i int, llama []float32, exact []float64) {
		squared, energy := squaredError(llama, exact)
		e.LlamaError = append(e.LlamaError, short(squared))
		e.Energy = append(e.Energy, short(energy))
		if i+1 < len(text.Tokens) {
			e.ExactSurprisal = append(e.ExactSurprisal, short(surprisal(exact, text.Tokens[i+1])))
			e.LlamaSurprisal = append(e.LlamaSurprisal, short(surprisal(llama, text.Tokens[i+1])))
		}
	})
	if err := os.WriteFile(filepath.Join("testdata", "llama_exact.json"), encodeExact(t, &exact), 0o644); err != nil {
		t.Fatal(err)
	}
}

// logitsFile is where llama.py leaves the logits of a prompt.
func logitsFile(folder, name string) string { return filepath.Join(folder, name+".f32") }

// eachLogits calls f for each row of normed hidden states with llama.cpp's logits, read from a file of little-endian
// float32, and the exact ones.
func eachLogits(
	t *testing.T, r *reference, hidden [][]float64, path string, f func(i int, llama []float32, exact []float64),
) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	const rows = 64 // at a time, to keep the logits in exact arithmetic from filling the memory
	for start := 0; start < len(hidden); start += rows {
		for i, exact := range r.logits(hidden[start:min(start+rows, len(hidden))]) {
			llama := make([]float32, len(exact))
			if err := binary.Read(in, binary.LittleEndian, llama); err != nil {
				t.Fatalf("%s: row %d: %v", path, start+i, err)
			}
			f(start+i, llama, exact)
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Fatalf("%s: more than %d rows", path, len(hidden))
	}
}

// encodeExact writes each list of numbers on a line of its own, which keeps diffs readable.
func encodeExact(t *testing.T, g *exactGoldens) []byte {
	t.Helper()
	data, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte(`],"`), []byte("],\n\""))
	data = bytes.ReplaceAll(data, []byte(`},{`), []byte("},\n{"))
	return append(data, '\n')
}
