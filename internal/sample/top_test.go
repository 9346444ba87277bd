package sample

import (
	"cmp"
	"math"
	"slices"
	"testing"
)

// largest returns what SampleTop wants, the slow and obvious way.
func largest(logits []float32, n int) (ids []int32, top []float32) {
	all := make([]int32, len(logits))
	for i := range all {
		all[i] = int32(i)
	}
	slices.SortStableFunc(all, func(i, j int32) int {
		a, b := logits[i], logits[j]
		if (a != a) != (b != b) { // cmp has NaN below all numbers
			return cmp.Compare(a, b)
		}
		return cmp.Compare(b, a)
	})
	for _, id := range all[:n] {
		ids, top = append(ids, id), append(top, logits[id])
	}
	return ids, top
}

// TestSampleTopIsSample draws with two samplers, of which one sees the largest logits only.
func TestSampleTopIsSample(t *testing.T) {
	const vocab = 600
	random := splitMix64(5)
	pick := func(choices ...float32) float32 { return choices[random.uint64()%uint64(len(choices))] }
	partial := 0
	for round := range 200 {
		p := Params{
			Temperature: pick(0, 0.5, 1, 2), TopK: int(pick(1, 2, 40, 150, 0)), TopP: pick(0, 0.5, 0.95, 1),
			MinP: pick(0, 0.05, 0.5), RepeatPenalty: pick(1, 1, 1.3, 4, 0.9), FrequencyPenalty: pick(0, 0, 0.5, -1),
			PresencePenalty: pick(0, 0, 2, -0.5), RepeatLastN: int(pick(0, 64, 5, -1)), Seed: uint64(round),
		}
		for range int(pick(0, 0, 3)) {
			if p.LogitBias == nil {
				p.LogitBias = map[int32]float32{}
			}
			p.LogitBias[int32(random.uint64()%vocab)] = pick(-1, -4, float32(math.Inf(-1)), 0, 3)
		}
		a, err := New(p, vocab)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := New(p, vocab)
		for step := range 60 {
			logits := bell(vocab, uint64(step%7), 3) // few shapes, so that tokens come again and penalties matter
			want, err := a.Sample(logits)
			if err != nil {
				t.Fatal(err)
			}
			got := int32(-1)
			if n := b.Need(); n > 0 {
				partial++
				got, err = b.SampleTop(largest(logits, n))
			} else {
				got, err = b.Sample(logits)
			}
			if err != nil || got != want {
				t.Fatalf("%+v: step %d: token %d, %v, want %d", p, step, got, err, want)
			}
			a.Accept(want)
			b.Accept(want)
		}
	}
	if partial < 3000 {
		t.Errorf("only %d steps went without all logits", partial)
	}
}

func TestNeed(t *testing.T) {
	with := func(change func(*Params)) Params {
		p := Defaults()
		change(&p)
		return p
	}
	for name, tc := range map[string]struct {
		p    Params
		want int // after three tokens, two of them the same
	}{
		"defaults":   {Defaults(), 40},
		"greedy":     {Params{}, 1},
		"no top-k":   {with(func(p *Params) { p.TopK = 0 }), 0},
		"all":        {with(func(p *Params) { p.TopK = 1000 }), 0},
		"too many":   {with(func(p *Params) { p.TopK = 400 }), 0},
		"penalty":    {with(func(p *Params) { p.RepeatPenalty = 1.1 }), 42},
		"reward":     {with(func(p *Params) { p.RepeatPenalty = 0.9 }), 0},
		"reward 2":   {with(func(p *Params) { p.PresencePenalty = -0.1 }), 0},
		"bans":       {with(func(p *Params) { p.LogitBias = map[int32]float32{5: float32(math.Inf(-1))} }), 41},
		"favourites": {with(func(p *Params) { p.LogitBias = map[int32]float32{5: 0.5} }), 0},
	} {
		s, err := New(tc.p, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []int32{7, 8, 7} {
			s.Accept(token)
		}
		if got := s.Need(); got != tc.want {
			t.Errorf("%s: needs %d, want %d", name, got, tc.want)
		}
	}
}

func TestSampleTopErrors(t *testing.T) {
	s, _ := New(Params{}, 10)
	if _, err := s.SampleTop([]int32{1, 2}, []float32{1, 0}); err != ErrLogitsLength {
		t.Errorf("two logits for greedy sampling: %v", err)
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		if _, err := s.SampleTop([]int32{1}, []float32{bad}); err != ErrLogits {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
