package realm_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm"
)

// stored is a model for a store, and what it answers.
type stored struct {
	path   string
	data   []byte
	answer []int32
	norm   []float32 // its tensor output_norm.weight
}

func newStored(t *testing.T, shape string) stored {
	t.Helper()
	s := stored{path: tiny(t, shape)}
	old := time.Now().Add(-time.Hour) // so that its digest is remembered
	err := os.Chtimes(s.path, old, old)
	if err == nil {
		s.data, err = os.ReadFile(s.path)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, s.path)
	if s.answer, err = answer(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	s.norm = make([]float32, m.Info().Hidden)
	if err := m.Tensor(t.Context(), "output_norm.weight", s.norm); err != nil {
		t.Fatal(err)
	}
	return s
}

// answer generates a few tokens.
func answer(ctx context.Context, m *realm.Model) ([]int32, error) {
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var tokens []int32
	for c, err := range s.Generate(ctx, realm.Request{
		Prompt: "Once", MaxTokens: 3, Sampling: &realm.Sampling{}, IgnoreEndOfGeneration: true,
	}) {
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, c.Token)
	}
	return tokens, nil
}

// TestStoreHammer stores, reads, runs and removes models from many goroutines at once, in a store that has room for two of
// three. Whatever answers, answers right.
func TestStoreHammer(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 8
	}
	all := []stored{newStored(t, "tiny-llama-q4_0"), newStored(t, "tiny-llama-q8_0"), newStored(t, "tiny-qwen3-q4_k")}
	largest := 0
	for _, m := range all {
		largest = max(largest, len(m.data))
	}
	before := runtime.NumGoroutine()
	store := realm.NewStore(realm.StoreOptions{Model: realm.Options{Threads: 1}, MaxBytes: int64(2 * largest)})
	ids := make([]uint32, len(all))
	for i, m := range all {
		var err error
		if ids[i], err = store.StoreFile(t.Context(), m.path); err != nil {
			t.Fatal(err)
		}
	}
	use := func(ctx context.Context, rng *rand.Rand) error {
		i := rng.IntN(len(all))
		m, id := all[i], ids[i]
		switch rng.IntN(6) {
		case 0, 1:
			got, err := store.StoreFile(ctx, m.path)
			if err == nil && got != id {
				t.Errorf("ID %08x by path, want %08x", got, id)
			}
			return err
		case 2:
			got, err := store.StoreBytes(ctx, m.data)
			if err == nil && got != id {
				t.Errorf("ID %08x by bytes, want %08x", got, id)
			}
			return err
		case 3:
			held, err := store.Model(ctx, id)
			if err != nil {
				return err
			}
			defer held.Close()
			tokens, err := answer(ctx, held)
			if err == nil && !slices.Equal(tokens, m.answer) {
				t.Errorf("%s answers %v, want %v", m.path, tokens, m.answer)
			}
			if err != nil {
				t.Errorf("a model that is held: %v", err)
			}
			return err
		case 4:
			norm := make([]float32, len(m.norm))
			err := store.Tensor(ctx, id, "output_norm.weight", norm)
			if err == nil && !slices.Equal(norm, m.norm) {
				t.Errorf("%s: other weights", m.path)
			}
			return err
		}
		if info, err := store.Info(ctx, id); err == nil && info.FileBytes != int64(len(m.data)) {
			t.Errorf("%+v", info)
		}
		return store.Remove(id)
	}
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			for range rounds {
				if err := use(t.Context(), rng); err != nil && !errors.Is(err, realm.CodeNotFound) && !errors.Is(err, realm.CodeOutOfMemory) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, m := range store.Models() {
		if m.Holds != 0 || m.References < 1 {
			t.Errorf("%+v", m)
		}
		for range m.References {
			if err := store.Remove(m.ID); err != nil {
				t.Error(err)
			}
		}
	}
	if left := store.Models(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// TestStoreOnce stores a model by path and by bytes: it is one, with the ID that Open gives it too.
func TestStoreOnce(t *testing.T) {
	m := newStored(t, "tiny-llama-q4_0")
	store := realm.NewStore(realm.StoreOptions{})
	defer store.Close()
	first, err := store.StoreBytes(t.Context(), m.data)
	if err != nil {
		t.Fatal(err)
	}
	clear(m.data) // nobody refers to it any more
	second, err := store.StoreFile(t.Context(), m.path)
	if err != nil || second != first {
		t.Errorf("%08x by bytes, %08x by path, %v", first, second, err)
	}
	opened := open(t, m.path)
	if id, err := opened.ID(t.Context()); err != nil || id != first {
		t.Errorf("%08x opened, %v", id, err)
	}
	models := store.Models()
	if digest, _ := opened.Digest(t.Context(), nil); len(models) != 1 || models[0].References != 2 || models[0].Digest != digest {
		t.Errorf("%+v", models)
	}
	info, err := store.Info(t.Context(), first)
	want := opened.Info()
	if err != nil || info != want || info.TensorCount != len(opened.Tensors()) || info.TensorBytes >= info.FileBytes {
		t.Errorf("%+v, %v, want %+v", info, err, want)
	}
	held, err := store.Model(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if tokens, err := answer(t.Context(), held); err != nil || !slices.Equal(tokens, m.answer) {
		t.Errorf("%v, %v, want %v", tokens, err, m.answer)
	}
	// A tensor that is packed by now, against one that is not.
	for _, tensor := range opened.Tensors() {
		n := uint64(1)
		for _, d := range tensor.Shape {
			n *= d
		}
		a, b := make([]float32, n), make([]float32, n)
		if err := errors.Join(held.Tensor(t.Context(), tensor.Name, a), opened.Tensor(t.Context(), tensor.Name, b)); err != nil {
			t.Error(err)
		} else if !slices.Equal(a, b) {
			t.Errorf("%s: other weights", tensor.Name)
		}
	}
	err = store.Tensor(t.Context(), first, "output_nrom.weight", nil)
	if !errors.Is(err, realm.CodeNotFound) || !strings.Contains(err.Error(), `"output_norm.weight"`) {
		t.Errorf("a tensor that is none: %v", err)
	}
}

// TestStoreRemovesUnderUse removes a model that is held, and closes one that runs.
func TestStoreRemovesUnderUse(t *testing.T) {
	m := newStored(t, "tiny-llama-q4_0")
	store := realm.NewStore(realm.StoreOptions{})
	id, err := store.StoreFile(t.Context(), m.path)
	if err != nil {
		t.Fatal(err)
	}
	held, err := store.Model(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	other, err := store.Model(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, held)
	n := 0
	for _, err := range s.Generate(t.Context(), realm.Request{Prompt: "Once", MaxTokens: 4, IgnoreEndOfGeneration: true}) {
		if n++; n == 1 {
			if err := store.Remove(id); err != nil {
				t.Error(err)
			}
		}
		if err != nil {
			t.Errorf("removed under a call: %v", err)
		}
	}
	if _, err := store.Model(t.Context(), id); !errors.Is(err, realm.CodeNotFound) {
		t.Errorf("after Remove: %v", err)
	}
	n = 0
	for _, err = range s.Generate(t.Context(), realm.Request{Prompt: "Twice", IgnoreEndOfGeneration: true}) {
		if n++; n == 1 {
			if err := errors.Join(held.Close(), held.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	if !errors.Is(err, realm.CodeClosed) {
		t.Errorf("closed under a call: %v", err)
	}
	if _, err := held.NewSession(); !errors.Is(err, realm.CodeClosed) {
		t.Errorf("a session of a closed model: %v", err)
	}
	if tokens, err := answer(t.Context(), other); err != nil || !slices.Equal(tokens, m.answer) {
		t.Errorf("another holder: %v, %v", tokens, err)
	}
	_ = other.Close()
	if _, err := answer(t.Context(), other); !errors.Is(err, realm.CodeClosed) {
		t.Errorf("after the last holder: %v", err)
	}
	if left := store.Models(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestStoreErrors(t *testing.T) {
	store := realm.NewStore(realm.StoreOptions{})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, notFound := store.StoreFile(t.Context(), "no-such-model.gguf")
	_, invalid := store.StoreBytes(t.Context(), []byte("GGUF"))
	_, empty := store.StoreBytes(t.Context(), nil)
	_, ended := store.StoreBytes(canceled, []byte("GGUF"))
	_, unknown := store.Info(t.Context(), 1)
	for _, tc := range []struct {
		err  error
		want realm.Code
	}{
		{notFound, realm.CodeNotFound},
		{invalid, realm.CodeInvalidFormat},
		{empty, realm.CodeInvalidFormat},
		{ended, realm.CodeCanceled},
		{unknown, realm.CodeNotFound},
		{store.Tensor(t.Context(), 1, "x", nil), realm.CodeNotFound},
		{store.Remove(1), realm.CodeNotFound},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("got %v, want %v", tc.err, tc.want)
		}
	}
	_ = store.Close()
	if _, err := store.Model(t.Context(), 1); !errors.Is(err, realm.CodeClosed) {
		t.Errorf("after Close: %v", err)
	}
}
