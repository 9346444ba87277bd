package cpu

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	all := sets{Generic: true, NEON: true, AVX2: true, AVX512: true, AMX: true}
	tiles := sets{Generic: true, AVX2: true, AVX512: true, AMX: true}
	amd64 := sets{Generic: true, AVX2: true, AVX512: true}
	old := sets{Generic: true, AVX2: true}
	arm64 := sets{Generic: true, NEON: true}
	none := sets{Generic: true}
	for _, tc := range []struct {
		asked string
		can   sets
		want  Set
	}{
		{"", tiles, AMX},
		{"", amd64, AVX512},
		{"", old, AVX2},
		{"", arm64, NEON},
		{"", none, Generic},
		{"avx512", amd64, AVX512},
		{"amx", tiles, AMX},
		{"amx", amd64, AVX512},
		{"avx512", tiles, AVX512},
		{"AVX512", amd64, AVX512},
		{"avx512", old, AVX2},
		{"avx512", none, Generic},
		{"avx2", amd64, AVX2},
		{"avx2", none, Generic},
		{"neon", amd64, Generic},
		{"neon", arm64, NEON},
		{"generic", all, Generic},
		{"sse9", amd64, AVX512},
	} {
		if got := choose(tc.asked, func(s Set) bool { return tc.can[s] }); got != tc.want {
			t.Errorf("%q of %v: %v, want %v", tc.asked, tc.can, got, tc.want)
		}
	}
}

// TestAvailable compares the answer with Linux's, where there is one.
func TestAvailable(t *testing.T) {
	if !Available(Generic) {
		t.Error("no generic kernels")
	}
	if s := Chosen(); !Available(s) {
		t.Errorf("%v is chosen, but not available", s)
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	heading := map[string]string{"amd64": "flags\t", "arm64": "Features\t"}[runtime.GOARCH]
	_, flags, found := strings.Cut(string(info), heading) // qemu may show its own machine's
	if err != nil || !found || !assembly {
		t.Skip("nothing to compare with")
	}
	flags, _, _ = strings.Cut(flags, "\n")
	flags += " "
	wants := map[Set]string{
		AVX2:   "avx2 fma f16c",
		AVX512: "avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_vnni",
		AMX:    "avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_vnni amx_tile amx_int8",
	}
	if runtime.GOARCH == "arm64" {
		wants = map[Set]string{NEON: "asimd asimddp"}
	}
	for s, need := range wants {
		want := true
		for f := range strings.FieldsSeq(need) {
			want = want && strings.Contains(flags, " "+f+" ")
		}
		if s == AMX && want && !Available(s) {
			t.Log("Linux lets this process use no tiles")
			continue
		}
		if Available(s) != want {
			t.Errorf("%v: available %v, want %v", s, Available(s), want)
		}
	}
}
