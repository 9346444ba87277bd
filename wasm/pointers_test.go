package wasm

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// valid gives each host function parameters with which it succeeds: numbers by name, and for pointers places of their own.
// Calls before it make a sequence and logits.
type valid struct {
	t     *testing.T
	model uint32
	shape map[string]uint64 // fields of realm_model_info
}

// numbers are the values of a function's parameters that are no pointers.
func (v valid) numbers(f abi.Func) map[string]uint64 {
	n := map[string]uint64{
		"model_id": uint64(v.model), "token_count": 3, "layer_idx": 0, "hidden_states_len": 2 * v.shape["hidden_size"],
		"position": 0, "hidden_size": v.shape["hidden_size"], "k": 5, "what": abi.MetadataArchitecture, "out_len": 64,
		"name_len": uint64(len("output_norm.weight")), "kind": abi.EmitText, "len": 9, "seq": 1,
	}
	switch f.Name {
	case abi.GetTensor:
		n["out_len"] = v.shape["hidden_size"]
	case abi.KVFork:
		n["position"] = 2
	}
	return n
}

// count is how many elements a pointer points to.
func (v valid) count(p abi.Param, numbers map[string]uint64) uint64 {
	n := uint64(1)
	for _, factor := range p.Count {
		if x, ok := numbers[factor]; ok {
			n *= x
		} else {
			n *= v.shape[factor]
		}
	}
	return n
}

// call builds a call, and the places that it may write to.
func (v valid) call(f abi.Func) (c hostCall, writes [][2]uint64) {
	numbers := v.numbers(f)
	c.name = f.Name
	free := uint64(freeAt)
	for _, p := range f.Params {
		switch {
		case p.Access == abi.Number:
			c.params = append(c.params, uint32(numbers[p.Name]))
		case p.Access == abi.Reads:
			c.params = append(c.params, dataAt)
		default:
			size := v.count(p, numbers) * uint64(p.Type.Size())
			c.params = append(c.params, uint32(free))
			writes = append(writes, [2]uint64{free, free + size})
			free += size + 4096
		}
	}
	return c, writes
}

// data is what calls read: a tensor's name, which is tokens and hidden states too.
func (v valid) data(f abi.Func) []byte {
	if f.Name == abi.GetTensor {
		return []byte("output_norm.weight")
	}
	return slices.Concat(request(1, 2, 3), make([]byte, 64<<10))
}

// sameBut compares memories outside the call list, up to the places that may differ.
func sameBut(t *testing.T, what string, got, want []byte, writes [][2]uint64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: a memory of %d bytes, want %d", what, len(got), len(want))
		return
	}
	for i := dataAt; i < len(want); i++ {
		if got[i] == want[i] || slices.ContainsFunc(writes, func(w [2]uint64) bool { return uint64(i) >= w[0] && uint64(i) < w[1] }) {
			continue
		}
		t.Errorf("%s: byte %#x changed", what, i)
		return
	}
}

// TestPointers drives every host function over the whole ABI: with parameters that are right, where it must write what
// the table says and nothing beside it, and with each pointer and each length beyond the memory, at its end, and where
// their sum overflows, where it must refuse and write nothing.
func TestPointers(t *testing.T) {
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	info := m.Info()
	v := valid{t, modelID(t, m), map[string]uint64{"hidden_size": uint64(info.Hidden), "vocab_size": uint64(info.Vocab)}}
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{Warm: 1})
	setup := []hostCall{call(abi.Forward, v.model, dataAt, 3, 0, 0), call(abi.KVFork, v.model, 2)}
	try := func(f abi.Func, c hostCall) forwarded {
		data := v.data(f)
		var before []hostCall
		if f.Name != abi.GetTensor { // whose data are no tokens
			before = setup
		}
		return forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m, Tensors: true}}}, data, append(before[:len(before):len(before)], c)...)
	}
	tried := 0
	for _, f := range abi.Functions() {
		c, writes := v.call(f)
		before := append(bytes.Repeat([]byte{0}, requestAt), callBody(v.data(f), nil)...)
		got := try(f, c)
		if r := got.last(t); r < 0 {
			t.Errorf("%s%v: %v", f.Name, c.params, abi.ErrorCode(r))
			continue
		}
		sameBut(t, f.Name, got.memory, before, writes)
		for _, w := range writes {
			if w[1] > w[0] && f.Name != abi.LastError && bytes.Equal(got.memory[w[0]:w[1]], before[w[0]:w[1]]) {
				t.Errorf("%s: wrote nothing at %#x", f.Name, w[0])
			}
		}
		size := uint64(memoryPages * pageBytes)
		numbers := v.numbers(f)
		for i, p := range f.Params {
			var bad []uint32
			switch {
			case p.Access != abi.Number:
				need := v.count(p, numbers) * uint64(p.Type.Size())
				bad = []uint32{uint32(size - need + 1), uint32(size), uint32(size + 1), math.MaxUint32, uint32(1<<32 - need), 1 << 31}
			case slices.Contains([]string{"token_count", "hidden_states_len", "k", "out_len", "name_len", "len"}, p.Name):
				bad = []uint32{math.MaxUint32, 1 << 30, 1<<30 + 1, 1 << 31, 1<<31 + 1, uint32(size), math.MaxUint32 - freeAt + 1}
			}
			for _, value := range bad {
				wrong := hostCall{f.Name, slices.Clone(c.params)}
				wrong.params[i] = value
				got := try(f, wrong)
				if r := got.last(t); abi.ErrorCode(r) != realm.CodeInvalidArgument || r >= 0 {
					t.Errorf("%s%v, %s = %#x: returned %d, want invalid argument", f.Name, wrong.params, p.Name, value, r)
				}
				sameBut(t, f.Name, got.memory, before, nil)
				tried++
			}
		}
	}
	if tried < 100 {
		t.Errorf("tried %d wrong calls", tried)
	}
}

// TestNotGranted calls every function that names a model with one that there is not, and reads weights without the grant.
func TestNotGranted(t *testing.T) {
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	info := m.Info()
	v := valid{t, modelID(t, m) ^ 1, map[string]uint64{"hidden_size": uint64(info.Hidden), "vocab_size": uint64(info.Vocab)}}
	g := load(t, newRuntime(t, Options{}), forwarder(), GuestOptions{})
	denied := -int32(realm.CodePermissionDenied)
	for _, f := range abi.Functions() {
		if len(f.Params) == 0 || f.Params[0].Name != "model_id" {
			continue
		}
		c, _ := v.call(f)
		got := forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m}}}, v.data(f), c)
		if r := got.last(t); r != denied {
			t.Errorf("%s of a model that is not granted: %d", f.Name, r)
		}
		if got := forwardCalls(t.Context(), g, Request{}, v.data(f), c); got.last(t) != denied {
			t.Errorf("%s without any grant: %d", f.Name, got.last(t))
		}
	}
	v.model ^= 1
	c, _ := v.call(abi.Functions()[slices.IndexFunc(abi.Functions(), func(f abi.Func) bool { return f.Name == abi.GetTensor })])
	data := []byte("output_norm.weight")
	if got := forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m}}}, data, c); got.last(t) != denied || got.WeightBytes != 0 {
		t.Errorf("a tensor without the grant: %d, %d bytes of weights", got.last(t), got.WeightBytes)
	}
	got := forwardCalls(t.Context(), g, Request{Models: []Grant{{Model: m, Tensors: true}}}, data, c)
	if got.last(t) != int32(info.Hidden) || got.WeightBytes != int64(4*info.Hidden) {
		t.Errorf("a tensor: %d values, %d bytes of weights", got.last(t), got.WeightBytes)
	}
	want := make([]float32, info.Hidden)
	if err := m.Tensor(t.Context(), string(data), want); err != nil || !bytes.Equal(got.memory[freeAt:][:4*info.Hidden], floatBytes(want)) {
		t.Errorf("a tensor: other values than Model.Tensor's, error %v", err)
	}
}
