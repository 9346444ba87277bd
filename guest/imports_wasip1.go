package guest

import (
	"unsafe"

	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// The host functions. go:wasmimport wants their names in literals and unnamed parameter types of its own choice; a test
// of cmd/realm-guest compares the module that comes out with the table of package abi.

//go:wasmimport realm realm_embed_tokens
func realmEmbedTokens(model uint32, tokens unsafe.Pointer, n uint32, out unsafe.Pointer) int32

//go:wasmimport realm realm_forward_layer
func realmForwardLayer(model, layer uint32, hidden unsafe.Pointer, n, position uint32, out unsafe.Pointer) int32

//go:wasmimport realm realm_compute_logits
func realmComputeLogits(model uint32, hidden unsafe.Pointer, n uint32, out unsafe.Pointer) int32

//go:wasmimport realm realm_forward
func realmForward(model uint32, tokens unsafe.Pointer, n, position uint32, out unsafe.Pointer) int32

//go:wasmimport realm realm_top_logits
func realmTopLogits(model, k uint32, ids, logits unsafe.Pointer) int32

//go:wasmimport realm realm_get_model_info
func realmGetModelInfo(model uint32, out unsafe.Pointer, n uint32) int32

//go:wasmimport realm realm_get_model_metadata
func realmGetModelMetadata(model, what uint32, out unsafe.Pointer, n uint32) int32

//go:wasmimport realm realm_get_tensor
func realmGetTensor(model uint32, name unsafe.Pointer, nameLen uint32, out unsafe.Pointer, n uint32) int32

//go:wasmimport realm realm_kv_truncate
func realmKVTruncate(model, position uint32) int32

//go:wasmimport realm realm_kv_fork
func realmKVFork(model, position uint32) int32

//go:wasmimport realm realm_kv_select
func realmKVSelect(model, seq uint32) int32

//go:wasmimport realm realm_kv_free
func realmKVFree(model, seq uint32) int32

//go:wasmimport realm realm_emit
func realmEmit(kind uint32, data unsafe.Pointer, n uint32) int32

//go:wasmimport realm realm_last_error
func realmLastError(out unsafe.Pointer, n uint32) int32

//go:wasmimport realm realm_log
func realmLog(line unsafe.Pointer, n uint32) int32

//go:wasmimport realm realm_now
func realmNow() int64

// ptr is where a slice's elements stand, 0 for an empty one.
func ptr[T any](s []T) unsafe.Pointer {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Pointer(unsafe.SliceData(s))
}

func length[T any](s []T) uint32 { return uint32(len(s)) }

// result makes an error of a result below 0.
func result(r int32) (int, error) {
	if r >= 0 {
		return int(r), nil
	}
	text := make([]byte, max(0, realmLastError(nil, 0)))
	realmLastError(ptr(text), length(text))
	return 0, &errs.Error{Code: abi.ErrorCode(r), Msg: string(text)}
}

func done(r int32) error {
	_, err := result(r)
	return err
}

func embedTokens(model uint32, tokens []int32, out []float32) error {
	return done(realmEmbedTokens(model, ptr(tokens), length(tokens), ptr(out)))
}

func forwardLayer(model, layer uint32, hidden []float32, position uint32, out []float32) error {
	return done(realmForwardLayer(model, layer, ptr(hidden), length(hidden), position, ptr(out)))
}

func computeLogits(model uint32, hidden, out []float32) error {
	return done(realmComputeLogits(model, ptr(hidden), length(hidden), ptr(out)))
}

func forward(model uint32, tokens []int32, position uint32, out []float32) error {
	return done(realmForward(model, ptr(tokens), length(tokens), position, ptr(out)))
}

func topLogits(model uint32, ids []int32, logits []float32) (int, error) {
	return result(realmTopLogits(model, length(ids), ptr(ids), ptr(logits)))
}

func getModelInfo(model uint32, out []byte) (int, error) {
	return result(realmGetModelInfo(model, ptr(out), length(out)))
}

func getModelMetadata(model, what uint32, out []byte) (int, error) {
	return result(realmGetModelMetadata(model, what, ptr(out), length(out)))
}

func getTensor(model uint32, name string, out []float32) (int, error) {
	return result(realmGetTensor(model, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), ptr(out), length(out)))
}

func kvTruncate(model, position uint32) error { return done(realmKVTruncate(model, position)) }

func kvFork(model, position uint32) (uint32, error) {
	seq, err := result(realmKVFork(model, position))
	return uint32(seq), err
}

func kvSelect(model, seq uint32) error { return done(realmKVSelect(model, seq)) }

func kvFree(model, seq uint32) error { return done(realmKVFree(model, seq)) }

func emit(kind uint32, data []byte) error { return done(realmEmit(kind, ptr(data), length(data))) }

func logLine(line string) error {
	return done(realmLog(unsafe.Pointer(unsafe.StringData(line)), uint32(len(line))))
}

func now() int64 { return realmNow() }
