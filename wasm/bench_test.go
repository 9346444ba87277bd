package wasm

import (
	"iter"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/abi"
)

// benchModel is the model of REALM_MODEL.
func benchModel(b *testing.B) *realm.Model {
	b.Helper()
	path := os.Getenv("REALM_MODEL")
	if path == "" {
		b.Skip("REALM_MODEL is not set")
	}
	m, err := realm.Open(path, realm.Options{ContextLength: 1024})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	if err := m.Prepare(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	return m
}

// steps times the steps of an answer: what passes from one step's logits to the next's, sampling and all.
type steps struct {
	last time.Time
	took []time.Duration
}

func (s *steps) begin(r realm.Request) realm.Request {
	s.last = time.Time{}
	r.OnLogits = func([]float32) {
		now := time.Now()
		if !s.last.IsZero() {
			s.took = append(s.took, now.Sub(s.last))
		}
		s.last = now
	}
	return r
}

// typical is the first decile, which a busy machine disturbs least.
func (s *steps) typical() time.Duration {
	slices.Sort(s.took)
	return s.took[len(s.took)/10]
}

// BenchmarkSandbox answers natively and through the guest that ships, in turns, and reports the time of a step of each and
// their difference: on a tiny model, where hardly anything else takes time, and on the model of REALM_MODEL.
func BenchmarkSandbox(b *testing.B) {
	g := load(b, newRuntime(b, Options{}), shippedGuest(b), GuestOptions{Warm: 1})
	greedy, sampled := realm.Sampling{TopP: 1, RepeatPenalty: 1}, realm.DefaultSampling()
	for name, sampling := range map[string]*realm.Sampling{"greedy": &greedy, "sampled": &sampled} {
		r := realm.Request{Prompt: story, MaxTokens: 65, IgnoreEndOfGeneration: true, Sampling: sampling}
		compare := func(b *testing.B, m *realm.Model) {
			s, err := m.NewSession()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var native, guest steps
			for b.Loop() {
				for _, err := range s.Generate(b.Context(), native.begin(r)) {
					if err != nil {
						b.Fatal(err)
					}
				}
				for _, err := range g.Generate(b.Context(), m, guest.begin(r), RunOptions{Limits: DefaultLimits()}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			n, w := native.typical(), guest.typical()
			b.ReportMetric(float64(n.Nanoseconds()), "native-ns/token")
			b.ReportMetric(float64(w.Nanoseconds()), "guest-ns/token")
			b.ReportMetric(float64((w - n).Nanoseconds()), "cost-ns/token")
		}
		b.Run("tiny/"+name, func(b *testing.B) { compare(b, newModel(b, "tiny-llama-q4_k", realm.Options{Threads: 1})) })
		b.Run("model/"+name, func(b *testing.B) { compare(b, benchModel(b)) })
	}
}

// BenchmarkPrompt has a prompt of about 512 tokens answered with one token natively and through the guest that ships, in
// turns, and reports the medians of what each took until the logits were there, and of the guest's cost in each round. Text
// and tokenizer are in it, and a guest's clean instance.
func BenchmarkPrompt(b *testing.B) {
	m := benchModel(b)
	g := load(b, newRuntime(b, Options{}), shippedGuest(b), GuestOptions{Warm: 1})
	s, err := m.NewSession()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := realm.Request{Prompt: prose(b, m, 512), MaxTokens: 1, IgnoreEndOfGeneration: true}
	var start time.Time
	var prompt int
	answer := func(times *[]time.Duration, chunks func(r realm.Request) iter.Seq2[realm.Chunk, error]) {
		r.OnLogits = func([]float32) { *times = append(*times, time.Since(start)) }
		start = time.Now()
		for c, err := range chunks(r) {
			if err != nil {
				b.Fatal(err)
			}
			if c.Usage.PromptTokens > 0 {
				prompt = c.Usage.PromptTokens
			}
		}
	}
	var native, guest []time.Duration
	ways := []func(){
		func() {
			answer(&native, func(r realm.Request) iter.Seq2[realm.Chunk, error] { return s.Generate(b.Context(), r) })
			if err := s.Truncate(0); err != nil { // so that the guest's session, too, finds the cache's memory free
				b.Fatal(err)
			}
		},
		func() {
			answer(&guest, func(r realm.Request) iter.Seq2[realm.Chunk, error] {
				return g.Generate(b.Context(), m, r, RunOptions{Limits: DefaultLimits()})
			})
		},
	}
	for round := 0; b.Loop(); round++ {
		ways[round%2]()
		ways[1-round%2]()
	}
	ratios := make([]float64, len(native))
	for i := range ratios {
		ratios[i] = 100 * (guest[i].Seconds()/native[i].Seconds() - 1)
	}
	slices.Sort(ratios)
	slices.Sort(native)
	slices.Sort(guest)
	b.ReportMetric(float64(prompt), "tokens")
	b.ReportMetric(native[len(native)/2].Seconds()*1e3, "native-ms")
	b.ReportMetric(guest[len(guest)/2].Seconds()*1e3, "guest-ms")
	b.ReportMetric(ratios[len(ratios)/2], "%cost")
}

// BenchmarkLayers computes tokens one by one natively, in a guest by realm_forward and in a guest layer by layer, in turns,
// and reports the time of a token of each.
func BenchmarkLayers(b *testing.B) {
	m := benchModel(b)
	const prompt, tokens, hidden = 8, 24, freeAt + 1<<18
	info, id := m.Info(), modelID(b, m)
	ids := make([]uint32, prompt+tokens)
	own := make([]int32, len(ids))
	for i := range ids {
		ids[i], own[i] = uint32(i+1), int32(i+1)
	}
	h := uint32(info.Hidden)
	whole := []hostCall{call(abi.Forward, id, dataAt, prompt, 0, freeAt)}
	layers := slices.Clone(whole)
	for p := uint32(prompt); p < prompt+tokens; p++ {
		at := uint32(dataAt) + 4*p
		whole = append(whole, call(abi.Forward, id, at, 1, p, freeAt))
		layers = append(layers, call(abi.EmbedTokens, id, at, 1, hidden))
		for layer := range uint32(info.Layers) {
			layers = append(layers, call(abi.ForwardLayer, id, layer, hidden, h, p, hidden))
		}
		layers = append(layers, call(abi.ComputeLogits, id, hidden, h, freeAt))
	}
	g := load(b, newRuntime(b, Options{}), forwarder(), GuestOptions{Warm: 1})
	r := Request{Models: []Grant{{Model: m}}}
	s, err := m.NewSession()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ways := map[string]func(){
		"native": func() {
			for p := 0; p < len(own); {
				n := 1
				if p == 0 {
					n = prompt
				}
				if _, err := s.Forward(b.Context(), own[p:p+n], p); err != nil {
					b.Fatal(err)
				}
				p += n
			}
		},
		"guest":  func() { forwardCalls(b.Context(), g, r, request(ids...), whole...).last(b) },
		"layers": func() { forwardCalls(b.Context(), g, r, request(ids...), layers...).last(b) },
	}
	best := map[string]time.Duration{}
	for b.Loop() {
		for name, run := range ways {
			start := time.Now()
			run()
			if took := time.Since(start); best[name] == 0 || took < best[name] {
				best[name] = took
			}
		}
	}
	for name, took := range best {
		b.ReportMetric(float64(took.Microseconds())/float64(prompt+tokens), name+"-µs/token")
	}
}

// BenchmarkInstance makes instances of the guest that ships, with the model's vocabulary ready.
func BenchmarkInstance(b *testing.B) {
	m := benchModel(b)
	g := load(b, newRuntime(b, Options{}), shippedGuest(b), GuestOptions{})
	r := realm.Request{Prompt: "a", MaxTokens: 1}
	for _, err := range g.Generate(b.Context(), m, r, RunOptions{}) {
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, im := range g.images.byModels {
		b.ReportAllocs()
		best := time.Hour
		for b.Loop() {
			start := time.Now()
			in, err := im.instantiate()
			best = min(best, time.Since(start))
			if err != nil {
				b.Fatal(err)
			}
			in.close()
		}
		b.ReportMetric(float64(best.Microseconds()), "best-µs")
		b.ReportMetric(float64(im.size), "memory-bytes")
	}
}

// BenchmarkGuestsAtOnce answers with 1 and with 8 guests at a time.
func BenchmarkGuestsAtOnce(b *testing.B) {
	m := benchModel(b)
	g := load(b, newRuntime(b, Options{}), shippedGuest(b), GuestOptions{Warm: 8})
	r := realm.Request{Prompt: story, MaxTokens: 32, IgnoreEndOfGeneration: true, Sampling: &realm.Sampling{TopP: 1, RepeatPenalty: 1}}
	for name, n := range map[string]int{"1": 1, "8": 8} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var all sync.WaitGroup
				for range n {
					all.Go(func() {
						for _, err := range g.Generate(b.Context(), m, r, RunOptions{Limits: DefaultLimits()}) {
							if err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
			}
			b.ReportMetric(float64(b.N*n*r.MaxTokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// BenchmarkLoad loads the guest that ships, compiled before and not.
func BenchmarkLoad(b *testing.B) {
	module := shippedGuest(b)
	dir := b.TempDir()
	for _, name := range []string{"cold", "cached"} {
		b.Run(name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				o := Options{CacheDir: dir}
				if name == "cold" {
					o.CacheDir = ""
				}
				r, err := NewRuntime(o)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Load(b.Context(), module, GuestOptions{}); err != nil {
					b.Fatal(err)
				}
				_ = r.Close()
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N), "allocated-B")
		})
	}
}
