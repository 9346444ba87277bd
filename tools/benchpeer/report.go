package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the table: medians of what the samples gave.
type row struct {
	Model   string   `json:"model"`
	Threads int      `json:"threads"`
	Name    string   `json:"name"`
	Unit    string   `json:"unit"`
	Less    bool     `json:"less_is_better"`
	Realm   float64  `json:"realm"`
	Peer    float64  `json:"peer"`
	Ratio   float64  `json:"ratio"`              // Realm by peer
	API     *float64 `json:"peer_api,omitempty"` // where it was measured

	// What the machine allowed, where that is known.
	Bound *float64 `json:"bound,omitempty"`
	By    string   `json:"bound_by,omitempty"`    // "memory" or "arithmetic"
	Share *float64 `json:"bound_share,omitempty"` // Realm by Bound
	Read  *float64 `json:"read_gbps,omitempty"`   // bytes read per second at that number of threads, in units of 10^9
}

// machine is where the figures come from.
type machine struct {
	CPU     string `json:"cpu"`
	CPUs    int    `json:"cpus"`
	Memory  string `json:"memory"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	Node    string `json:"node"`
	Realm   string `json:"realm"`               // commit
	RealmAs string `json:"realm_cpu,omitempty"` // REALM_CPU, where it is set or -cpu was given
}

// report is build/bench-peer.json.
type report struct {
	Time      time.Time `json:"time"`
	Forced    bool      `json:"forced"` // other processes may have been busy
	Quick     bool      `json:"quick"`
	NoPool    bool      `json:"no_pool"` // the peer's libraries started threads for each graph
	Rounds    int       `json:"rounds"`
	Bandwidth float64   `json:"bandwidth,omitempty"` // see config
	Discarded int       `json:"discarded"`           // samples thrown away since others were busy, or memory slow
	Machine   machine   `json:"machine"`
	Peer      string    `json:"peer"`      // name and version
	LlamaCPP  string    `json:"llama_cpp"` // release
	Backend   string    `json:"backend"`   // of the peer
	System    string    `json:"system"`    // what llama.cpp says of the CPU
	Kernels   string    `json:"kernels"`   // of Realm
	Rows      []row     `json:"rows"`
	Samples   []sample  `json:"samples"`
}

func newReport(c config, p plan, peer *installed, on machine, samples []sample, discarded int) *report {
	r := &report{
		Time: time.Now().UTC(), Forced: c.force, Quick: c.quick, NoPool: c.noPool, Rounds: p.rounds,
		Bandwidth: c.bandwidth, Discarded: discarded,
		Machine: on, Peer: packageName + " " + peer.version, LlamaCPP: peer.release, Rows: rows(p, samples), Samples: samples,
	}
	for _, s := range samples {
		if s.Side == sidePeer {
			r.Backend, r.System = s.Result.Backend, s.Result.System
		} else if s.Result.Limits != nil {
			r.Kernels = s.Result.Limits.Instructions
		}
	}
	return r
}

// rows makes the table: for each model and number of threads all metrics.
func rows(p plan, samples []sample) []row {
	var table []row
	for _, m := range p.models {
		for _, threads := range p.threads {
			for _, t := range p.tasks {
				if !p.at(t, m, threads) {
					continue
				}
				of := func(s side) []sample {
					return slices.DeleteFunc(slices.Clone(samples), func(x sample) bool {
						return x.Model != m.shape || x.Threads != threads || x.Task != t.name || x.Side != s
					})
				}
				for _, metric := range t.metrics {
					line := row{
						Model: m.shape, Threads: threads, Name: metric.name, Unit: metric.unit, Less: metric.less,
						Realm: medianOf(of(sideRealm), metric.get), Peer: medianOf(of(sidePeer), metric.get),
					}
					if line.Peer > 0 {
						line.Ratio = line.Realm / line.Peer
					}
					if slices.Contains(p.sides, sideAPI) {
						api := medianOf(of(sideAPI), metric.get)
						line.API = &api
					}
					if metric.bound != nil {
						line.addBound(metric, of(sideRealm))
					}
					table = append(table, line)
				}
			}
		}
	}
	return table
}

// addBound adds what Realm's samples found that the machine allows.
func (line *row) addBound(m metric, samples []sample) {
	samples = slices.DeleteFunc(samples, func(s sample) bool {
		return s.Result.Limits == nil || len(s.Result.Limits.Rates) == 0 || m.bound(s.Result) == nil
	})
	if len(samples) == 0 {
		return
	}
	of := func(get func(s sample) float64) *float64 {
		value := medianOf(samples, get)
		return &value
	}
	line.By = m.bound(samples[0].Result).By
	line.Bound = of(func(s sample) float64 { return m.bound(s.Result).TPS })
	line.Share = of(func(s sample) float64 { return m.get(s) / m.bound(s.Result).TPS })
	line.Read = of(func(s sample) float64 {
		rates := s.Result.Limits.Rates
		return rates[len(rates)-1].Read / 1e9
	})
}

func medianOf(samples []sample, get func(s sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, get(s))
	}
	return median(values)
}

// median is the middle value, or the mean of the two middle ones; 0 of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (r *report) writeTable(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Realm %s and %s (llama.cpp %s, backend %s, driven from C; JavaScript is its public API)\n",
		r.Machine.Realm, r.Peer, r.LlamaCPP, r.Backend)
	fmt.Fprintf(&b, "%s, %d CPUs, %s; medians of %d alternations, %d disturbed samples discarded\n",
		r.Machine.CPU, r.Machine.CPUs, r.Machine.Memory, r.Rounds, r.Discarded)
	fmt.Fprintf(&b, "Realm's kernels, and what their bounds were measured with: %s\n", r.Kernels)
	if r.NoPool {
		b.WriteString("The peer's libraries started threads for each graph.\n")
	}
	if r.Bandwidth > 0 {
		fmt.Fprintf(&b, "With several threads only samples before and after which memory read %g GB/s.\n", r.Bandwidth)
	}
	if r.Quick {
		b.WriteString("QUICK: short runs; the figures are only a sign that all works.\n")
	}
	if r.Forced {
		b.WriteString("FORCED: other processes may have been busy; trust no figure.\n")
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "model\tthreads\tmeasure\tunit\tRealm\tpeer\tratio\tJavaScript\tbound\tshare\tread, GB/s")
	for _, line := range r.Rows {
		unit, api, limit := line.Unit, "-", "-\t-\t-"
		if line.Less {
			unit += ", less is better"
		}
		if line.API != nil {
			api = fmt.Sprintf("%.1f", *line.API)
		}
		if line.Bound != nil {
			limit = fmt.Sprintf("%.1f by %s\t%.0f%%\t%.1f", *line.Bound, line.By, 100**line.Share, *line.Read)
		}
		digits := 1
		if line.Unit == "times" {
			digits = 3
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.*f\t%.*f\t%.2f\t%s\t%s\n",
			line.Model, line.Threads, line.Name, unit, digits, line.Realm, digits, line.Peer, line.Ratio, api, limit)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r *report) writeJSON(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// describeMachine gathers what it can; a figure that the system does not give is "unknown".
func describeMachine(ctx context.Context, root, realmCPU string) machine {
	field := func(path, key string) string {
		data, _ := os.ReadFile(path)
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
				return strings.TrimSpace(value)
			}
		}
		return "unknown"
	}
	output := func(name string, args ...string) string {
		text, err := command(ctx, root, name, args...)
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(text))
	}
	return machine{
		CPU: field("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(), Memory: field("/proc/meminfo", "MemTotal"),
		Kernel: output("uname", "-sr"), Go: runtime.Version(), Node: output("node", "--version"),
		Realm: output("git", "describe", "--always", "--dirty"), RealmAs: realmCPU,
	}
}
