// Command fuzzall runs every fuzz target of the module in the folder it is given, one after the other, each for a given
// time: `go test -fuzz` takes one target at a time, and a list kept by hand would miss the newest. A target that fails
// does not keep the others from running; the exit code is 1 if any failed. What go test writes is passed on.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// target is one fuzz function.
type target struct{ pkg, name string }

func main() {
	fuzzTime := flag.Duration("time", 10*time.Second, "how long to fuzz each target")
	match := flag.String("run", "^Fuzz", "regular expression of the targets to run")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: fuzzall [-time DURATION] [-run REGEXP] MODULE_FOLDER")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, flag.Arg(0), *match, *fuzzTime); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, match string, fuzzTime time.Duration) error {
	list := exec.CommandContext(ctx, "go", "test", "-list", match, "./...")
	list.Dir, list.Stderr = dir, os.Stderr
	out, err := list.Output()
	if err != nil {
		os.Stdout.Write(out)
		return fmt.Errorf("listing the targets: %w", err)
	}
	targets := parseList(out)
	if len(targets) == 0 {
		return errors.New("no target matches " + match)
	}
	var failed []string
	for i, t := range targets {
		fmt.Printf("=== %d of %d: %s in %s for %v\n", i+1, len(targets), t.name, t.pkg, fuzzTime)
		cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+fuzzTime.String(), t.pkg)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		var printed bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, io.MultiWriter(os.Stdout, &printed), os.Stderr
		err := cmd.Run()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && outOfTime(printed.Bytes()):
			fmt.Println("--- no failure: the time was up while a worker was busy (go.dev/issue/75804)")
		case err != nil:
			failed = append(failed, t.name)
		}
	}
	fmt.Printf("=== %d fuzz targets, %d failed\n", len(targets), len(failed))
	if len(failed) != 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// outOfTime says whether what go test printed is the failure that Go's coordinator of fuzzing reports now and then when
// -fuzztime ends: its own deadline, taken for an error of the target (go.dev/issue/75804, mended in Go 1.27). The message
// stands alone then. A target that fails names the input that it failed on, or the one that hung it.
func outOfTime(printed []byte) bool {
	_, after, found := bytes.Cut(printed, []byte("\n--- FAIL: "))
	if !found {
		return false
	}
	lines := strings.Split(string(after), "\n")
	return len(lines) > 2 && strings.TrimSpace(lines[1]) == "context deadline exceeded" && lines[2] == "FAIL"
}

// parseList reads the output of `go test -list`: the names of a package's functions, then a line "ok  \tPACKAGE\tTIME".
// Packages without tests print a line that starts with "?".
func parseList(out []byte) []target {
	var targets []target
	var names []string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		switch fields := strings.Fields(lines.Text()); {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "Fuzz"):
			names = append(names, fields[0])
		case len(fields) > 1 && fields[0] == "ok":
			for _, name := range names {
				targets = append(targets, target{pkg: fields[1], name: name})
			}
			names = nil
		}
	}
	return targets
}
