// Package wasmpatch owns what Realm writes into the bytes of a guest module before an engine compiles it: a maximum for
// its memory and its tables, and a fuel meter that stops any guest, whatever engine runs it.
//
// The meter is a counter of units that the host grants. Code subtracts what it is about to do, and asks the host for more
// by calling the import MeterModule.RefillName where the counter falls below zero; the host answers or traps. The counter
// is a global, exported as FuelGlobal. In functions that loop or call it lives in a local, which engines keep in a
// register, and is written back before calls and at returns.
//
// What costs how much:
//
//   - An instruction costs one unit. Those that only mark structure (block, loop, else, end, nop) cost nothing.
//   - Entering a function costs entryCost units more, and an iteration of a loop loopCost more.
//   - memory.fill, copy and init cost one unit more for each 8 bytes, table.fill, copy and init one for each element,
//     charged before they run. memory.grow costs what filling the new pages would, table.grow one for each element;
//     growing beyond the maximum, which fails, is free.
//
// Instructions are charged a stretch of straight code at a time, when it is entered. Stretches that a branch may skip are
// charged with what stands before them as long as they have at most slack instructions together, so units are an upper
// bound of the instructions that ran and at most slack more for each charge. The same run costs the same
// everywhere, since the meter is part of the code.
//
// The counter is looked at where code can repeat: at function entries, at loop heads and before bulk operations. Between
// two looks runs no more than one pass over straight code.
//
// Input is hostile. The package parses what it must rewrite and leaves type checking to the engine, which validates the
// result; every index is checked here that would reach what was added. Work and memory are bounded by a small multiple of
// the module's size, and the same module gives the same bytes. The package must not know of engines or host functions.
// Start at Patch.
package wasmpatch

import (
	"strconv"

	"github.com/realm-ai/realm/internal/errs"
)

// The names through which a patched module and its host meet. A module that uses one of them itself is refused.
const (
	// MeterModule and RefillName name the import (func (param i64) (result i64)): it is given the counter, which is
	// below zero, and returns what the counter shall be.
	MeterModule = "realm_meter"
	RefillName  = "refill"
	// FuelGlobal names the exported mutable i64 that holds the counter outside of running code. It starts at 0.
	FuelGlobal = "realm_fuel"
	// DeniedGlobal names the exported mutable i32 that is 1 once memory.grow has failed.
	DeniedGlobal = "realm_denied"
	// StartExport names the exported function that runs the module's start function, if it has one, where Options.Detach
	// took that from instantiation. The host writes Patched.Data before.
	StartExport = "realm_start"
	// GlobalPrefix begins the names under which mutable globals are exported, each followed by its index.
	GlobalPrefix = "realm_global_"
)

const (
	entryCost  = 4      // units of entering a function: what a call takes beyond its instruction
	loopCost   = 1      // units of an iteration: what the look at the counter takes
	slack      = 32     // instructions that a charge may include though a branch can skip them
	maxLocals  = 50_000 // of a function; what engines allow
	maxModule  = 256 << 20
	bytesShift = 3 // bulk memory operations cost one unit for each 1<<bytesShift bytes
	pageShift  = 16 - bytesShift
	maxPages   = 65_536
)

// Options are the limits that Patch writes.
type Options struct {
	// MemoryPages is the maximum of the memory in pages of 64 KiB, at most 65,536. A lower one of the module's own stays.
	MemoryPages uint32
	// TableElements is the maximum of each table. A lower one of the module's own stays.
	TableElements uint32
	// Detach makes instantiation leave the memory alone, so that a host may bring one that was filled before.
	Detach bool
}

// Segment is bytes that belong into the memory. They are those of the module that was patched.
type Segment struct {
	Offset uint32
	Bytes  []byte
}

// Patched is a patched module.
type Patched struct {
	Module []byte
	// Globals are the names under which the module's own mutable globals are exported. With the memory they are all of its
	// state, unless Hidden says otherwise.
	Globals []string
	// Data are the active data segments, where Options.Detach took them from instantiation, in their order. They may reach
	// beyond the memory.
	Data []Segment
	// Hidden names state beyond memory and numeric globals that the code can change, such as a table; empty for none.
	Hidden string
	// Imports and Exports are the functions that the module itself imports and exports, as its bytes have them: an engine
	// says whether the module is valid. Memories are the names under which it exports its memory.
	Imports, Exports []Func
	Memories         []string
}

// Func is a function that a module imports or, without a Module, exports. Its types are bytes of the binary format, such
// as 0x7f for an i32.
type Func struct {
	Module, Name    string
	Params, Results []byte
}

// Patch returns the module with the limits and the meter. A module that starts with more memory or larger tables fails
// with errs.LimitExceeded, one that uses what goes beyond WebAssembly 2.0 with errs.Unsupported, and one that is not a
// module with errs.InvalidFormat. Custom sections other than names are left out: they describe the old code.
func Patch(module []byte, o Options) (*Patched, error) {
	if o.MemoryPages > maxPages {
		return nil, errs.Errorf(errs.InvalidArgument, "wasmpatch: memory limit: %d pages: at most %d", o.MemoryPages, maxPages)
	}
	if len(module) > maxModule {
		return nil, errs.Errorf(errs.LimitExceeded, "wasmpatch: a module of %d bytes: at most %d", len(module), maxModule)
	}
	m := &patcher{module: module, options: o}
	if err := m.scan(); err != nil {
		return nil, err
	}
	out, err := m.rewrite()
	if err != nil {
		return nil, err
	}
	p := &Patched{
		Module: out, Data: m.active, Hidden: m.hidden, Imports: m.imports, Exports: m.exported, Memories: m.memories,
	}
	for _, i := range m.mutable {
		p.Globals = append(p.Globals, globalName(i))
	}
	return p, nil
}

func globalName(i uint32) string { return GlobalPrefix + strconv.FormatUint(uint64(i), 10) }
