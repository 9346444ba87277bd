package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
	"github.com/realm-ai/realm/internal/limits"
)

// commit is what the linker is told where make builds: the commit, and whether there were changes on top of it.
var commit string

// build is what `realm version` says: what a report of a fault should have in it.
type build struct {
	Version   string   `json:"version"`
	Commit    string   `json:"commit"` // empty where nobody knows
	Go        string   `json:"go"`
	OS        string   `json:"os"`
	Arch      string   `json:"arch"`
	Kernels   string   `json:"kernels"`   // the set that runs, by its name for REALM_CPU
	Processor []string `json:"processor"` // the sets that the processor can run, the best first
	Guest     bool     `json:"guest"`     // whether the guest is built in
}

func thisBuild() build {
	b := build{
		Version: realm.Version, Commit: commit, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Guest: len(guestModule) > 0,
	}
	b.Kernels, b.Processor = limits.Kernels()
	if info, ok := debug.ReadBuildInfo(); ok && b.Commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" { // where it was built by go build alone
				b.Commit = s.Value
			}
		}
	}
	return b
}

func versionCommand() *cli.Command {
	c := &cli.Command{
		Name:  "version",
		Short: "print the version, the commit, Go's version and the kernels",
		Usage: []string{"version [--json]"},
	}
	var asJSON bool
	c.Flags.Bool(&asJSON, "json", "print one JSON object")
	c.Run = func(_ context.Context, env *cli.Env, _ []string) error {
		b := thisBuild()
		if asJSON {
			return env.WriteJSON(b)
		}
		known := b.Commit
		if known == "" {
			known = "unknown"
		}
		_, err := fmt.Fprintf(env.Stdout, "realm %s\ncommit     %s\nbuilt by   %s for %s/%s\nkernels    %s\nprocessor  %s\n",
			b.Version, known, b.Go, b.OS, b.Arch, b.Kernels, strings.Join(b.Processor, ", "))
		return err
	}
	return c
}
