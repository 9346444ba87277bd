package model_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
	"github.com/realm-ai/realm/internal/kernel"
	"github.com/realm-ai/realm/internal/kvcache"
	"github.com/realm-ai/realm/internal/model"
)

// TestPackChangesNothing compares a model's logits and embeddings before and after its weights were packed.
func TestPackChangesNothing(t *testing.T) {
	for _, shape := range tinyShapes() {
		t.Run(shape, func(t *testing.T) {
			f := openSynth(t, shape)
			plain, packed := load(t, f), load(t, f)
			pool := kernel.NewPool(2)
			defer pool.Close()
			last := int64(0)
			err := packed.Pack(t.Context(), pool, func(done, total int64) {
				if done <= last || done > total {
					t.Errorf("progress from %d to %d of %d", last, done, total)
				}
				last = done
			})
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Free()
			tokens := someTokens(plain.Config.Vocab, 30)
			var embeddings, logits [2][]float32
			for i, m := range []*model.Model{plain, packed} {
				embeddings[i] = make([]float32, len(tokens)*m.Config.Hidden)
				if err := m.Embed(embeddings[i], tokens); err != nil {
					t.Fatal(err)
				}
				logits[i] = make([]float32, len(tokens)*m.Config.Vocab)
				seq := kvcache.New(m.Config.CacheShape(false), 0).NewSequence()
				forward(t, m.NewState(pool), tokens, []model.Segment{{Seq: seq, N: len(tokens)}}, logits[i])
			}
			if !slices.Equal(embeddings[0], embeddings[1]) {
				t.Error("other embeddings")
			}
			if !slices.Equal(logits[0], logits[1]) {
				t.Error("other logits")
			}
		})
	}
}

// heapImages makes images in memory.
type heapImages struct{ calls int }

func (h *heapImages) Image(_ context.Context, _ *kernel.Pool, names []string, matrices []*kernel.Matrix,
	packed func(i int), _ func(done, total int64),
) ([][]byte, error) {
	h.calls++
	data := make([][]byte, len(names))
	for i, m := range matrices {
		n, _ := m.Strips()
		data[i] = make([]byte, m.PackedBytes())
		m.PackStrips(data[i], 0, n)
		packed(i)
	}
	return data, nil
}

// TestPackFromImage compares logits of weights in an image with those of weights that were packed in memory, for a model in
// a file and for a copy of one, whose bytes are gone when it is packed.
func TestPackFromImage(t *testing.T) {
	file := openSynth(t, "tiny-llama-q4_k")
	copied, err := gguf.Copy(file.Parts()[0].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	pool := kernel.NewPool(2)
	defer pool.Close()
	var want []float32
	for i, m := range []*model.Model{load(t, file), load(t, file), load(t, copied)} {
		images := &heapImages{}
		if i > 0 {
			m.Images = images
		}
		if err := m.Pack(t.Context(), pool, nil); err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		tokens := someTokens(m.Config.Vocab, 30)
		logits := make([]float32, len(tokens)*m.Config.Vocab)
		seq := kvcache.New(m.Config.CacheShape(false), 0).NewSequence()
		forward(t, m.NewState(pool), tokens, []model.Segment{{Seq: seq, N: len(tokens)}}, logits)
		if i == 0 {
			want = logits
		}
		if !slices.Equal(logits, want) {
			t.Errorf("model %d: other logits", i)
		}
		if err := m.Pack(t.Context(), pool, nil); err != nil || images.calls > 1 {
			t.Errorf("packed again: %v, %d images", err, images.calls)
		}
	}
}

// TestPackGoesOn cancels packing half way and takes it up again.
func TestPackGoesOn(t *testing.T) {
	m := load(t, openSynth(t, "tiny-llama-q4_k"))
	pool := kernel.NewPool(1)
	defer pool.Close()
	defer m.Free()
	ctx, cancel := context.WithCancel(t.Context())
	var steps, rest, total int64
	err := m.Pack(ctx, pool, func(_, all int64) {
		total = all
		if steps++; steps == 3 {
			cancel()
		}
	})
	if steps == 0 {
		t.Skip("this processor's kernels take weights as they stand in the file")
	}
	if !errors.Is(err, errs.Canceled) || steps != 3 {
		t.Errorf("cancelled after 3 matrices: %v after %d", err, steps)
	}
	if err := m.Pack(t.Context(), pool, func(_, all int64) { rest = all }); err != nil || rest == 0 || rest >= total {
		t.Errorf("again: %v, %d bytes of %d", err, rest, total)
	}
	if err := m.Pack(t.Context(), pool, func(_, _ int64) { t.Error("packed twice") }); err != nil {
		t.Error(err)
	}
}
