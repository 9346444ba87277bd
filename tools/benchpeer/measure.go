package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// measurement is what one process reports, in the members of `realm bench --json`. The drivers print the same.
type measurement struct {
	LoadMS     float64 `json:"load_ms"`    // to open the model
	PrepareMS  float64 `json:"prepare_ms"` // from then until it can compute
	WarmupMS   float64 `json:"warmup_ms"`  // of the first prefill
	PrefillTPS float64 `json:"prefill_tps"`
	DecodeTPS  float64 `json:"decode_tps"` // of all sequences together
	Peak       int64   `json:"peak_bytes"`
	Resident   int64   `json:"resident_bytes"`
	Anonymous  int64   `json:"anonymous_bytes"`
	Backend    string  `json:"backend,omitempty"` // the peer's libggml-cpu-*.so
	System     string  `json:"system,omitempty"`  // what llama.cpp says of the CPU

	// What Realm found that the machine allows, right after the speeds.
	PrefillBound *bound  `json:"prefill_tps_bound,omitempty"`
	DecodeBound  *bound  `json:"decode_tps_bound,omitempty"`
	Limits       *limits `json:"limits,omitempty"`
}

// bound is a speed that the machine allows.
type bound struct {
	TPS float64 `json:"tps"`
	By  string  `json:"by"` // "memory" or "arithmetic"
}

// limits are the machine's rates, the last of them at the sample's number of threads.
type limits struct {
	Instructions string  `json:"instructions"` // "avx2: " and so on
	Bytes        int64   `json:"bytes"`
	Rates        []rates `json:"rates"`
}

type rates struct {
	Threads int     `json:"threads"`
	Read    float64 `json:"read_bytes_per_second"`
	Ints    float64 `json:"int8_ops_per_second"`
	Floats  float64 `json:"float32_ops_per_second"`
}

// sample is one run of one program.
type sample struct {
	Model   string      `json:"model"`
	Threads int         `json:"threads"`
	Task    string      `json:"task"`
	Side    side        `json:"side"`
	Round   int         `json:"round"`
	Command string      `json:"command"`
	Others  float64     `json:"others_cpus"`  // CPUs that other processes kept busy meanwhile
	Needed  int64       `json:"needed_bytes"` // of the model's file, and of keys and values that the task leaves
	Result  measurement `json:"result"`
}

const (
	// maxDiscarded is how many samples in succession may be disturbed.
	maxDiscarded = 10
	// slowWait is for how long a sample waits for memory to be as fast as it has to be.
	slowWait = 15 * time.Minute
)

var errSlow = errors.New("memory is slow")

// runner takes samples.
type runner struct {
	root      string
	peer      *installed
	force     bool
	backend   string
	cpu       string // Realm's kernels; "" is the best
	noPool    bool
	bandwidth float64 // see config
	progress  io.Writer
	discarded int // samples thrown away since others were busy, or memory slow
}

// runAll takes all samples of a plan. The sides alternate within each round and task.
func (r *runner) runAll(ctx context.Context, p plan) ([]sample, error) {
	var samples []sample
	for round := range p.rounds {
		for _, m := range p.models {
			for _, threads := range p.threads {
				for _, t := range p.tasks {
					if !p.at(t, m, threads) {
						continue
					}
					fmt.Fprintf(r.progress, "benchpeer: round %d of %d: %s, %d threads, %s\n",
						round+1, p.rounds, m.shape, threads, t.name)
					for _, s := range p.order(round) {
						taken, err := r.quietSample(ctx, m, threads, t, s)
						if err != nil {
							return nil, err
						}
						taken.Round = round + 1
						samples = append(samples, taken)
					}
				}
			}
		}
	}
	return samples, nil
}

// quietSample takes a sample during which no other process was busy, and memory as fast as it has to be.
func (r *runner) quietSample(ctx context.Context, m model, threads int, t task, s side) (sample, error) {
	for disturbed, start := 0, time.Now(); disturbed < maxDiscarded; {
		if r.bandwidth > 0 && threads > 1 && time.Since(start) > slowWait {
			return sample{}, fmt.Errorf("%w: no sample with %g GB/s before and after it in %v", errSlow, r.bandwidth, slowWait)
		}
		if !r.force {
			if err := waitQuiet(ctx); err != nil {
				return sample{}, err
			}
		}
		if fast, err := r.isFast(ctx, m, threads); err != nil {
			return sample{}, err
		} else if !fast {
			continue
		}
		taken, wall, err := r.sample(ctx, m, threads, t, s)
		if err != nil {
			return sample{}, err
		}
		if !r.force && tooBusy(taken.Others, wall) {
			r.discarded++
			disturbed++
			fmt.Fprintf(r.progress, "benchpeer: %s: others used %.2f CPUs: once more\n", s, taken.Others)
			continue
		}
		fast, err := r.isFast(ctx, m, threads)
		if err != nil {
			return sample{}, err
		}
		if fast {
			return taken, nil
		}
		r.discarded++
		fmt.Fprintf(r.progress, "benchpeer: %s: memory became slow: once more\n", s)
	}
	return sample{}, fmt.Errorf("%w: %d samples in succession were disturbed", errBusy, maxDiscarded)
}

// isFast reports whether memory now reads as fast as it has to with so many threads, by Realm's measurement.
func (r *runner) isFast(ctx context.Context, m model, threads int) (bool, error) {
	if r.bandwidth == 0 || threads == 1 {
		return true, nil
	}
	cmd := r.command(ctx, realmPath, "bench", "-m", m.path(), "-t", strconv.Itoa(threads), "-p", "0", "-n", "0", "--limits", "--json")
	output, err := cmd.Output()
	if err != nil {
		return false, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	result, err := parseResult(output, false)
	if err != nil {
		return false, err
	}
	if result.Limits == nil || len(result.Limits.Rates) == 0 {
		return false, errors.New("realm bench --limits says nothing of memory")
	}
	rates := result.Limits.Rates
	return rates[len(rates)-1].Read >= 1e9*r.bandwidth, nil
}

// command is a program of either side.
func (r *runner) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "REALM_CACHE="+r.cache())
	if r.cpu != "" {
		cmd.Env = append(cmd.Env, "REALM_CPU="+r.cpu)
	}
	return cmd
}

// sample runs one program and returns how long that took.
func (r *runner) sample(ctx context.Context, m model, threads int, t task, s side) (sample, time.Duration, error) {
	if err := r.ready(m, t, s); err != nil {
		return sample{}, 0, err
	}
	file, err := os.Stat(filepath.Join(r.root, m.path()))
	if err != nil {
		return sample{}, 0, err
	}
	args := r.arguments(m, threads, t, s)
	if t.load == loadWarm {
		// The other side's cold load has evicted files of this one. Where this run fails, the next one tells.
		_ = r.command(ctx, args...).Run()
	}
	cmd := r.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr

	before, err := readStat()
	if err != nil {
		return sample{}, 0, err
	}
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	line := strings.Join(args, " ")
	if ctx.Err() != nil {
		return sample{}, 0, ctx.Err()
	}
	if err != nil {
		return sample{}, 0, fmt.Errorf("%s: %w\n%s", line, err, bytes.TrimSpace(stderr.Bytes()))
	}
	after, err := readStat()
	if err != nil {
		return sample{}, 0, err
	}
	result, err := parseResult(stdout.Bytes(), t.load != noLoad && s == sideRealm)
	if err != nil {
		return sample{}, 0, fmt.Errorf("%s: %w", line, err)
	}
	if l := result.Limits; l != nil && r.cpu != "" && !strings.HasPrefix(l.Instructions, r.cpu+":") {
		return sample{}, 0, fmt.Errorf("no kernels %q run here, but %s", r.cpu, l.Instructions)
	}
	own := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return sample{
		Model: m.shape, Threads: threads, Task: t.name, Side: s, Command: line,
		Others: others(before, after, wall, own), Result: result,
		Needed: file.Size() + int64(t.sequences)*int64(t.depth+t.decode)*m.tokenBytes,
	}, wall, nil
}

// parseResult reads what a program printed: `realm run` has a form of its own.
func parseResult(output []byte, isRun bool) (measurement, error) {
	var m measurement
	if !isRun {
		err := json.Unmarshal(output, &m)
		return m, err
	}
	var run struct {
		Timings struct {
			Load    float64 `json:"load_ms"`
			Prepare float64 `json:"prepare_ms"`
			Prefill float64 `json:"prefill_ms"`
		}
		Memory json.RawMessage
	}
	if err := json.Unmarshal(output, &run); err != nil {
		return m, err
	}
	if err := json.Unmarshal(run.Memory, &m); err != nil {
		return m, err
	}
	m.LoadMS, m.PrepareMS, m.WarmupMS = run.Timings.Load, run.Timings.Prepare, run.Timings.Prefill
	return m, nil
}

// arguments is the command line of one side. Contexts have the same length on all sides.
func (r *runner) arguments(m model, threads int, t task, s side) []string {
	n := strconv.Itoa
	common := []string{"-m", m.path(), "-t", n(threads)}
	if s == sideRealm {
		common = append(common, "--ctx", n(t.context()), "--json")
		if t.load != noLoad {
			return slices.Concat([]string{realmPath, "run"}, common, []string{"--raw", "-p", "a", "-n", "1"})
		}
		return slices.Concat([]string{realmPath, "bench"}, common, []string{
			"-r", "1", "-p", n(t.prompt), "-n", n(t.decode), "-d", n(t.depth), "-b", n(t.sequences),
			"--limits",
		})
	}
	prompt := t.prompt
	if t.load != noLoad {
		prompt = m.firstTokens
	}
	common = append(common, "-p", n(prompt), "-n", n(t.decode), "-d", n(t.depth), "-b", n(t.sequences))
	if s == sideAPI {
		return append([]string{"node", r.peer.script}, common...)
	}
	common = append(common, "-l", r.peer.libraries)
	if r.backend != "" {
		common = append(common, "-c", r.backend)
	}
	if r.noPool {
		common = append(common, "-o")
	}
	return append([]string{r.peer.driver}, common...)
}

// cache is the folder where Realm keeps what it remembers of these models, apart from the user's.
func (r *runner) cache() string { return filepath.Join(r.root, peerPath, "cache") }

// ready brings the machine into the state that a task wants.
func (r *runner) ready(m model, t task, s side) error {
	if t.load == loadFirst && s == sideRealm {
		if err := os.RemoveAll(r.cache()); err != nil {
			return err
		}
	}
	if t.load != loadFirst && t.load != loadCold {
		return nil
	}
	if err := evict(filepath.Join(r.root, m.path())); err != nil {
		return err
	}
	return filepath.WalkDir(r.cache(), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // as it is before the first run
			return nil
		case err != nil || !entry.Type().IsRegular():
			return err
		}
		return evict(path)
	})
}
