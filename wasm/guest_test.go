package wasm

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// The guest that ships, built once for all tests. REALM_GUEST names one that was built otherwise, such as with TinyGo.
var shipped struct {
	once   sync.Once
	module []byte
	err    error
}

func shippedGuest(t testing.TB) []byte {
	t.Helper()
	shipped.once.Do(func() {
		path := os.Getenv("REALM_GUEST")
		if path == "" {
			path = filepath.Join(t.TempDir(), "guest.wasm")
			build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", path,
				"github.com/realm-ai/realm/cmd/realm-guest")
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Logf("%s", out)
				shipped.err = err
				return
			}
		}
		shipped.module, shipped.err = os.ReadFile(path)
	})
	if shipped.err != nil {
		t.Fatal(shipped.err)
	}
	return shipped.module
}

// answer is what the shipped guest answers.
type answer struct {
	text   string
	result abi.Result
	Result
}

func ask(t testing.TB, g *Guest, m *realm.Model, r abi.Request, limits Limits) answer {
	t.Helper()
	r.Model = modelID(t, m)
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	a.Result, err = g.Run(t.Context(), Request{
		Body: body, Models: []Grant{{Model: m}}, Limits: limits,
		OnEmit: func(kind uint32, chunk []byte) error {
			if kind == EmitText {
				a.text += string(chunk)
			}
			return nil
		},
		OnLog: func(line string) { t.Log("guest:", line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(a.Body, &a.result); err != nil {
		t.Fatal(err)
	}
	return a
}

// native is the same request to the engine.
func native(t testing.TB, m *realm.Model, r abi.Request, onLogits func([]float32)) answer {
	t.Helper()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	req := realm.Request{
		Prompt: r.Prompt, MaxTokens: r.MaxTokens, Stop: r.Stop, IgnoreEndOfGeneration: r.IgnoreEndOfGeneration, OnLogits: onLogits,
	}
	if r.Sampling != nil {
		sampling := realm.DefaultSampling()
		sampling.Temperature, sampling.TopK, sampling.TopP, sampling.MinP = r.Sampling.Temperature, r.Sampling.TopK, r.Sampling.TopP, r.Sampling.MinP
		sampling.Seed = r.Sampling.Seed
		req.Sampling = &sampling
	}
	var a answer
	for c, err := range s.Generate(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		a.text += c.Text
		if c.Token >= 0 {
			a.result.Tokens = append(a.result.Tokens, c.Token)
		}
		a.result.FinishReason = string(c.Finish)
	}
	return a
}

const story = "One day a model was cut into small pages, and each page went to another machine. "

// TestShippedGuest holds the guest to the native engine's answers, with the compiler and the interpreter, alone and among
// others, for the same fuel.
func TestShippedGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the guest")
	}
	module := shippedGuest(t)
	m := newModel(t, "tiny-llama-q4_k", realm.Options{})
	var requests []abi.Request
	for seed := range uint64(3) {
		requests = append(requests, abi.Request{
			Prompt: strings.Repeat(story, int(seed)+1), MaxTokens: 20, IgnoreEndOfGeneration: true,
			Sampling: &abi.Sampling{Temperature: float32(seed), TopK: 40, TopP: 0.95, MinP: 0.05, RepeatPenalty: 1, Seed: seed},
		})
	}
	var want []answer
	for _, r := range requests {
		want = append(want, native(t, m, r, nil))
	}
	var fuel [3]uint64
	compare := func(t *testing.T, i int, got answer) {
		t.Helper()
		if !reflect.DeepEqual(got.result.Tokens, want[i].result.Tokens) || got.text != want[i].text ||
			got.result.FinishReason != want[i].result.FinishReason {
			t.Errorf("request %d: %+v %q, want %+v %q", i, got.result, got.text, want[i].result, want[i].text)
		}
		if fuel[i] == 0 {
			fuel[i] = got.Fuel
		}
		if got.Fuel != fuel[i] {
			t.Errorf("request %d: %d units of fuel, then %d", i, fuel[i], got.Fuel)
		}
		if got.WeightBytes != 0 {
			t.Errorf("request %d: %d bytes of weights", i, got.WeightBytes)
		}
	}
	g := load(t, newRuntime(t, Options{}), module, GuestOptions{Warm: 1})
	for range 2 {
		for i, r := range requests {
			compare(t, i, ask(t, g, m, r, DefaultLimits()))
		}
	}
	var all sync.WaitGroup
	for range 17 { // each among 50 others
		for i, r := range requests {
			all.Go(func() { compare(t, i, ask(t, g, m, r, DefaultLimits())) })
		}
	}
	all.Wait()
	slow := load(t, newRuntime(t, Options{Interpreter: true}), module, GuestOptions{})
	compare(t, 0, ask(t, slow, m, requests[0], Limits{}))
	got := ask(t, g, m, requests[0], Limits{})
	t.Logf("fuel %d, memory %d, calls %v", got.Fuel, got.MemoryBytes, got.HostCalls)
}
