//go:build !wasip1

package guest_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/guest"
	"github.com/realm-ai/realm/guest/guesttest"
	"github.com/realm-ai/realm/internal/errs"
)

// TestModelCalls goes through the methods of Model: a pass in pieces gives the logits of Forward, and a fork goes its own
// way from where it left.
func TestModelCalls(t *testing.T) {
	newHost(t, tinyModel(t, "tiny-llama-q4_k", realm.Options{}))
	m, err := guest.Open(guesttest.ModelID)
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tokens := []int32{3, 1, 4, 1, 5, 9, 2, 6}
	want := make([]float32, m.Info.VocabSize)
	check(m.Forward(tokens, 0, want))
	ids, top := make([]int32, 3), make([]float32, 3)
	n, err := m.TopLogits(ids, top)
	if err != nil || n != 3 || top[0] != slices.Max(want) || want[ids[1]] != top[1] {
		t.Errorf("top %v %v, %v", ids, top, err)
	}

	check(m.Truncate(0))
	hidden := make([]float32, len(tokens)*int(m.Info.HiddenSize))
	check(m.EmbedTokens(tokens, hidden))
	out := make([]float32, len(hidden))
	for layer := range int(m.Info.LayerCount) {
		check(m.ForwardLayer(layer, hidden, 0, out))
		hidden, out = out, hidden
	}
	got := make([]float32, m.Info.VocabSize)
	check(m.ComputeLogits(hidden[len(hidden)-int(m.Info.HiddenSize):], got))
	if !slices.Equal(got, want) {
		t.Error("layer by layer gives other logits")
	}

	check(m.Forward(tokens, 0, want))
	seq, err := m.Fork(5)
	check(err)
	check(m.Forward([]int32{7, 7}, 8, nil))
	check(m.Select(seq))
	check(m.Forward(tokens[5:], 5, got))
	if !slices.Equal(got, want) {
		t.Error("the fork gives other logits")
	}
	check(m.Select(0))
	check(m.Free(seq))
	if err := m.Select(seq); !errors.Is(err, errs.NotFound) {
		t.Errorf("select a freed sequence: %v", err)
	}

	if _, architecture, err := m.Name(); err != nil || architecture != "llama" {
		t.Errorf("architecture %q, %v", architecture, err)
	}
	if _, err := m.Tensor("output.weight"); !errors.Is(err, errs.Unsupported) {
		t.Errorf("a tensor of a host without them: %v", err)
	}
	if now := guest.Now().UnixNano(); now != 1_000_000_007 {
		t.Errorf("now %d", now)
	}
	for _, err := range []error{
		m.Forward(tokens, 0, got[1:]), m.EmbedTokens(tokens, hidden[1:]), m.ForwardLayer(0, hidden, 0, out[1:]),
		m.ComputeLogits(hidden, got[1:]),
	} {
		if !errors.Is(err, errs.InvalidArgument) {
			t.Errorf("too little room: %v", err)
		}
	}
	if err := errors.Join(guest.Log("a line"), guest.EmitText("x"), guest.EmitToken(guest.TokenLogprob{ID: 1})); err != nil {
		t.Error(err)
	}
	if err := guest.EmitResult(func() {}); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("a result that is no JSON: %v", err)
	}
}
