package main

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 5}, 5},
		{[]float64{100, 2, 3, 1, 4}, 3},
	} {
		before := slices.Clone(tc.values)
		if got := median(tc.values); got != tc.want {
			t.Errorf("median(%v) = %v, want %v", tc.values, got, tc.want)
		}
		if !slices.Equal(tc.values, before) {
			t.Errorf("median changed its argument: %v, was %v", tc.values, before)
		}
	}
}

const statText = `cpu  1000 20 300 8000 500 10 30 40 77 7
cpu0 500 10 150 4000 250 5 15 20 38 3
cpu1 500 10 150 4000 250 5 15 20 39 4
intr 12345 0 0
ctxt 99
`

func TestParseStat(t *testing.T) {
	got, err := parseStat(statText)
	// The times of guests, 77 and 7, are inside user and nice.
	if want := (cpuTimes{busy: 1400, total: 9900, cpus: 2}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "cpu  1 2 3\n", "cpu  1 2 3 4 x 6\ncpu0 1 2 3 4 5 6\n", "intr 1 2 3 4 5 6\n"} {
		if got, err := parseStat(text); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", text, got)
		}
	}
}

func TestOthers(t *testing.T) {
	at := func(busy, total uint64) cpuTimes { return cpuTimes{busy: busy, total: total, cpus: 2} }
	for _, tc := range []struct {
		name      string
		before, b cpuTimes
		wall, own time.Duration
		want      float64
		busy      bool
	}{
		{"idle", at(100, 1000), at(100, 1200), time.Second, 0, 0, false},
		{"a tick or two", at(100, 1000), at(102, 1200), time.Second, 0, 0.02, false},
		{"one CPU", at(100, 1000), at(200, 1200), time.Second, 0, 1, true},
		{"one CPU, ours", at(100, 1000), at(200, 1200), time.Second, time.Second, 0, false},
		{"both CPUs, one of them ours", at(0, 1000), at(2000, 3000), 10 * time.Second, 10 * time.Second, 1, true},
		{"a quarter of one over ten seconds", at(0, 0), at(250, 2000), 10 * time.Second, 0, 0.25, true},
		{"accounting lags behind", at(0, 0), at(90, 200), time.Second, time.Second, 0, false},
		{"short and within the slack", at(0, 0), at(4, 20), 100 * time.Millisecond, 0, 0.4, false},
		{"no tick", at(100, 1000), at(100, 1000), time.Millisecond, 0, 0, false},
		{"iowait went back", at(100, 1000), at(101, 999), time.Second, 0, 0, false},
	} {
		got := others(tc.before, tc.b, tc.wall, tc.own)
		if math.Abs(got-tc.want) > 1e-9 || tooBusy(got, tc.wall) != tc.busy {
			t.Errorf("%s: %v CPUs, too busy %v, want %v and %v", tc.name, got, tooBusy(got, tc.wall), tc.want, tc.busy)
		}
	}
}

func TestNewest(t *testing.T) {
	for _, tc := range []struct{ output, want string }{
		{`"3.22.1"`, "3.22.1"},
		{`["3.22.0","3.22.1","3.9.0","3.8.1"]`, "3.22.1"},
		{`["3.0.0-beta.40","3.0.0","3.1.0-rc"]`, "3.0.0"},
		{`["3.0.0-beta.40"]`, ""},
		{`["3.1"]`, ""},
		{``, ""},
		{`{"error":1}`, ""},
	} {
		got, err := newest([]byte(tc.output))
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("newest(%s) = %q, %v, want %q", tc.output, got, err, tc.want)
		}
	}
}

func TestParseResult(t *testing.T) {
	bench, err := parseResult([]byte(`{"prefill_tps":null,"decode_tps":12.5,"decode_tps_samples":[12.5],"load_ms":3,`+
		`"prepare_ms":4,"peak_bytes":30,"resident_bytes":20,"anonymous_bytes":10,"model":{"file":"x"},`+
		`"decode_tps_bound":{"tps":25,"by":"memory","share":0.5},"limits":{"instructions":"avx2: a","bytes":9,`+
		`"rates":[{"threads":1,"read_bytes_per_second":1,"int8_ops_per_second":2,"float32_ops_per_second":3}]}}`), false)
	want := measurement{
		LoadMS: 3, PrepareMS: 4, DecodeTPS: 12.5, Peak: 30, Resident: 20, Anonymous: 10,
		DecodeBound: &bound{25, "memory"}, Limits: &limits{"avx2: a", 9, []rates{{1, 1, 2, 3}}},
	}
	if err != nil || !reflect.DeepEqual(bench, want) {
		t.Errorf("bench: %+v, %v, want %+v", bench, err, want)
	}
	run, err := parseResult([]byte(`{"text":"","timings":{"load_ms":3,"prepare_ms":4,"prefill_ms":5,"decode_ms":6},`+
		`"memory":{"peak_bytes":30,"resident_bytes":20,"anonymous_bytes":10}}`), true)
	want = measurement{LoadMS: 3, PrepareMS: 4, WarmupMS: 5, Peak: 30, Resident: 20, Anonymous: 10}
	if err != nil || !reflect.DeepEqual(run, want) {
		t.Errorf("run: %+v, %v, want %+v", run, err, want)
	}
	for _, isRun := range []bool{false, true} {
		if m, err := parseResult([]byte("not JSON"), isRun); err == nil {
			t.Errorf("no error, but %+v", m)
		}
	}
}

// TestPlan checks that sides turn, and that the full plan has every row that was asked for.
func TestPlan(t *testing.T) {
	p, err := newPlan(config{api: true})
	if err != nil || p.rounds != 5 || len(p.models) != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	first := map[side]int{}
	for round := range 3 {
		order := p.order(round)
		first[order[0]]++
		if len(order) != 3 {
			t.Errorf("round %d has %v", round, order)
		}
	}
	if len(first) != 3 {
		t.Errorf("first of three rounds: %v, want each side once", first)
	}
	var names []string
	for _, task := range p.tasks {
		for _, m := range task.metrics {
			names = append(names, m.name)
		}
	}
	want := "prefill 512, decode 128, decode 128 @ 1024, prefill 192 @ 8000, decode 128 @ 8000, decode 32, 4 sequences, " +
		"decode 32, 8 sequences, decode 32, 16 sequences, resident after 512+128, peak after 512+128, " +
		"resident by file and cache, load, first, load to first token, first, " +
		"load, cold, load to first token, cold, load, warm, load to first token, warm"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("metrics:\n%s\nwant\n%s", got, want)
	}
	for _, task := range p.tasks {
		most := slices.Max(p.threads)
		if task.name == "deep" && (p.at(task, models[0], most) || !p.at(task, models[1], most) || p.at(task, models[1], 0)) {
			t.Error("a depth of 8000 is for models that have it, and for the greatest number of threads")
		}
	}
	if _, err := newPlan(config{model: "none"}); err == nil {
		t.Error("no error for an unknown model")
	}
	if p, _ := newPlan(config{api: true, backend: "haswell"}); slices.Contains(p.sides, sideAPI) {
		t.Error("the public API is measured with another backend than the libraries")
	}
}

func TestTable(t *testing.T) {
	p, err := newPlan(config{quick: true})
	if err != nil {
		t.Fatal(err)
	}
	threads := p.threads[0]
	var samples []sample
	for i, speed := range []float64{10, 90, 20} {
		for k, s := range []side{sideRealm, sidePeer} {
			samples = append(samples, sample{
				Model: p.models[0].shape, Threads: threads, Task: "speed", Side: s, Round: i,
				Result: measurement{PrefillTPS: speed * 2, DecodeTPS: speed / float64(k+1), Backend: "zen4"},
			})
			if s == sideRealm {
				result := &samples[len(samples)-1].Result
				result.DecodeBound = &bound{speed * 2, "memory"}
				result.Limits = &limits{"avx2: a", 9, []rates{{Threads: 1, Read: 1e9}, {Threads: threads, Read: 2.5e9}}}
			}
		}
	}
	peer := &installed{version: "3.1.2", release: "b1"}
	r := newReport(config{quick: true, force: true}, p, peer, machine{CPU: "a CPU"}, samples, 7)
	var out strings.Builder
	if err := r.writeTable(&out); err != nil {
		t.Fatal(err)
	}
	squeezed := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"decode 32 tokens/s 20.0 10.0 2.00 - 40.0 by memory 50% 2.5",
		"prefill 128 tokens/s 40.0 40.0 1.00 - - - -", "avx2: a",
		"MiB, less is better",
		"node-llama-cpp 3.1.2 (llama.cpp b1, backend zen4, driven from C",
		"7 disturbed samples discarded", "FORCED", "QUICK",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// TestReady: the first load finds nothing of Realm's, a cold one what the first has left.
func TestReady(t *testing.T) {
	root := t.TempDir()
	r := &runner{root: root}
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept := filepath.Join(r.cache(), "packed", "image")
	write(filepath.Join(root, models[0].path()))
	for _, tc := range []struct {
		load load
		side side
		want bool
	}{
		{loadFirst, sidePeer, true}, {loadCold, sideRealm, true}, {loadWarm, sideRealm, true}, {loadFirst, sideRealm, false},
	} {
		write(kept)
		if err := r.ready(models[0], task{load: tc.load}, tc.side); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(kept); (err == nil) != tc.want {
			t.Errorf("load %d of %s: the cache is there: %v, want %v", tc.load, tc.side, err == nil, tc.want)
		}
	}
}
