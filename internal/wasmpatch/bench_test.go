package wasmpatch

import (
	"context"
	"os"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/realm-ai/realm/internal/wasmtest"
)

// tightLoops are those in which a meter costs most, over 49152 numbers: as many as a vocabulary has logits.
var tightLoops = map[string]string{
	"sum": "loop local.get 1 local.get 2 i32.load 0 i32.add local.set 1 " +
		"local.get 2 i32.const 4 i32.add local.tee 2 i32.const 196608 i32.lt_u br_if 0 end local.get 1",
	"argmax": "f32.const -3e38 local.set 4 loop local.get 2 f32.load 0 local.get 4 f32.gt " +
		"if local.get 2 f32.load 0 local.set 4 local.get 2 local.set 3 end " +
		"local.get 2 i32.const 4 i32.add local.tee 2 i32.const 196608 i32.lt_u br_if 0 end local.get 3",
	"calls": "loop local.get 1 call 1 local.set 1 " +
		"local.get 2 i32.const 4 i32.add local.tee 2 i32.const 196608 i32.lt_u br_if 0 end local.get 1",
}

// tightLoop makes a module that exports a loop as "f".
func tightLoop(name string) []byte {
	var m wasmtest.Module
	locals := []byte{wasmtest.I32, wasmtest.I32, wasmtest.I32, wasmtest.F32}
	loop := m.Func(i32, i32, locals, tightLoops[name])
	m.Func(i32, i32, nil, "local.get 0 local.get 0 i32.xor")
	m.Memory(4, 4)
	m.Export("f", 0, loop)
	m.Export("memory", 2, 0)
	return m.Bytes()
}

func BenchmarkTightLoop(b *testing.B) {
	for _, name := range []string{"sum", "argmax", "calls"} {
		module := tightLoop(name)
		for _, version := range []struct {
			name   string
			module []byte
		}{{"plain", module}, {"metered", patch(b, module)}} {
			b.Run(name+"/"+version.name, func(b *testing.B) {
				r := instantiate(b, wazero.NewRuntimeConfigCompiler(), version.module, 1<<17)
				run := r.m.ExportedFunction("f")
				stack := make([]uint64, 1)
				for b.Loop() {
					stack[0] = 0
					if err := run.CallWithStack(context.Background(), stack); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPatch patches the module that REALM_GUEST names.
func BenchmarkPatch(b *testing.B) {
	path := os.Getenv("REALM_GUEST")
	if path == "" {
		b.Skip("REALM_GUEST names no module")
	}
	module, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(module)))
	var out *Patched
	for b.Loop() {
		if out, err = Patch(module, Options{MemoryPages: 1024, TableElements: 1 << 20}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(out.Module))/float64(len(module)), "size")
}
