package sample

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// goldenCase is one case of testdata/make_goldens.py.
type goldenCase struct {
	Name                        string
	Vocab, Shift                int
	Seed                        uint64
	TopK                        int     `json:"top_k"`
	TopP                        float32 `json:"top_p"`
	MinP                        float32 `json:"min_p"`
	Temp                        float32
	Repeat, Frequency, Presence float32
	LastN                       int `json:"last_n"`
	History                     []int32
	Bias                        map[int32]float32

	Adjusted      map[int32]float32 // logits after bias and penalties, of the tokens they may touch
	AfterTopK     []int32           `json:"after_top_k"`
	TopPKeeps     int               `json:"top_p_keeps"`
	Final         []int32           // after min-p, most probable first
	Probabilities []float64         // of the first ones of Final, after temperature
}

// logits are those of make_logits in testdata/make_goldens.py.
func (c *goldenCase) logits() []float32 {
	random := splitMix64(c.Seed)
	out := make([]float32, c.Vocab)
	for i := range out {
		a, b := random.uint64(), random.uint64()
		k := int64(a&0xffff+a>>16&0xffff+a>>32&0xffff+a>>48)<<6 | int64(b&63)
		out[i] = float32(math.Ldexp(float64(k-1<<23), -18-c.Shift))
	}
	return out
}

// TestAgreesWithLlamaCpp compares what is left after each stage with llama.cpp's own samplers.
func TestAgreesWithLlamaCpp(t *testing.T) {
	data, err := os.ReadFile("testdata/llamacpp.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Cases []goldenCase }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 20 {
		t.Fatalf("%d cases, want 20 or more", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		t.Run(c.Name, func(t *testing.T) {
			s, err := New(Params{
				Temperature: c.Temp, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, RepeatPenalty: c.Repeat,
				FrequencyPenalty: c.Frequency, PresencePenalty: c.Presence, RepeatLastN: c.LastN, LogitBias: c.Bias,
			}, c.Vocab)
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range c.History {
				s.Accept(token)
			}
			logits := s.adjust(c.logits())
			for id, want := range c.Adjusted {
				if logits[id] != want {
					t.Errorf("token %d: logit after bias and penalties %v, want %v", id, logits[id], want)
				}
			}
			k := c.TopK
			if k <= 0 || k > c.Vocab {
				k = c.Vocab
			}
			var ok bool
			if s.kept, ok = topK(s.kept, logits, k); !ok {
				t.Fatal("topK refused the logits")
			}
			if c.TopK > 0 && k < c.Vocab && !slices.Equal(ids(s.kept), c.AfterTopK) {
				t.Errorf("after top-k: %v, want %v", ids(s.kept), c.AfterTopK)
			}
			s.topP()
			if len(s.kept) != c.TopPKeeps {
				t.Errorf("top-p keeps %d tokens, want %d", len(s.kept), c.TopPKeeps)
			}
			s.minP()
			heapify(s.kept, after)
			sortHeap(s.kept)
			if !slices.Equal(ids(s.kept), c.Final) {
				t.Errorf("after min-p: %v, want %v", ids(s.kept), c.Final)
			}
			sum := s.weigh(c.Temp)
			for i, want := range c.Probabilities {
				// llama.cpp works in float32: a logit is rounded when it is divided by the temperature, and its expf
				// and sums round too.
				if got := s.weights[i] / sum; math.Abs(got-want) > 4e-6*want {
					t.Errorf("probability of token %d: %v, want %v", s.kept[i].id, got, want)
				}
			}
		})
	}
}

func ids(cs []candidate) []int32 {
	out := make([]int32, len(cs))
	for i, c := range cs {
		out[i] = c.id
	}
	return out
}
