//go:build !wasip1

package guest

import (
	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// Host stands for the embedder where a guest is built natively, for its tests: the host functions of docs/abi.md with
// slices for pointers and lengths, nil for a pointer of 0. Outputs have room for what the ABI says; in GetModelInfo,
// GetModelMetadata and GetTensor for len(out), and the length of the whole is returned.
type Host interface {
	EmbedTokens(model uint32, tokens []int32, out []float32) error
	ForwardLayer(model, layer uint32, hidden []float32, position uint32, out []float32) error
	ComputeLogits(model uint32, hidden, out []float32) error
	Forward(model uint32, tokens []int32, position uint32, out []float32) error
	TopLogits(model uint32, ids []int32, logits []float32) (int, error)
	GetModelInfo(model uint32, out []byte) (int, error)
	GetModelMetadata(model, what uint32, out []byte) (int, error)
	GetTensor(model uint32, name string, out []float32) (int, error)
	KVTruncate(model, position uint32) error
	KVFork(model, position uint32) (uint32, error)
	KVSelect(model, seq uint32) error
	KVFree(model, seq uint32) error
	Emit(kind uint32, data []byte) error
	Log(line string) error
	Now() int64
}

var host Host = NoHost{}

// SetHost makes a guest that is built natively call h, and forgets the models that were opened. It is not there in a
// WebAssembly build.
func SetHost(h Host) {
	host = h
	clear(models)
}

// NoHost is a Host without anything: each call fails with errs.Unsupported. Embed it in a Host that has only what a test
// needs.
type NoHost struct{}

func none(name string) error {
	return errs.Errorf(errs.Unsupported, "guest: %s: this host does not have it", name)
}

// EmbedTokens fails.
func (NoHost) EmbedTokens(uint32, []int32, []float32) error { return none(abi.EmbedTokens) }

// ForwardLayer fails.
func (NoHost) ForwardLayer(_, _ uint32, _ []float32, _ uint32, _ []float32) error {
	return none(abi.ForwardLayer)
}

// ComputeLogits fails.
func (NoHost) ComputeLogits(uint32, []float32, []float32) error { return none(abi.ComputeLogits) }

// Forward fails.
func (NoHost) Forward(uint32, []int32, uint32, []float32) error { return none(abi.Forward) }

// TopLogits fails.
func (NoHost) TopLogits(uint32, []int32, []float32) (int, error) { return 0, none(abi.TopLogits) }

// GetModelInfo fails.
func (NoHost) GetModelInfo(uint32, []byte) (int, error) { return 0, none(abi.GetModelInfo) }

// GetModelMetadata fails.
func (NoHost) GetModelMetadata(_, _ uint32, _ []byte) (int, error) {
	return 0, none(abi.GetModelMetadata)
}

// GetTensor fails.
func (NoHost) GetTensor(uint32, string, []float32) (int, error) { return 0, none(abi.GetTensor) }

// KVTruncate fails.
func (NoHost) KVTruncate(_, _ uint32) error { return none(abi.KVTruncate) }

// KVFork fails.
func (NoHost) KVFork(_, _ uint32) (uint32, error) { return 0, none(abi.KVFork) }

// KVSelect fails.
func (NoHost) KVSelect(_, _ uint32) error { return none(abi.KVSelect) }

// KVFree fails.
func (NoHost) KVFree(_, _ uint32) error { return none(abi.KVFree) }

// Emit fails.
func (NoHost) Emit(uint32, []byte) error { return none(abi.Emit) }

// Log fails.
func (NoHost) Log(string) error { return none(abi.Log) }

// Now returns 0.
func (NoHost) Now() int64 { return 0 }

// CallGenerate calls the guest as a host calls realm_generate.
func CallGenerate(request []byte) int32 { return serve(request) }

// CallPrepare calls the guest as a host calls realm_prepare.
func CallPrepare(model uint32) int32 { return prepare(model) }

func embedTokens(model uint32, tokens []int32, out []float32) error {
	return host.EmbedTokens(model, tokens, out)
}

func forwardLayer(model, layer uint32, hidden []float32, position uint32, out []float32) error {
	return host.ForwardLayer(model, layer, hidden, position, out)
}

func computeLogits(model uint32, hidden, out []float32) error {
	return host.ComputeLogits(model, hidden, out)
}

func forward(model uint32, tokens []int32, position uint32, out []float32) error {
	return host.Forward(model, tokens, position, out)
}

func topLogits(model uint32, ids []int32, logits []float32) (int, error) {
	return host.TopLogits(model, ids, logits)
}

func getModelInfo(model uint32, out []byte) (int, error) { return host.GetModelInfo(model, out) }

func getModelMetadata(model, what uint32, out []byte) (int, error) {
	return host.GetModelMetadata(model, what, out)
}

func getTensor(model uint32, name string, out []float32) (int, error) {
	return host.GetTensor(model, name, out)
}

func kvTruncate(model, position uint32) error       { return host.KVTruncate(model, position) }
func kvFork(model, position uint32) (uint32, error) { return host.KVFork(model, position) }
func kvSelect(model, seq uint32) error              { return host.KVSelect(model, seq) }
func kvFree(model, seq uint32) error                { return host.KVFree(model, seq) }
func emit(kind uint32, data []byte) error           { return host.Emit(kind, data) }
func logLine(line string) error                     { return host.Log(line) }
func now() int64                                    { return host.Now() }
