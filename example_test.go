package realm_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/synth"
)

// tinyModel writes a small synthetic model, which answers nonsense, and returns its path.
func tinyModel() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "realm-example-")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "tiny.gguf")
	if err := synth.WriteFile(context.Background(), path, "tiny-llama-q8_0", synth.Options{}); err != nil {
		log.Fatal(err)
	}
	return path, func() { _ = os.RemoveAll(dir) }
}

func Example() {
	path, remove := tinyModel()
	defer remove()

	m, err := realm.Open(path, realm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	request := realm.Request{
		Messages:  []realm.Message{{Role: "user", Content: "What is the capital of France?"}},
		MaxTokens: 5,
	}
	text := ""
	for chunk, err := range s.Generate(context.Background(), request) {
		if err != nil {
			log.Fatal(err)
		}
		text += chunk.Text
		if chunk.Finish != "" {
			fmt.Println(chunk.Finish, "after", chunk.Usage.CompletionTokens, "tokens")
		}
	}
	// Output: length after 5 tokens
}

// Tenants share a model: it is opened once, however often it is stored.
func ExampleStore() {
	path, remove := tinyModel()
	defer remove()
	ctx := context.Background()

	store := realm.NewStore(realm.StoreOptions{MaxBytes: 8 << 30})
	defer store.Close()
	for range 2 {
		if _, err := store.StoreFile(ctx, path); err != nil {
			log.Fatal(err)
		}
	}
	for _, stored := range store.Models() {
		m, err := store.Model(ctx, stored.ID)
		if err != nil {
			log.Fatal(err)
		}
		defer m.Close()
		norm := make([]float32, m.Info().Hidden)
		if err := m.Tensor(ctx, "output_norm.weight", norm); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d references, %d holder, %d norms\n", stored.References, stored.Holds+1, len(norm))
	}
	// Output: 2 references, 1 holder, 256 norms
}

// A second prompt that begins with the first one and its answer is computed from there.
func ExampleSession_Generate() {
	path, remove := tinyModel()
	defer remove()
	m, err := realm.Open(path, realm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	greedy := realm.Sampling{}
	prompt := []int32{72, 101, 108, 108, 111}
	for range 2 {
		for chunk, err := range s.Generate(context.Background(), realm.Request{Tokens: prompt, MaxTokens: 3, Sampling: &greedy}) {
			if err != nil {
				log.Fatal(err)
			}
			if chunk.Token >= 0 {
				prompt = append(prompt, chunk.Token)
			}
			if chunk.Finish != "" {
				fmt.Println(chunk.Usage.PromptTokens, "tokens,", chunk.Usage.CachedTokens, "of them cached")
			}
		}
	}
	// Output:
	// 5 tokens, 0 of them cached
	// 8 tokens, 7 of them cached
}

// The pass in pieces gives the logits of Forward, to the last bit.
func ExampleSession_ForwardLayer() {
	path, remove := tinyModel()
	defer remove()
	m, err := realm.Open(path, realm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	ctx, info, tokens := context.Background(), m.Info(), []int32{1, 2, 3}

	whole, err := m.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	want, err := whole.Forward(ctx, tokens, 0)
	if err != nil {
		log.Fatal(err)
	}

	pieces, err := m.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	hidden := make([]float32, len(tokens)*info.Hidden)
	if err := pieces.Embed(tokens, hidden); err != nil {
		log.Fatal(err)
	}
	for layer := range info.Layers {
		if err := pieces.ForwardLayer(ctx, layer, hidden, 0); err != nil {
			log.Fatal(err)
		}
	}
	logits := make([]float32, info.Vocab)
	if err := pieces.Logits(hidden[2*info.Hidden:], logits); err != nil {
		log.Fatal(err)
	}
	equal := true
	for i := range want {
		equal = equal && want[i] == logits[i]
	}
	fmt.Println(len(logits), "logits, equal:", equal)
	// Output: 300 logits, equal: true
}

func ExampleTokenizer() {
	path, remove := tinyModel()
	defer remove()
	t, err := realm.OpenTokenizer(path, "")
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := t.Encode("Hello, Wörld", realm.EncodeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Decode(tokens, false))
	// Output: Hello, Wörld
}

func ExampleCodeOf() {
	_, err := realm.Open("no-such-model.gguf", realm.Options{})
	fmt.Println(realm.CodeOf(err).Name(), errors.Is(err, realm.CodeNotFound))
	// Output: NOT_FOUND true
}
