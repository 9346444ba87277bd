//go:build !wasip1

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/guest"
	"github.com/realm-ai/realm/guest/guesttest"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/synth"
)

// TestLens holds the answer to that of the guest that ships, and the log to a line for each token.
func TestLens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := synth.WriteFile(t.Context(), path, "tiny-qwen3-q6_k", synth.Options{}); err != nil {
		t.Fatal(err)
	}
	m, err := realm.Open(path, realm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h, err := guesttest.New(m)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	request := guest.Request{
		Model: guesttest.ModelID, MaxTokens: 12, IgnoreEndOfGeneration: true,
		Prompt:   strings.Repeat("A prompt of more tokens than go through the layers at a time. ", 4),
		Sampling: &guest.Sampling{RepeatPenalty: 1},
	}
	guest.Serve(guest.Answer)
	want, err := h.Ask(request)
	if err != nil {
		t.Fatal(err)
	}
	if want.Usage.PromptTokens <= chunk {
		t.Fatalf("the prompt has %d tokens", want.Usage.PromptTokens)
	}
	guest.Serve(answer)
	got, err := h.Ask(request)
	if err != nil || !slices.Equal(got.Tokens, want.Tokens) {
		t.Errorf("%v, %v, want %v", got.Tokens, err, want.Tokens)
	}
	if h.Calls[abi.Forward] != 0 || len(h.Lines) != 12 {
		t.Errorf("calls %v, log %q", h.Calls, h.Lines)
	}
	for i, line := range h.Lines {
		piece := fmt.Sprintf("%q leads from layer ", m.Tokenizer().Piece(got.Tokens[i], true))
		if !strings.HasPrefix(line, piece) || !strings.HasSuffix(line, " of 2") {
			t.Errorf("line %d is %q, want %q", i, line, piece)
		}
	}
}
