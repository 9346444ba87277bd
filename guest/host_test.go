//go:build !wasip1

package guest

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/synth"
)

// engineHost is a host with a real engine behind it, one granted model and the sequences of one guest.
type engineHost struct {
	NoHost
	t        testing.TB
	m        *realm.Model
	s        map[uint32]*realm.Session
	selected uint32

	calls        map[string]int
	text, failed string
	tokens       []TokenLogprob
	top          [][]TokenLogprob
	result       []byte
}

const modelID = 0xBEEF0001

// newHost makes a guest of this process the guest of a host with this model.
func newHost(t testing.TB, m *realm.Model) *engineHost {
	t.Helper()
	h := &engineHost{t: t, m: m}
	h.reset()
	SetHost(h)
	t.Cleanup(func() { SetHost(NoHost{}) })
	return h
}

// reset makes the host as new, with empty sequences.
func (h *engineHost) reset() {
	s, err := h.m.NewSession()
	if err != nil {
		h.t.Fatal(err)
	}
	*h = engineHost{t: h.t, m: h.m, s: map[uint32]*realm.Session{0: s}, calls: map[string]int{}}
}

func tinyModel(t testing.TB, shape string, o realm.Options) *realm.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), shape+".gguf")
	if err := synth.WriteFile(t.Context(), path, shape, synth.Options{}); err != nil {
		t.Fatal(err)
	}
	return openModel(t, path, o)
}

func openModel(t testing.TB, path string, o realm.Options) *realm.Model {
	t.Helper()
	m, err := realm.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// session finds the selected sequence of a granted model.
func (h *engineHost) session(call string, model uint32) (*realm.Session, error) {
	h.calls[call]++
	if model != modelID {
		return nil, errs.Errorf(errs.PermissionDenied, "host: model %d is not granted", model)
	}
	return h.s[h.selected], nil
}

func (h *engineHost) EmbedTokens(model uint32, tokens []int32, out []float32) error {
	s, err := h.session(abi.EmbedTokens, model)
	if err != nil {
		return err
	}
	return s.Embed(tokens, out)
}

func (h *engineHost) ForwardLayer(model, layer uint32, hidden []float32, position uint32, out []float32) error {
	s, err := h.session(abi.ForwardLayer, model)
	if err != nil {
		return err
	}
	copy(out, hidden)
	return s.ForwardLayer(h.t.Context(), int(layer), out, int(position))
}

func (h *engineHost) ComputeLogits(model uint32, hidden, out []float32) error {
	s, err := h.session(abi.ComputeLogits, model)
	if err != nil {
		return err
	}
	return s.Logits(hidden, out)
}

func (h *engineHost) Forward(model uint32, tokens []int32, position uint32, out []float32) error {
	s, err := h.session(abi.Forward, model)
	if err != nil {
		return err
	}
	logits, err := s.Forward(h.t.Context(), tokens, int(position))
	copy(out, logits)
	return err
}

func (h *engineHost) TopLogits(model uint32, ids []int32, logits []float32) (int, error) {
	s, err := h.session(abi.TopLogits, model)
	if err != nil {
		return 0, err
	}
	return s.TopLogits(ids, logits)
}

func (h *engineHost) GetModelInfo(model uint32, out []byte) (int, error) {
	if _, err := h.session(abi.GetModelInfo, model); err != nil {
		return 0, err
	}
	i := h.m.Info()
	info := abi.ModelInfo{
		TotalSize: uint64(i.TensorBytes), FileSize: uint64(i.FileBytes), TensorCount: uint32(i.TensorCount), ModelID: model,
		LayerCount: uint32(i.Layers), HiddenSize: uint32(i.Hidden), FFNSize: uint32(i.FFN), HeadCount: uint32(i.Heads),
		KVHeadCount: uint32(i.KVHeads), HeadDim: uint32(i.HeadDim), VocabSize: uint32(i.Vocab),
		TokenCount: uint32(h.m.Tokenizer().VocabSize()), ContextLength: uint32(i.ContextLength),
		TrainedContextLength: uint32(i.TrainedLength),
	}
	copy(out, info.Encode())
	return abi.ModelInfoSize, nil
}

func (h *engineHost) GetModelMetadata(model, what uint32, out []byte) (int, error) {
	if _, err := h.session(abi.GetModelMetadata, model); err != nil {
		return 0, err
	}
	var value []byte
	var err error
	switch what {
	case abi.MetadataVocab:
		value, err = h.m.Tokenizer().VocabTable()
	case abi.MetadataChatTemplate:
		if value = []byte(h.m.ChatTemplate()); len(value) == 0 {
			err = errs.Errorf(errs.NotFound, "host: no chat template")
		}
	case abi.MetadataName:
		value = []byte(h.m.Info().Name)
	case abi.MetadataArchitecture:
		value = []byte(h.m.Info().Architecture)
	default:
		err = errs.Errorf(errs.InvalidArgument, "host: no metadata kind %d", what)
	}
	copy(out, value)
	return len(value), err
}

func (h *engineHost) KVTruncate(model, position uint32) error {
	s, err := h.session(abi.KVTruncate, model)
	if err != nil {
		return err
	}
	return s.Truncate(int(position))
}

func (h *engineHost) KVFork(model, position uint32) (uint32, error) {
	s, err := h.session(abi.KVFork, model)
	if err != nil {
		return 0, err
	}
	fork, err := s.Fork(int(position))
	if err != nil {
		return 0, err
	}
	seq := slices.Max(slices.Collect(maps.Keys(h.s))) + 1
	h.s[seq] = fork
	return seq, nil
}

func (h *engineHost) KVSelect(model, seq uint32) error {
	if _, err := h.session(abi.KVSelect, model); err != nil {
		return err
	}
	if h.s[seq] == nil {
		return errs.Errorf(errs.NotFound, "host: no sequence %d", seq)
	}
	h.selected = seq
	return nil
}

func (h *engineHost) KVFree(model, seq uint32) error {
	if _, err := h.session(abi.KVFree, model); err != nil {
		return err
	}
	delete(h.s, seq)
	return nil
}

func (h *engineHost) Emit(kind uint32, data []byte) error {
	h.calls[abi.Emit]++
	switch kind {
	case abi.EmitText:
		h.text += string(data)
	case abi.EmitToken:
		token, top, err := abi.ParseTokenChunk(data)
		if err != nil {
			return err
		}
		h.tokens, h.top = append(h.tokens, token), append(h.top, top)
	case abi.EmitResult:
		if h.result != nil {
			return errs.Errorf(errs.Conflict, "host: a second result")
		}
		h.result = slices.Clone(data)
	case abi.EmitError:
		h.failed = string(data)
	}
	return nil
}

func (h *engineHost) Log(string) error { return nil }
func (h *engineHost) Now() int64       { return 1_000_000_007 }

// ask sends a request through realm_generate's way.
func (h *engineHost) ask(request any) (Result, error) {
	h.t.Helper()
	data, err := json.Marshal(request)
	if err != nil {
		h.t.Fatal(err)
	}
	if code := serve(data); code != 0 {
		if h.failed == "" || h.result != nil {
			h.t.Errorf("failed with %d, text %q, result %q", code, h.failed, h.result)
		}
		return Result{}, &Error{Code: abi.ErrorCode(code), Msg: h.failed}
	}
	var r Result
	if err := errors.Join(json.Unmarshal(h.result, &r)); err != nil || h.failed != "" {
		h.t.Errorf("result %q: %v; error text %q", h.result, err, h.failed)
	}
	return r, nil
}
