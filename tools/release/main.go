// Command release makes what users install: archives of the command line, npm packages with one for each platform,
// notices of others' work in them, a bill of materials and checksums. The same commit gives the same bytes, wherever it
// is built, with the same versions of Go, Node and zig.
//
//	release pack     npm packages of what `make node` built for this machine, for tests and to try them
//	release build    everything, for the platforms of the table or some of them; the SDK and the guest are built before
//	release check    builds twice, in two folders with empty caches, and compares
//
// `make` has these as targets. The table of platforms is js/sdk/native/platforms.json. Start at run.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what the steps have in common.
type release struct {
	root    string // the repository
	out     string // where the files go that are released; it is emptied first
	version string
	all     []platform // the table
	chosen  []platform // those to build for
}

func run(args []string) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	root := flags.String("root", "..", "the repository")
	out := flags.String("out", "", "the folder for what is made; by default build/npm or build/release")
	names := flags.String("platforms", "host", "platforms to build for, separated by commas; host, all")
	if len(args) == 0 {
		return fmt.Errorf("say what to do: pack, build or check")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	r := &release{}
	var err error
	if r.root, err = filepath.Abs(*root); err != nil {
		return err
	}
	if r.version, err = agreedVersion(r.root); err != nil {
		return err
	}
	if r.all, err = readPlatforms(r.root); err != nil {
		return err
	}
	if r.chosen, err = choose(r.all, *names); err != nil {
		return err
	}
	folder := map[string]string{"pack": "npm", "build": "release"}[args[0]]
	if r.out, err = filepath.Abs(*out); *out == "" {
		r.out = filepath.Join(r.root, "build", folder)
	} else if err != nil {
		return err
	}
	switch args[0] {
	case "pack":
		return r.pack()
	case "build":
		return r.build()
	case "check":
		return r.check(*names)
	}
	return fmt.Errorf("there is no %q: it is pack, build or check", args[0])
}

// clear makes a folder that is empty.
func clear(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}
