package main

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
)

// Paths relative to the root of the repository, from where all programs are run.
const (
	realmPath = "build/realm"
	peerPath  = "build/peer"
)

// A side is one of the programs compared.
type side string

const (
	sideRealm side = "realm"
	sidePeer  side = "peer"     // llama.cpp's libraries, driven from C
	sideAPI   side = "peer_api" // node-llama-cpp's JavaScript
)

// model is one of the synthetic models of `realm synth`.
type model struct {
	shape       string
	firstTokens int // tokens of the prompt "a", BOS included
}

func (m model) path() string { return peerPath + "/" + m.shape + ".gguf" }

var models = []model{
	{"tinyllama-1.1b-q4_k_m", 2},
	{"smollm2-135m-q4_1", 1},
}

// task is what one process measures.
type task struct {
	name      string
	prompt    int  // tokens of prefill; 0 skips it
	decode    int  // tokens decoded in each sequence; 0 skips it
	depth     int  // tokens that each sequence holds before
	sequences int  // that decode together
	load      bool // open the model and compute one short prompt, nothing else
	cold      bool // with load: the first time, with nothing of the model in any cache
	once      bool // measure at the greatest number of threads only
	metrics   []metric
}

// context is the number of tokens that a sequence must hold, in the peer's granularity.
func (t task) context() int {
	return (max(t.prompt, t.depth+t.decode, 1) + 255) / 256 * 256
}

// metric is one row of the table for each model and number of threads.
type metric struct {
	name string
	unit string
	less bool // whether less is better
	get  func(m measurement) float64
}

// plan is everything that is to be measured.
type plan struct {
	rounds  int // alternations
	models  []model
	threads []int
	tasks   []task
	sides   []side
}

// sizes are the numbers of tokens of a plan.
type sizes struct {
	prompt, decode, depth int
	batches               []int // numbers of sequences; 1 is the plain decode
	batchDecode           int   // tokens that each sequence of a batch decodes
}

var (
	fullSizes  = sizes{prompt: 512, decode: 128, depth: 1024, batches: []int{4, 8, 16}, batchDecode: 32}
	quickSizes = sizes{prompt: 128, decode: 32, depth: 256, batches: []int{4}, batchDecode: 16}
)

func newPlan(c config) (plan, error) {
	p := plan{rounds: 5, models: models, threads: []int{1}, tasks: tasks(fullSizes), sides: []side{sideRealm, sidePeer}}
	if runtime.NumCPU() > 1 {
		p.threads = []int{1, 2}
	}
	if c.quick {
		p.rounds, p.models, p.threads, p.tasks = 2, models[1:], p.threads[len(p.threads)-1:], tasks(quickSizes)
	}
	if c.rounds > 0 {
		p.rounds = c.rounds
	}
	if c.api && c.backend == "" { // the package chooses the backend itself
		p.sides = append(p.sides, sideAPI)
	}
	if c.model != "" {
		i := slices.IndexFunc(models, func(m model) bool { return m.shape == c.model })
		if i < 0 {
			return plan{}, fmt.Errorf("no model %q here", c.model)
		}
		p.models = models[i : i+1]
	}
	return p, nil
}

// tasks lists what is measured of each model.
func tasks(s sizes) []task {
	decodes := func(name string) metric {
		return metric{name, "tokens/s", false, func(m measurement) float64 { return m.DecodeTPS }}
	}
	n := strconv.Itoa
	all := []task{
		{name: "speed", prompt: s.prompt, decode: s.decode, sequences: 1, metrics: []metric{
			{"prefill " + n(s.prompt), "tokens/s", false, func(m measurement) float64 { return m.PrefillTPS }},
			decodes("decode " + n(s.decode)),
		}},
		{
			name: "depth", decode: s.decode, depth: s.depth, sequences: 1,
			metrics: []metric{decodes("decode " + n(s.decode) + " @ " + n(s.depth))},
		},
	}
	for _, b := range s.batches {
		all = append(all, task{
			name: "batch-" + n(b), decode: s.batchDecode, sequences: b,
			metrics: []metric{decodes("decode " + n(s.batchDecode) + ", " + n(b) + " sequences")},
		})
	}
	after := " after " + n(s.prompt) + "+" + n(s.decode)
	all = append(all, task{
		name: "memory", prompt: s.prompt, decode: s.decode, depth: s.prompt, sequences: 1, once: true, metrics: []metric{
			{"resident" + after, "MiB", true, func(m measurement) float64 { return float64(m.Resident) / (1 << 20) }},
			{"peak" + after, "MiB", true, func(m measurement) float64 { return float64(m.Peak) / (1 << 20) }},
		},
	})
	for _, cold := range []bool{true, false} {
		how := "warm"
		if cold {
			how = "first"
		}
		all = append(all, task{name: "load-" + how, sequences: 1, load: true, cold: cold, once: true, metrics: []metric{
			{"load, " + how, "ms", true, func(m measurement) float64 { return m.LoadMS + m.PrepareMS }},
			{"load to first token, " + how, "ms", true, func(m measurement) float64 {
				return m.LoadMS + m.PrepareMS + m.WarmupMS
			}},
		}})
	}
	return all
}

// at reports whether the task is measured at a number of threads.
func (p plan) at(t task, threads int) bool {
	return !t.once || threads == slices.Max(p.threads)
}

// order is the sides in the order of a round: it turns by one each time, so that none is always the first.
func (p plan) order(round int) []side {
	k := round % len(p.sides)
	return slices.Concat(p.sides[k:], p.sides[:k])
}
