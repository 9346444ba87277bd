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
	shape         string
	firstTokens   int   // tokens of the prompt "a", BOS included
	contextLength int   // that the model has
	tokenBytes    int64 // of keys and values in F16
}

func (m model) path() string { return peerPath + "/" + m.shape + ".gguf" }

var models = []model{
	{"tinyllama-1.1b-q4_k_m", 2, 2048, 22 * 2 * 4 * 64 * 2},
	{"smollm2-135m-q4_1", 1, 8192, 30 * 2 * 3 * 64 * 2},
	{"smollm2-135m-q4_0", 1, 8192, 30 * 2 * 3 * 64 * 2},
}

// task is what one process measures.
type task struct {
	name      string
	prompt    int  // tokens of prefill; 0 skips it
	decode    int  // tokens decoded in each sequence; 0 skips it
	depth     int  // tokens that each sequence holds before
	sequences int  // that decode together
	load      load // open the model and compute one short prompt, nothing else
	once      bool // measure at the greatest number of threads only
	metrics   []metric
}

// load says whether a task is to load the model, and in which state the machine is then.
type load int

const (
	noLoad    load = iota
	loadFirst      // nothing of the model is in memory, nor anything of Realm's in its cache folder
	loadCold       // nothing is in memory
	loadWarm       // files are in the page cache
)

// context is the number of tokens that a sequence must hold, in the peer's granularity.
func (t task) context() int {
	return (max(t.depth+max(t.prompt, t.decode), 1) + 255) / 256 * 256
}

// metric is one row of the table for each model and number of threads.
type metric struct {
	name string
	unit string
	less bool // whether less is better
	get  func(s sample) float64
	// bound, if not nil, is what Realm found that the machine allows.
	bound func(m measurement) *bound
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
	deep, deepPrompt      int   // a depth that only some models have, and a prompt that fits behind it
}

var (
	fullSizes = sizes{
		prompt: 512, decode: 128, depth: 1024, batches: []int{4, 8, 16}, batchDecode: 32, deep: 8000, deepPrompt: 192,
	}
	quickSizes = sizes{
		prompt: 128, decode: 32, depth: 256, batches: []int{4}, batchDecode: 16, deep: 2500, deepPrompt: 64,
	}
)

func newPlan(c config) (plan, error) {
	p := plan{rounds: 5, models: models, threads: []int{1}, tasks: tasks(fullSizes), sides: []side{sideRealm, sidePeer}}
	if runtime.NumCPU() > 1 {
		p.threads = []int{1, 2}
	}
	if c.quick {
		p.rounds, p.models, p.threads, p.tasks = 2, models[1:2], p.threads[len(p.threads)-1:], tasks(quickSizes)
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
	n := strconv.Itoa
	prefills := func(name string) metric {
		return metric{
			name, "tokens/s", false, func(s sample) float64 { return s.Result.PrefillTPS },
			func(m measurement) *bound { return m.PrefillBound },
		}
	}
	decodes := func(name string) metric {
		return metric{
			name, "tokens/s", false, func(s sample) float64 { return s.Result.DecodeTPS },
			func(m measurement) *bound { return m.DecodeBound },
		}
	}
	all := []task{
		{
			name: "speed", prompt: s.prompt, decode: s.decode, sequences: 1,
			metrics: []metric{prefills("prefill " + n(s.prompt)), decodes("decode " + n(s.decode))},
		},
		{
			name: "depth", decode: s.decode, depth: s.depth, sequences: 1,
			metrics: []metric{decodes("decode " + n(s.decode) + " @ " + n(s.depth))},
		},
		{
			name: "deep", prompt: s.deepPrompt, decode: s.decode, depth: s.deep, sequences: 1, once: true,
			metrics: []metric{
				prefills("prefill " + n(s.deepPrompt) + " @ " + n(s.deep)), decodes("decode " + n(s.decode) + " @ " + n(s.deep)),
			},
		},
	}
	for _, b := range s.batches {
		all = append(all, task{
			name: "batch-" + n(b), decode: s.batchDecode, sequences: b,
			metrics: []metric{decodes("decode " + n(s.batchDecode) + ", " + n(b) + " sequences")},
		})
	}
	after := " after " + n(s.prompt) + "+" + n(s.decode)
	megabytes := func(bytes int64) float64 { return float64(bytes) / (1 << 20) }
	all = append(all, task{
		name: "memory", decode: s.decode, depth: s.prompt, sequences: 1, once: true, metrics: []metric{
			{"resident" + after, "MiB", true, func(s sample) float64 { return megabytes(s.Result.Resident) }, nil},
			{"peak" + after, "MiB", true, func(s sample) float64 { return megabytes(s.Result.Peak) }, nil},
			{"resident by file and cache", "times", true, func(s sample) float64 {
				return float64(s.Result.Resident) / float64(s.Needed)
			}, nil},
		},
	})
	for _, how := range []struct {
		load load
		name string
	}{{loadFirst, "first"}, {loadCold, "cold"}, {loadWarm, "warm"}} {
		all = append(all, task{name: "load-" + how.name, sequences: 1, load: how.load, once: true, metrics: []metric{
			{"load, " + how.name, "ms", true, func(s sample) float64 { return s.Result.LoadMS + s.Result.PrepareMS }, nil},
			{"load to first token, " + how.name, "ms", true, func(s sample) float64 {
				return s.Result.LoadMS + s.Result.PrepareMS + s.Result.WarmupMS
			}, nil},
		}})
	}
	return all
}

// at reports whether the task is measured of a model at a number of threads.
func (p plan) at(t task, m model, threads int) bool {
	return t.context() <= m.contextLength && (!t.once || threads == slices.Max(p.threads))
}

// order is the sides in the order of a round: it turns by one each time, so that none is always the first.
func (p plan) order(round int) []side {
	k := round % len(p.sides)
	return slices.Concat(p.sides[k:], p.sides[:k])
}
