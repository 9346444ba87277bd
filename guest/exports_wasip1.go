package guest

import (
	"unsafe"

	"github.com/realm-ai/realm/internal/abi"
)

// The exports of a guest besides its memory and _initialize, which the toolchain adds.

//go:wasmexport realm_abi_version
func realmABIVersion() uint32 { return abi.Version }

// allocated keeps what the host was given from being collected.
var allocated = map[unsafe.Pointer][]uint64{}

//go:wasmexport realm_alloc
func realmAlloc(size uint32) unsafe.Pointer {
	words := make([]uint64, max(1, (uint64(size)+7)/8))
	p := unsafe.Pointer(unsafe.SliceData(words))
	allocated[p] = words
	return p
}

//go:wasmexport realm_free
func realmFree(p unsafe.Pointer) { delete(allocated, p) }

//go:wasmexport realm_prepare
func realmPrepare(model uint32) int32 { return prepare(model) }

//go:wasmexport realm_generate
func realmGenerate(request unsafe.Pointer, n uint32) int32 {
	return serve(unsafe.Slice((*byte)(request), n))
}
