package tokenizer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/tokenizer"
)

// root is the root of the repository, where fixtures and the model are found from.
const root = "../.."

// fixtureNames are the vocabularies in ../shared/fixtures/tokenizer: llama.cpp's ggml-vocab-*.gguf with its texts
// (.inp) and the ids that the original tokenizers give (.out).
var fixtureNames = []string{"bert-bge", "deepseek-llm", "gpt-2", "llama-spm", "phi-3"}

// fixturePath is the path of the vocabulary called NAME.
var fixturePath = filepath.Join(root, "..", "shared", "fixtures", "tokenizer", "ggml-vocab-NAME.gguf")

// fixture is the path of a vocabulary. The test is skipped where the fixtures are not.
func fixture(tb testing.TB, name string) string {
	tb.Helper()
	path := strings.Replace(fixturePath, "NAME", name, 1)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("no tokenizer fixtures: %v", err)
	}
	return path
}

// realModel is the path of the SmolLM2 model. The test is skipped where it is not.
func realModel(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		path = filepath.Join(root, "build", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("no model (REALM_MODEL or make demo): %v", err)
	}
	return path
}

// load makes the tokenizer of a GGUF file, with another pre-tokenizer if pre is not empty.
func load(tb testing.TB, path, pre string) *tokenizer.Tokenizer {
	tb.Helper()
	t, err := tokenizer.New(loadVocab(tb, path, pre))
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func loadVocab(tb testing.TB, path, pre string) *tokenizer.Vocab {
	tb.Helper()
	v, err := tokenizer.VocabFromMetadata(readMetadata(tb, path), pre)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// readMetadata opens a GGUF file.
func readMetadata(tb testing.TB, path string) *gguf.File {
	tb.Helper()
	file, err := gguf.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	return file
}

// encode encodes without options.
func encode(tb testing.TB, t *tokenizer.Tokenizer, text string) []int32 {
	tb.Helper()
	ids, err := t.Encode(nil, text, tokenizer.EncodeOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return ids
}

// TestFixtures reads the files as tests/test-tokenizer-0.cpp of llama.cpp does.
func TestFixtures(t *testing.T) {
	for _, name := range fixtureNames {
		t.Run(name, func(t *testing.T) {
			path := fixture(t, name)
			tok := load(t, path, "")
			const separator = "\n__ggml_vocab_test__\n"
			inputs := strings.Split(strings.TrimSuffix(readFile(t, path+".inp"), separator), separator)
			outputs := strings.Split(strings.TrimSuffix(readFile(t, path+".out"), "\n"), "\n")
			if len(inputs) != len(outputs) || len(inputs) < 40 {
				t.Fatalf("%d texts and %d lists of ids", len(inputs), len(outputs))
			}
			for i, text := range inputs {
				var want []int32
				for _, field := range strings.Fields(outputs[i]) {
					var id int32
					if _, err := fmt.Sscan(field, &id); err != nil {
						t.Fatal(err)
					}
					want = append(want, id)
				}
				if got := encode(t, tok, text); !slices.Equal(got, want) {
					t.Errorf("text %d, %q:\n got %v\nwant %v", i, text, got, want)
				}
			}
		})
	}
}

func readFile(tb testing.TB, path string) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}
