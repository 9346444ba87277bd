package model_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/kvcache"
	"github.com/realm-ai/realm/internal/model"
	"github.com/realm-ai/realm/internal/synth"
)

// goldenBits are FNV-1a hashes of logits, by model. No processor, no set of kernels and no later version may change one.
func goldenBits(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/bits.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]string
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	return golden
}

func checkGolden(t *testing.T, golden map[string]string, name string, logits []float32) {
	t.Helper()
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, logits)
	if got := fmt.Sprintf("%016x", h.Sum64()); got != golden[name] {
		t.Errorf("%q: hash of the logits %q, want %q", name, got, golden[name])
	}
}

// TestDTypeBits computes one text with the two-layer models of every dtype, whole, in chunks, and with the last token in
// batches of up to 17 sequences. The logits are the golden ones, so that runs under different REALM_CPU, and on other
// machines, agree. REALM_LONG=1 tries every number of threads with every chunk size and every batch.
func TestDTypeBits(t *testing.T) {
	golden := goldenBits(t)
	threads, chunks, batches := []int{2}, []int{7}, []int{1, 2, 3, 5, 8, 13, 17}
	if os.Getenv("REALM_LONG") == "1" {
		threads, chunks, batches = []int{1, 2, 3}, []int{1, 7, 16, 64, 512}, nil
		for n := range 17 {
			batches = append(batches, n+1)
		}
	}
	for _, shape := range tinyShapes() {
		t.Run(shape, func(t *testing.T) {
			f := openSynth(t, shape)
			for _, n := range threads {
				dtypeBits(t, golden, shape, f, n, chunks, batches)
			}
		})
	}
}

func dtypeBits(t *testing.T, golden map[string]string, shape string, f *gguf.File, threads int, chunks, batches []int) {
	m := load(t, f)
	pool := kernel.NewPool(threads)
	defer pool.Close()
	if err := m.Pack(t.Context(), pool, nil); err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	s, vocab := m.NewState(pool), m.Config.Vocab
	cache := kvcache.New(m.Config.CacheShape(false), 0)

	tokens := someTokens(vocab, 100)
	whole := cache.NewSequence()
	want := make([]float32, len(tokens)*vocab)
	forward(t, s, tokens, []model.Segment{{Seq: whole, N: len(tokens)}}, want)
	checkGolden(t, golden, shape, want)

	got := make([]float32, len(tokens)*vocab)
	for _, chunk := range chunks {
		seq := cache.NewSequence()
		for p := 0; p < len(tokens); p += chunk {
			n := min(chunk, len(tokens)-p)
			forward(t, s, tokens[p:p+n], []model.Segment{{Seq: seq, Position: p, N: n}}, got[p*vocab:])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d threads, chunks of %d: other logits", threads, chunk)
		}
		seq.Free()
	}
	for _, n := range batches {
		// Sequences of different lengths, each with its next token.
		var batch []int32
		var segments []model.Segment
		for i := range n {
			at := 52 + 2*i
			seq, err := whole.Fork(at)
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, tokens[at])
			segments = append(segments, model.Segment{Seq: seq, Position: at, N: 1})
		}
		forward(t, s, batch, segments, got[:n*vocab])
		for i, seg := range segments {
			if !slices.Equal(got[i*vocab:(i+1)*vocab], want[seg.Position*vocab:(seg.Position+1)*vocab]) {
				t.Errorf("%d threads, sequence %d in a batch of %d: other logits", threads, i, n)
			}
			seg.Seq.Free()
		}
	}
	whole.Free()
}

// TestLargeBits holds the TinyLlama shape to fixed logits over 8 tokens.
func TestLargeBits(t *testing.T) {
	const shape = "tinyllama-1.1b-q4_k_m"
	if os.Getenv("REALM_LONG") != "1" {
		t.Skip("writes and reads 668 MB: set REALM_LONG=1")
	}
	path := filepath.Join(t.TempDir(), shape+".gguf")
	if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	golden := goldenBits(t)
	for _, threads := range []int{1, 2, 3} {
		m := load(t, f)
		pool := kernel.NewPool(threads)
		if err := m.Pack(t.Context(), pool, nil); err != nil {
			t.Fatal(err)
		}
		tokens := someTokens(m.Config.Vocab, 8)
		for _, chunk := range []int{1, 3, 8} {
			logits := make([]float32, len(tokens)*m.Config.Vocab)
			seq := kvcache.New(m.Config.CacheShape(false), 0).NewSequence()
			s := m.NewState(pool)
			for p := 0; p < len(tokens); p += chunk {
				n := min(chunk, len(tokens)-p)
				forward(t, s, tokens[p:p+n], []model.Segment{{Seq: seq, Position: p, N: n}}, logits[p*m.Config.Vocab:])
			}
			checkGolden(t, golden, shape, logits)
		}
		m.Free()
		pool.Close()
	}
}
