//go:build !wasip1

// Package guesttest runs guests natively on a real model, for their unit tests: a Host has package realm's engine behind
// the host functions, and keeps what the guest emits. It must not be compiled into a guest. Start at New and Host.Ask.
package guesttest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/guest"
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// ModelID is the id of the one model that a Host grants.
const ModelID = 0xBEEF0001

// Host is a host with one granted model and the sequences of one guest.
type Host struct {
	guest.NoHost
	model    *realm.Model
	sessions map[uint32]*realm.Session
	selected uint32

	// What happened since the last Reset.
	Calls     map[string]int // of host functions, by name
	Text      string
	Tokens    []guest.TokenLogprob
	Top       [][]guest.TokenLogprob // for each of Tokens, the most probable ones
	Result    []byte                 // in JSON
	ErrorText string
	Lines     []string // of the log
}

// New makes the guest in this process the guest of a new Host. The caller closes it.
func New(m *realm.Model) (*Host, error) {
	h := &Host{model: m}
	if err := h.Reset(); err != nil {
		return nil, err
	}
	guest.SetHost(h)
	return h, nil
}

// Close frees the sequences and leaves the guest without a host.
func (h *Host) Close() {
	for _, s := range h.sessions {
		_ = s.Close()
	}
	guest.SetHost(guest.NoHost{})
}

// Reset makes the host as new, with empty sequences.
func (h *Host) Reset() error {
	for _, s := range h.sessions {
		_ = s.Close()
	}
	s, err := h.model.NewSession()
	if err != nil {
		return err
	}
	*h = Host{model: h.model, sessions: map[uint32]*realm.Session{0: s}, Calls: map[string]int{}}
	return nil
}

// Ask resets the host and sends the guest a request, which is written in JSON. It returns the result, which it expects
// to be a guest.Result, or the guest's error.
func (h *Host) Ask(request any) (guest.Result, error) {
	var r guest.Result
	data, err := json.Marshal(request)
	if err != nil {
		return r, errs.Errorf(errs.InvalidArgument, "guesttest: request: %w", err)
	}
	if err := h.Reset(); err != nil {
		return r, err
	}
	if code := guest.CallGenerate(data); code < 0 {
		return r, &guest.Error{Code: abi.ErrorCode(code), Msg: h.ErrorText}
	}
	if err := json.Unmarshal(h.Result, &r); err != nil {
		return r, errs.Errorf(errs.InvalidFormat, "guesttest: result %.100q: %w", h.Result, err)
	}
	return r, nil
}

// session finds the selected sequence of a granted model.
func (h *Host) session(call string, model uint32) (*realm.Session, error) {
	h.Calls[call]++
	if model != ModelID {
		return nil, errs.Errorf(errs.PermissionDenied, "guesttest: model %d is not granted", model)
	}
	return h.sessions[h.selected], nil
}

// EmbedTokens implements guest.Host.
func (h *Host) EmbedTokens(model uint32, tokens []int32, out []float32) error {
	s, err := h.session(abi.EmbedTokens, model)
	if err != nil {
		return err
	}
	return s.Embed(tokens, out)
}

// ForwardLayer implements guest.Host.
func (h *Host) ForwardLayer(model, layer uint32, hidden []float32, position uint32, out []float32) error {
	s, err := h.session(abi.ForwardLayer, model)
	if err != nil {
		return err
	}
	copy(out, hidden)
	return s.ForwardLayer(context.Background(), int(layer), out, int(position))
}

// ComputeLogits implements guest.Host.
func (h *Host) ComputeLogits(model uint32, hidden, out []float32) error {
	s, err := h.session(abi.ComputeLogits, model)
	if err != nil {
		return err
	}
	return s.Logits(hidden, out)
}

// Forward implements guest.Host.
func (h *Host) Forward(model uint32, tokens []int32, position uint32, out []float32) error {
	s, err := h.session(abi.Forward, model)
	if err != nil {
		return err
	}
	logits, err := s.Forward(context.Background(), tokens, int(position))
	copy(out, logits)
	return err
}

// TopLogits implements guest.Host.
func (h *Host) TopLogits(model uint32, ids []int32, logits []float32) (int, error) {
	s, err := h.session(abi.TopLogits, model)
	if err != nil {
		return 0, err
	}
	return s.TopLogits(ids, logits)
}

// GetModelInfo implements guest.Host.
func (h *Host) GetModelInfo(model uint32, out []byte) (int, error) {
	if _, err := h.session(abi.GetModelInfo, model); err != nil {
		return 0, err
	}
	i := h.model.Info()
	info := abi.ModelInfo{
		TotalSize: uint64(i.TensorBytes), FileSize: uint64(i.FileBytes), TensorCount: uint32(i.TensorCount), ModelID: model,
		LayerCount: uint32(i.Layers), HiddenSize: uint32(i.Hidden), FFNSize: uint32(i.FFN), HeadCount: uint32(i.Heads),
		KVHeadCount: uint32(i.KVHeads), HeadDim: uint32(i.HeadDim), VocabSize: uint32(i.Vocab),
		TokenCount: uint32(h.model.Tokenizer().VocabSize()), ContextLength: uint32(i.ContextLength),
		TrainedContextLength: uint32(i.TrainedLength),
	}
	copy(out, info.Encode())
	return abi.ModelInfoSize, nil
}

// GetModelMetadata implements guest.Host.
func (h *Host) GetModelMetadata(model, what uint32, out []byte) (int, error) {
	if _, err := h.session(abi.GetModelMetadata, model); err != nil {
		return 0, err
	}
	var value []byte
	var err error
	switch what {
	case abi.MetadataVocab:
		value, err = h.model.Tokenizer().VocabTable()
	case abi.MetadataChatTemplate:
		if value = []byte(h.model.ChatTemplate()); len(value) == 0 {
			err = errs.Errorf(errs.NotFound, "guesttest: no chat template")
		}
	case abi.MetadataName:
		value = []byte(h.model.Info().Name)
	case abi.MetadataArchitecture:
		value = []byte(h.model.Info().Architecture)
	default:
		err = errs.Errorf(errs.InvalidArgument, "guesttest: no metadata kind %d", what)
	}
	copy(out, value)
	return len(value), err
}

// KVTruncate implements guest.Host.
func (h *Host) KVTruncate(model, position uint32) error {
	s, err := h.session(abi.KVTruncate, model)
	if err != nil {
		return err
	}
	return s.Truncate(int(position))
}

// KVFork implements guest.Host.
func (h *Host) KVFork(model, position uint32) (uint32, error) {
	s, err := h.session(abi.KVFork, model)
	if err != nil {
		return 0, err
	}
	fork, err := s.Fork(int(position))
	if err != nil {
		return 0, err
	}
	seq := slices.Max(slices.Collect(maps.Keys(h.sessions))) + 1
	h.sessions[seq] = fork
	return seq, nil
}

// KVSelect implements guest.Host.
func (h *Host) KVSelect(model, seq uint32) error {
	if _, err := h.session(abi.KVSelect, model); err != nil {
		return err
	}
	if h.sessions[seq] == nil {
		return errs.Errorf(errs.NotFound, "guesttest: no sequence %d", seq)
	}
	h.selected = seq
	return nil
}

// KVFree implements guest.Host.
func (h *Host) KVFree(model, seq uint32) error {
	if _, err := h.session(abi.KVFree, model); err != nil {
		return err
	}
	delete(h.sessions, seq)
	return nil
}

// Emit implements guest.Host: it keeps what the guest puts out.
func (h *Host) Emit(kind uint32, data []byte) error {
	h.Calls[abi.Emit]++
	switch kind {
	case abi.EmitText:
		h.Text += string(data)
	case abi.EmitToken:
		token, top, err := abi.ParseTokenChunk(data)
		if err != nil {
			return err
		}
		h.Tokens, h.Top = append(h.Tokens, token), append(h.Top, top)
	case abi.EmitResult:
		if h.Result != nil {
			return errs.Errorf(errs.Conflict, "guesttest: a second result")
		}
		h.Result = slices.Clone(data)
	case abi.EmitError:
		h.ErrorText = string(data)
	}
	return nil
}

// Log implements guest.Host.
func (h *Host) Log(line string) error {
	h.Lines = append(h.Lines, line)
	return nil
}

// Now implements guest.Host: time stands still.
func (h *Host) Now() int64 { return 1_000_000_007 }
