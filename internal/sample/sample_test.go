package sample

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"
)

// bell returns seeded logits in a bell shape, coarse enough that many are equal.
func bell(vocab int, seed uint64, scale float64) []float32 {
	random := splitMix64(seed)
	out := make([]float32, vocab)
	for i := range out {
		sum := -2.0
		for range 4 {
			sum += random.float64()
		}
		out[i] = float32(math.Round(sum*scale*64) / 64)
	}
	return out
}

// reference draws a token the slow and obvious way: everything sorted, package math's functions, a fresh slice for
// every stage. It returns what it drew from as well.
func reference(p Params, logits []float32, recent []int32, u float64) (int32, []int32) {
	type entry struct {
		id    int32
		logit float64
	}
	var all []entry
	if p.RepeatLastN >= 0 && len(recent) > p.RepeatLastN {
		recent = recent[len(recent)-p.RepeatLastN:]
	}
	for i, l := range logits {
		l += p.LogitBias[int32(i)]
		n := 0
		for _, r := range recent {
			if r == int32(i) {
				n++
			}
		}
		if n > 0 {
			if l > 0 {
				l /= p.RepeatPenalty
			} else {
				l *= p.RepeatPenalty
			}
			l -= float32(n)*p.FrequencyPenalty + p.PresencePenalty
		}
		all = append(all, entry{int32(i), float64(l)})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].logit > all[j].logit })
	if p.Temperature <= 0 {
		all = all[:1]
	}
	if p.TopK > 0 {
		all = all[:min(p.TopK, len(all))]
	}
	softmax := func(temperature float64) []float64 {
		sum := 0.0
		out := make([]float64, len(all))
		for i, e := range all {
			out[i] = math.Exp((e.logit - all[0].logit) / temperature)
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	reached := 0.0
	for i, q := range softmax(1) {
		if reached += q; reached >= float64(p.TopP) && p.TopP < 1 {
			all = all[:i+1]
			break
		}
	}
	var kept []entry
	probabilities := softmax(1)
	for i, e := range all {
		if probabilities[i] >= float64(p.MinP)*probabilities[0] {
			kept = append(kept, e)
		}
	}
	all = kept
	var ids []int32
	for _, e := range all {
		ids = append(ids, e.id)
	}
	if p.Temperature <= 0 {
		return ids[0], ids
	}
	reached = 0
	for i, q := range softmax(float64(p.Temperature)) {
		if reached += q; reached > u {
			return ids[i], ids
		}
	}
	return ids[len(ids)-1], ids
}

func TestSampleAgreesWithReference(t *testing.T) {
	const vocab = 1000
	with := func(change func(*Params)) Params {
		p := Defaults()
		p.Seed = 7
		change(&p)
		return p
	}
	for name, p := range map[string]Params{
		"defaults":      Defaults(),
		"greedy":        with(func(p *Params) { p.Temperature = 0 }),
		"negative":      with(func(p *Params) { p.Temperature = -1; p.RepeatPenalty = 2 }),
		"no truncation": with(func(p *Params) { p.TopK, p.TopP, p.MinP = vocab-1, 1, 0 }),
		"top-p":         with(func(p *Params) { p.TopK, p.MinP = 0, 0; p.TopP = 0.7 }),
		"top-p 0":       with(func(p *Params) { p.TopK, p.TopP = 0, 0 }),
		"top-p and min-p": with(func(p *Params) {
			p.TopK, p.TopP, p.MinP = -1, 0.9, 0.3
		}),
		"hot":            with(func(p *Params) { p.Temperature = 3; p.TopK = 500 }),
		"penalties":      with(func(p *Params) { p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty = 1.2, 0.25, 0.5 }),
		"short window":   with(func(p *Params) { p.RepeatPenalty, p.RepeatLastN = 1.5, 3 }),
		"whole sequence": with(func(p *Params) { p.FrequencyPenalty, p.RepeatLastN = 0.5, -1 }),
		"bias": with(func(p *Params) {
			p.LogitBias = map[int32]float32{1: 4, 3: float32(math.Inf(-1)), 999: 3.5}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(p, vocab)
			if err != nil {
				t.Fatal(err)
			}
			random := splitMix64(p.Seed)
			var recent []int32
			for step := range 150 {
				logits := bell(vocab, uint64(step), 3)
				before := slices.Clone(logits)
				u := 0.0
				if p.Temperature > 0 && p.TopK != 1 {
					u = random.float64()
				}
				want, from := reference(p, logits, recent, u)
				got, err := s.Sample(logits)
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Fatalf("step %d: token %d, want %d, drawn from %v", step, got, want, from)
				}
				if !slices.Equal(logits, before) {
					t.Fatal("Sample changed the caller's logits")
				}
				s.Accept(got)
				recent = append(recent, got)
			}
		})
	}
}

func TestTiesGoToTheLowerID(t *testing.T) {
	p := Defaults()
	p.Temperature = 0
	logits := make([]float32, 100)
	logits[40], logits[41], logits[99] = 1, 1, 1
	s, _ := New(p, len(logits))
	if got, err := s.Sample(logits); got != 40 || err != nil {
		t.Errorf("greedy: token %d, %v, want 40", got, err)
	}
	kept, _ := topK(nil, logits, 5)
	if got, want := ids(kept), []int32{40, 41, 99, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("topK = %v, want %v", got, want)
	}
	if kept, _ = topK(nil, logits, 2); !slices.Equal(ids(kept), []int32{40, 41}) {
		t.Errorf("topK cut among equals = %v, want the lower IDs", ids(kept))
	}
}

func TestUnusableLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, change := range map[string]func([]float32){
		"NaN first":         func(l []float32) { l[0] = nan },
		"NaN last":          func(l []float32) { l[len(l)-1] = nan },
		"+Inf":              func(l []float32) { l[50] = inf },
		"only -Inf":         func(l []float32) { fill(l, -inf) },
		"only -Inf and NaN": func(l []float32) { fill(l, -inf); l[70] = nan },
	} {
		for _, k := range []int{0, 1, 40} {
			t.Run(fmt.Sprintf("%s, top-k %d", name, k), func(t *testing.T) {
				logits := bell(100, 1, 3)
				change(logits)
				p := Defaults()
				p.TopK, p.TopLogprobs = k, 5
				s, _ := New(p, len(logits))
				if _, err := s.Sample(logits); !errors.Is(err, ErrLogits) {
					t.Errorf("Sample: error %v, want ErrLogits", err)
				}
				if _, _, err := s.Logprobs(logits, 3); !errors.Is(err, ErrLogits) {
					t.Errorf("Logprobs: error %v, want ErrLogits", err)
				}
			})
		}
	}
	s, _ := New(Defaults(), 10)
	if _, err := s.Sample(make([]float32, 9)); !errors.Is(err, ErrLogitsLength) {
		t.Errorf("9 logits for 10 tokens: error %v, want ErrLogitsLength", err)
	}
	logits := bell(100, 1, 3)
	fill(logits, -inf)
	logits[77] = -1e30
	for _, k := range []int{0, 1, 40} {
		p := Defaults()
		p.TopK = k
		s, _ := New(p, len(logits))
		if got, err := s.Sample(logits); got != 77 || err != nil {
			t.Errorf("top-k %d, all banned but one: token %d, %v, want 77", k, got, err)
		}
	}
}

func fill(l []float32, v float32) {
	for i := range l {
		l[i] = v
	}
}

// TestDrawFollowsTheProbabilities is a chi-square test of 200,000 draws with fixed seeds.
func TestDrawFollowsTheProbabilities(t *testing.T) {
	logits := []float32{1, 0.5, -1, 2, -3, 0, 0.25, 1.5, -0.5, -2}
	for _, topK := range []int{0, 9} { // an unsorted heap, and sorted
		p := Params{Temperature: 1.5, TopP: 1, TopK: topK, Seed: 42}
		s, err := New(p, len(logits))
		if err != nil {
			t.Fatal(err)
		}
		const draws = 200_000
		seen := make([]float64, len(logits))
		for range draws {
			token, err := s.Sample(logits)
			if err != nil {
				t.Fatal(err)
			}
			seen[token]++
		}
		sum, n := 0.0, 0
		for i, l := range logits {
			if topK == 9 && i == 4 { // the least probable is cut
				continue
			}
			sum += math.Exp(float64(l) / 1.5)
			n++
		}
		chi := 0.0
		for i, l := range logits {
			if topK == 9 && i == 4 {
				if seen[i] != 0 {
					t.Error("a token that top-k cut was drawn")
				}
				continue
			}
			want := draws * math.Exp(float64(l)/1.5) / sum
			chi += (seen[i] - want) * (seen[i] - want) / want
		}
		// The 99.9% quantile of chi-square with 9 degrees of freedom is 27.9, with 8 it is 26.1.
		if chi > 26.1 {
			t.Errorf("top-k %d: chi-square %.1f over %d classes", topK, chi, n)
		}
	}
}

func TestSeedsAndReset(t *testing.T) {
	draw := func(s *Sampler) (out []int32) {
		for i := range 50 {
			token, err := s.Sample(bell(500, uint64(i), 1))
			if err != nil {
				t.Fatal(err)
			}
			s.Accept(token)
			out = append(out, token)
		}
		return out
	}
	p := Defaults()
	p.RepeatPenalty = 1.3
	a, _ := New(p, 500)
	first := draw(a)
	a.Reset()
	if again := draw(a); !slices.Equal(first, again) {
		t.Error("after Reset the same calls gave other tokens")
	}
	p.Seed++
	b, _ := New(p, 500)
	if slices.Equal(first, draw(b)) {
		t.Error("another seed gave the same 50 tokens")
	}
	// The first outputs for seed 1234567, as published with the algorithm's reference code.
	random := splitMix64(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		if got := random.uint64(); got != want {
			t.Errorf("SplitMix64 output %d = %d, want %d", i, got, want)
		}
	}
}

func TestParamsAreChecked(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for field, changes := range map[string][]func(*Params){
		"Temperature":      {func(p *Params) { p.Temperature = nan }, func(p *Params) { p.Temperature = inf }},
		"TopP":             {func(p *Params) { p.TopP = 1.01 }, func(p *Params) { p.TopP = -0.1 }, func(p *Params) { p.TopP = nan }},
		"MinP":             {func(p *Params) { p.MinP = 2 }, func(p *Params) { p.MinP = nan }},
		"RepeatPenalty":    {func(p *Params) { p.RepeatPenalty = 0 }, func(p *Params) { p.RepeatPenalty = inf }},
		"FrequencyPenalty": {func(p *Params) { p.FrequencyPenalty = nan }},
		"PresencePenalty":  {func(p *Params) { p.PresencePenalty = -inf }},
		"RepeatLastN":      {func(p *Params) { p.RepeatLastN = -2 }},
		"TopLogprobs":      {func(p *Params) { p.TopLogprobs = -1 }, func(p *Params) { p.TopLogprobs = 101 }},
		"LogitBias": {
			func(p *Params) { p.LogitBias = map[int32]float32{100: 1} },
			func(p *Params) { p.LogitBias = map[int32]float32{-1: 1} },
			func(p *Params) { p.LogitBias = map[int32]float32{1: nan} },
			func(p *Params) { p.LogitBias = map[int32]float32{1: inf} },
		},
	} {
		for i, change := range changes {
			p := Defaults()
			change(&p)
			_, err := New(p, 100)
			var perr *ParamError
			if !errors.As(err, &perr) || perr.Field != field {
				t.Errorf("%s, change %d: error %v, want a ParamError of that field", field, i, err)
			}
		}
	}
	for _, vocab := range []int{0, -1} {
		if _, err := New(Defaults(), vocab); err == nil {
			t.Errorf("a vocabulary of %d tokens was accepted", vocab)
		}
	}
	if _, err := New(Params{}, 100); err != nil {
		t.Errorf("the zero Params: %v", err)
	}
}

func TestLogprobs(t *testing.T) {
	logits := bell(1000, 5, 3)
	logits[7] = float32(math.Inf(-1))
	p := Defaults()
	p.TopLogprobs = 20
	p.LogitBias = map[int32]float32{3: 50} // must not show: these are the model's probabilities
	s, err := New(p, len(logits))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	order := make([]int32, len(logits))
	for i, l := range logits {
		sum += math.Exp(float64(l))
		order[i] = int32(i)
	}
	sort.SliceStable(order, func(i, j int) bool { return logits[order[i]] > logits[order[j]] })
	want := func(id int32) float64 { return float64(logits[id]) - math.Log(sum) }
	for _, token := range []int32{0, 3, 500, 999} {
		got, top, err := s.Logprobs(logits, token)
		if err != nil || math.Abs(float64(got)-want(token)) > 1e-6 {
			t.Errorf("token %d: %v, %v, want %v", token, got, err, want(token))
		}
		if len(top) != 20 {
			t.Fatalf("%d top tokens, want 20", len(top))
		}
		for i, e := range top {
			if e.ID != order[i] || math.Abs(float64(e.Logprob)-want(e.ID)) > 1e-6 {
				t.Errorf("top %d: %v, want token %d with %v", i, e, order[i], want(order[i]))
			}
		}
	}
	if got, _, err := s.Logprobs(logits, 7); err != nil || !math.IsInf(float64(got), -1) {
		t.Errorf("a token of logit -Inf: %v, %v", got, err)
	}
	for _, token := range []int32{-1, 1000} {
		if _, _, err := s.Logprobs(logits, token); !errors.Is(err, ErrToken) {
			t.Errorf("token %d: error %v, want ErrToken", token, err)
		}
	}
	p.TopLogprobs = len(logits)
	s, _ = New(p, len(logits))
	if _, top, err := s.Logprobs(logits, 0); err != nil || !slices.EqualFunc(top, order, func(e TokenLogprob, id int32) bool { return e.ID == id }) {
		t.Errorf("the whole vocabulary is not in order (%v)", err)
	}
}

func TestSamplingDoesNotAllocate(t *testing.T) {
	logits := bell(5000, 1, 3)
	for name, k := range map[string]int{"top-k": 40, "whole vocabulary": 0} {
		p := Defaults()
		p.TopK, p.RepeatPenalty, p.TopLogprobs = k, 1.1, 5
		s, _ := New(p, len(logits))
		step := func() {
			token, err := s.Sample(logits)
			if err != nil {
				t.Fatal(err)
			}
			s.Accept(token)
			if _, _, err = s.Logprobs(logits, token); err != nil {
				t.Fatal(err)
			}
		}
		for range 200 {
			step()
		}
		if n := testing.AllocsPerRun(100, step); n > 0 {
			t.Errorf("%s: %v allocations a token, want none", name, n)
		}
	}
}

func FuzzSample(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 200, 255, 0, 9}, float32(0.8), 40, float32(0.95), float32(0.05), float32(1.1), float32(0), float32(0), 64, uint64(0))
	f.Add([]byte{0x80, 0x7f, 0xc0, 0x7f, 0x80, 0xff}, float32(1), 0, float32(0.5), float32(0), float32(1), float32(1), float32(-1), -1, uint64(9))
	f.Add([]byte{0, 0, 0, 0}, float32(1e-45), 1, float32(0), float32(1), float32(1e-45), float32(3e38), float32(3e38), 1, uint64(1))
	f.Fuzz(func(t *testing.T, raw []byte, temp float32, k int, topP, minP, repeat, frequency, presence float32, lastN int, seed uint64) {
		// Two bytes are the upper half of a float32, as in bfloat16.
		var logits []float32
		for i := 0; i+1 < len(raw) && len(logits) < 4096; i += 2 {
			logits = append(logits, math.Float32frombits(uint32(raw[i+1])<<24|uint32(raw[i])<<16))
		}
		p := Params{
			Temperature: temp, TopK: k, TopP: topP, MinP: minP, RepeatPenalty: repeat, FrequencyPenalty: frequency,
			PresencePenalty: presence, RepeatLastN: lastN, Seed: seed, TopLogprobs: min(len(logits), 3),
		}
		s, err := New(p, len(logits))
		if err != nil {
			return
		}
		twin, _ := New(p, len(logits))
		for range 5 {
			token, err := s.Sample(logits)
			if n := twin.Need(); n > 0 {
				again, errAgain := twin.SampleTop(largest(logits, n))
				if again != token || !errors.Is(errAgain, err) {
					t.Fatalf("from the %d largest token %d (%v), else %d (%v)", n, again, errAgain, token, err)
				}
			} else {
				_, _ = twin.Sample(logits)
			}
			if err != nil {
				if !errors.Is(err, ErrLogits) {
					t.Fatalf("unexpected error %v", err)
				}
				return
			}
			if token < 0 || int(token) >= len(logits) {
				t.Fatalf("token %d of %d", token, len(logits))
			}
			if math.IsInf(float64(logits[token]), -1) {
				t.Fatalf("drew banned token %d", token)
			}
			s.Accept(token)
			twin.Accept(token)
			if _, _, err := s.Logprobs(logits, token); err != nil {
				t.Fatalf("Logprobs: %v", err)
			}
		}
	})
}

func BenchmarkSample(b *testing.B) {
	for _, vocab := range []int{49152, 151936} {
		for name, change := range map[string]func(*Params){
			"greedy":         func(p *Params) { p.Temperature = 0 },
			"defaults":       func(*Params) {},
			"penalties":      func(p *Params) { p.RepeatPenalty = 1.1 },
			"top-p only":     func(p *Params) { p.TopK, p.MinP = 0, 0 },
			"no truncation":  func(p *Params) { p.TopK, p.TopP, p.MinP = 0, 1, 0 },
			"top-p, flatter": func(p *Params) { p.TopK, p.MinP, p.TopP = 0, 0, 0.999 },
		} {
			b.Run(fmt.Sprintf("%d/%s", vocab, name), func(b *testing.B) {
				p := Defaults()
				change(&p)
				s, _ := New(p, vocab)
				logits := bell(vocab, 3, 10)
				b.ReportAllocs()
				for b.Loop() {
					token, err := s.Sample(logits)
					if err != nil {
						b.Fatal(err)
					}
					s.Accept(token)
				}
			})
		}
	}
}

func BenchmarkLogprobs(b *testing.B) {
	p := Defaults()
	p.TopLogprobs = 20
	logits := bell(49152, 3, 10)
	s, _ := New(p, len(logits))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Logprobs(logits, 5); err != nil {
			b.Fatal(err)
		}
	}
}
