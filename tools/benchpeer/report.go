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
	RealmAs string `json:"realm_cpu,omitempty"` // REALM_CPU, where it is set
}

// report is build/bench-peer.json.
type report struct {
	Time      time.Time `json:"time"`
	Forced    bool      `json:"forced"` // other processes may have been busy
	Quick     bool      `json:"quick"`
	NoPool    bool      `json:"no_pool"` // the peer's libraries started threads for each graph
	Rounds    int       `json:"rounds"`
	Discarded int       `json:"discarded"` // samples thrown away since others were busy
	Machine   machine   `json:"machine"`
	Peer      string    `json:"peer"`      // name and version
	LlamaCPP  string    `json:"llama_cpp"` // release
	Backend   string    `json:"backend"`   // of the peer
	System    string    `json:"system"`    // what llama.cpp says of the CPU
	Rows      []row     `json:"rows"`
	Samples   []sample  `json:"samples"`
}

func newReport(c config, p plan, peer *installed, on machine, samples []sample, discarded int) *report {
	r := &report{
		Time: time.Now().UTC(), Forced: c.force, Quick: c.quick, NoPool: c.noPool, Rounds: p.rounds, Discarded: discarded,
		Machine: on, Peer: packageName + " " + peer.version, LlamaCPP: peer.release, Rows: rows(p, samples), Samples: samples,
	}
	for _, s := range samples {
		if s.Side == sidePeer {
			r.Backend, r.System = s.Result.Backend, s.Result.System
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
				if !p.at(t, threads) {
					continue
				}
				for _, metric := range t.metrics {
					of := func(s side) float64 {
						var values []float64
						for _, x := range samples {
							if x.Model == m.shape && x.Threads == threads && x.Task == t.name && x.Side == s {
								values = append(values, metric.get(x.Result))
							}
						}
						return median(values)
					}
					line := row{
						Model: m.shape, Threads: threads, Name: metric.name, Unit: metric.unit, Less: metric.less,
						Realm: of(sideRealm), Peer: of(sidePeer),
					}
					if line.Peer > 0 {
						line.Ratio = line.Realm / line.Peer
					}
					if slices.Contains(p.sides, sideAPI) {
						api := of(sideAPI)
						line.API = &api
					}
					table = append(table, line)
				}
			}
		}
	}
	return table
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
	if r.Machine.RealmAs != "" {
		fmt.Fprintf(&b, "Realm ran with REALM_CPU=%s.\n", r.Machine.RealmAs)
	}
	if r.NoPool {
		b.WriteString("The peer's libraries started threads for each graph.\n")
	}
	if r.Quick {
		b.WriteString("QUICK: short runs; the figures are only a sign that all works.\n")
	}
	if r.Forced {
		b.WriteString("FORCED: other processes may have been busy; trust no figure.\n")
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "model\tthreads\tmeasure\tunit\tRealm\tpeer\tratio\tJavaScript")
	for _, line := range r.Rows {
		unit, api := line.Unit, "-"
		if line.Less {
			unit += ", less is better"
		}
		if line.API != nil {
			api = fmt.Sprintf("%.1f", *line.API)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.1f\t%.1f\t%.2f\t%s\n",
			line.Model, line.Threads, line.Name, unit, line.Realm, line.Peer, line.Ratio, api)
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
func describeMachine(ctx context.Context, root string) machine {
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
		Realm: output("git", "describe", "--always", "--dirty"), RealmAs: os.Getenv("REALM_CPU"),
	}
}
