package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/abi"
)

// A forwarder is a guest that makes the host calls that its request lists. The request fills its memory:
//
//	word 0            where the calls end
//	from word 1       calls of 9 words each: the function's index in the ABI's table, then its parameters
//	from dataAt       what a test wants the calls to read
//	all the rest      canaries
//
// It puts the result of a call in the place of its index, and emits the calls.
const (
	callWords = 9
	dataAt    = 256 << 10
	freeAt    = 512 << 10 // beyond this tests have calls write
	canary    = 0xAA
)

func forwarder() []byte {
	n := len(abi.Functions())
	var b strings.Builder
	b.WriteString("local.get 0 i32.const 4 i32.add local.set 2 block loop " +
		"local.get 2 local.get 0 i32.load 0 i32.lt_u i32.eqz br_if 1 block ")
	b.WriteString(strings.Repeat("block ", n))
	b.WriteString("local.get 2 i32.load 0 br_table ")
	for i := range n {
		fmt.Fprintf(&b, "%d,", i)
	}
	fmt.Fprintf(&b, "%d ", n-1)
	for i, f := range abi.Functions() {
		b.WriteString("end ")
		for j := range f.Params {
			fmt.Fprintf(&b, "local.get 2 i32.load %d ", 4+4*j)
		}
		b.WriteString(f.Name + " ")
		if f.Result == abi.I64 {
			b.WriteString("i32.wrap_i64 ")
		}
		fmt.Fprintf(&b, "local.set 4 br %d ", n-1-i)
	}
	b.WriteString("end local.get 2 local.get 4 i32.store 0 " +
		fmt.Sprintf("local.get 2 i32.const %d i32.add local.set 2 br 0 end end ", 4*callWords) +
		fmt.Sprintf("i32.const %d local.get 0 local.get 0 i32.load 0 local.get 0 i32.sub realm_emit", abi.EmitResult))
	return tiny(b.String())
}

// hostCall is one call of a forwarder.
type hostCall struct {
	name   string
	params []uint32
}

func call(name string, params ...uint32) hostCall { return hostCall{name, params} }

// callBody is the request for some calls and the data at dataAt.
func callBody(data []byte, calls []hostCall) []byte {
	words := []uint32{uint32(requestAt + 4 + 4*callWords*len(calls))}
	for _, c := range calls {
		w := make([]uint32, callWords)
		w[0] = 1 << 20 // none
		for i, f := range abi.Functions() {
			if f.Name == c.name {
				w[0] = uint32(i)
			}
		}
		copy(w[1:], c.params)
		words = append(words, w...)
	}
	body := bytes.Repeat([]byte{canary}, memoryPages*pageBytes-requestAt)
	copy(body, request(words...))
	copy(body[dataAt-requestAt:], data)
	return body
}

// forwarded is what came of a forwarder's calls.
type forwarded struct {
	Result
	returned []int32
	memory   []byte
	err      error
}

func forwardCalls(ctx context.Context, g *Guest, r Request, data []byte, calls ...hostCall) forwarded {
	var memory bytes.Buffer
	r.DumpMemory = &memory
	r.Body = callBody(data, calls)
	result, err := g.Run(ctx, r)
	f := forwarded{Result: result, memory: memory.Bytes(), err: err}
	for b := result.Body; len(b) > 4; b = b[4*callWords:] {
		f.returned = append(f.returned, int32(binary.LittleEndian.Uint32(b[4:])))
	}
	return f
}

// last is the result of the last call; a test fails where there is none or an earlier one failed.
func (f forwarded) last(t testing.TB) int32 {
	t.Helper()
	if f.err != nil {
		t.Fatal(f.err)
	}
	for i, r := range f.returned[:len(f.returned)-1] {
		if r < 0 {
			t.Fatalf("call %d of %d: %v", i, len(f.returned), abi.ErrorCode(r))
		}
	}
	return f.returned[len(f.returned)-1]
}
