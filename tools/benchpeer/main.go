// Command benchpeer compares Realm's speed with llama.cpp's as node-llama-cpp ships it, on the same synthetic model
// files, and owns everything between `make bench-peer` and its table: it installs the peer into build/peer, writes the
// models there, and runs Realm and the peer in turn, each sample in a process of its own, so that both meet the same
// state of the machine. It knows Realm only by its command line.
//
// The peer has two faces. One is the shared libraries of the npm package, driven by a small C program
// (driver/llama.c), which is the faster and gives the ratios; it is compiled against llama.h of the same release, taken
// from the git bundle in the npm package. The other is the package's public API (driver/node.mjs).
//
// A speed taken while another process runs says nothing: the peer's threads spin and wait for each other. Hence
// nothing is measured before the machine is quiet, and a sample during which others computed is thrown away. With
// -force it is all the same, and the report says so. Memory may be slow without any process to be seen, where a host of
// virtual machines has put two processors behind one link: -bandwidth says how fast it has to be.
//
// Start at run, then plan.go for what is measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// config is what the flags say.
type config struct {
	root    string // of the repository
	quick   bool
	force   bool
	rounds  int    // alternations; 0 is the default of the plan
	version string // of node-llama-cpp; "" is the newest 3.x
	backend string // the peer's CPU backend, such as "haswell"; "" is the one that it chooses; "list" lists them
	cpu     string // Realm's kernels, as REALM_CPU asks for them; "" is the best
	model   string // the only model to measure; "" is all
	noPool  bool   // the peer's graphs start threads of their own
	api     bool   // measure the peer's public API too

	bandwidth float64 // what memory has to read at several threads for a sample to count, in GB/s
}

func main() {
	var c config
	flag.StringVar(&c.root, "root", "..", "root of the repository")
	flag.BoolVar(&c.quick, "quick", false, "two alternations of short runs with the small model, to see that all works")
	flag.BoolVar(&c.force, "force", false, "measure although other processes are busy, and say so")
	flag.IntVar(&c.rounds, "rounds", 0, "alternations; 0 for 5, or 2 with -quick")
	flag.StringVar(&c.version, "version", "", "version of node-llama-cpp; empty for the newest 3.x")
	flag.StringVar(&c.backend, "backend", "",
		"CPU backend of the peer's libraries, such as haswell for AVX2; list prints those that the package has")
	flag.StringVar(&c.cpu, "cpu", os.Getenv("REALM_CPU"), "Realm's kernels, such as avx2; empty for the best")
	flag.BoolVar(&c.noPool, "no-pool", false,
		"make the peer's libraries start and join threads for each graph, where they share a pool otherwise")
	flag.StringVar(&c.model, "model", "", "the only synthetic model to measure")
	flag.Float64Var(&c.bandwidth, "bandwidth", 0,
		"`GB/s` that memory must read before and after a sample with several threads, which is taken again otherwise")
	flag.BoolVar(&c.api, "api", true, "measure node-llama-cpp's public API too")
	flag.Parse()
	if flag.NArg() != 0 || c.rounds < 0 || c.bandwidth < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer:", err)
		os.Exit(1)
	}
}

// run does everything: the table goes to out, what happens on the way to progress, the rest to build/bench-peer.json.
func run(ctx context.Context, c config, out, progress io.Writer) error {
	if runtime.GOOS != "linux" {
		return errors.New("this comparison reads /proc and runs on Linux only")
	}
	root, err := filepath.Abs(c.root)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, realmPath)); err != nil {
		return fmt.Errorf("%s is not there: make build first", realmPath)
	}
	p, err := newPlan(c)
	if err != nil {
		return err
	}
	if !c.force && c.backend != "list" {
		// The installation comes later: it would be in vain, and makes the machine busy itself.
		if err := checkQuiet(ctx); err != nil {
			return err
		}
	}
	peer, err := install(ctx, root, c.version, progress)
	if err != nil {
		return err
	}
	if c.backend == "list" {
		names, err := peer.backends(root)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, strings.Join(names, "\n"))
		return err
	}
	for _, m := range p.models {
		if err := writeModel(ctx, root, m, progress); err != nil {
			return err
		}
	}
	r := &runner{
		root: root, peer: peer, force: c.force, backend: c.backend, cpu: c.cpu, noPool: c.noPool, progress: progress,
		bandwidth: c.bandwidth,
	}
	samples, err := r.runAll(ctx, p)
	if err != nil {
		return err
	}
	report := newReport(c, p, peer, describeMachine(ctx, root, c.cpu), samples, r.discarded)
	if err := report.writeTable(out); err != nil {
		return err
	}
	return report.writeJSON(filepath.Join(root, "build", "bench-peer.json"))
}
