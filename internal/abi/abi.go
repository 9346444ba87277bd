// Package abi owns the host ABI: what a guest, a WebAssembly module, may call and must export, the numbers and structs
// that cross between the two, the vocabulary table, and the JSON of a request and its result. All of it is data, so that
// docs/abi.md and guest/realm.h are written from it, the runtimes build their host modules from it, and tests compare
// compiled guests with it and drive every function with it.
//
// It must not know how anything is computed, nor of any runtime: host and guest both import it. Start at Functions.
package abi

//go:generate go run ./abigen

// Version is the version of the ABI. It goes up with every change that an older guest or host would notice; a host
// refuses a guest whose realm_abi_version returns another.
const Version = 1

// Module is the import module of the host functions. A guest may also import WASIModule, for what the runtime of its
// language wants: there it finds no files and no network, a virtual clock, and random bytes that follow from the
// request's seed.
const (
	Module     = "realm"
	WASIModule = "wasi_snapshot_preview1"
)

// MemoryExport is the name under which a guest exports its memory.
const MemoryExport = "memory"

// Type is the type of a value, or of what a pointer points to. Numbers are little-endian.
type Type uint8

// The types. As a parameter or a result U32 and I32 are WebAssembly's i32, I64 is its i64; there are no others.
const (
	None Type = iota // no result
	U8               // a byte
	U32
	I32
	I64
	U64
	F32
)

// Size is the number of bytes that a value takes in memory.
func (t Type) Size() uint32 {
	switch t {
	case U8:
		return 1
	case U32, I32, F32:
		return 4
	case I64, U64:
		return 8
	}
	return 0
}

func (t Type) String() string {
	return [...]string{"none", "u8", "u32", "i32", "i64", "u64", "f32"}[t]
}

// Access says what a parameter is: a number, or a pointer, which is a u32 offset into the guest's memory.
type Access uint8

// The kinds of parameters.
const (
	Number Access = iota
	Reads         // a pointer to what the host reads
	Writes        // a pointer to what the host writes
)

// Param is a parameter of a host function or of an export of the guest.
type Param struct {
	Name   string
	Type   Type // of the number, or of the elements that the pointer points to
	Access Access
	// Count says how many elements a pointer points to: the product of other parameters, by name, and of fields of the
	// ModelInfo layout, by name. Where a parameter called out_len is in it, the host writes at most that many.
	Count []string
	// Optional pointers may be 0, which says that the caller does not want what the host would write.
	Optional bool
	Doc      string
}

// Func is a host function or an export of the guest. Its parameters are all i32 in WebAssembly's types.
type Func struct {
	Name   string
	Params []Param
	Result Type
	Doc    string // sentences, the first of which says what the function does
	// Optional exports may be missing from a guest.
	Optional bool
}

// Function finds a host function by name.
func Function(name string) (f Func, ok bool) {
	for _, f := range functions {
		if f.Name == name {
			return f, true
		}
	}
	return Func{}, false
}

// Functions returns the host functions, in the order of the documentation.
func Functions() []Func { return functions[:] }

// Exports returns what a guest exports besides its memory.
func Exports() []Func { return exports[:] }
