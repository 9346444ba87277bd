package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// platform is a row of js/sdk/native/platforms.json, the one table of platforms: the SDK's loader reads it too.
type platform struct {
	name string // of its package, below @realm-ai
	OS   string `json:"os"`   // as npm and process.platform say it
	CPU  string `json:"cpu"`  // as npm and process.arch say it
	Libc string `json:"libc"` // as npm says it; Linux only

	// Addon is the target for which zig's C compiler builds the addon, with the oldest glibc that it shall run with. It
	// is empty where the package has the command line only.
	Addon string `json:"addon"`
}

// The names that Go has for what npm calls otherwise.
var (
	goOS   = map[string]string{"linux": "linux", "darwin": "darwin", "win32": "windows"}
	goArch = map[string]string{"x64": "amd64", "arm64": "arm64"}
)

func (p platform) goos() string   { return goOS[p.OS] }
func (p platform) goarch() string { return goArch[p.CPU] }

// command is the file name of the command line.
func (p platform) command() string {
	if p.goos() == "windows" {
		return "realm.exe"
	}
	return "realm"
}

// readPlatforms reads the table, sorted by name.
func readPlatforms(root string) ([]platform, error) {
	file := filepath.Join(root, "js", "sdk", "native", "platforms.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	rows := map[string]platform{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&rows); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var platforms []platform
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		p := rows[name]
		p.name = name
		want := p.OS + "-" + p.CPU
		switch p.Libc {
		case "glibc":
			want += "-gnu"
		case "musl":
			want += "-musl"
		}
		if p.goos() == "" || p.goarch() == "" || name != want || (p.Libc != "") != (p.OS == "linux") {
			return nil, fmt.Errorf("%s: %s: it is called otherwise, or Go has no name for it", file, name)
		}
		platforms = append(platforms, p)
	}
	return platforms, nil
}

// choose picks platforms by their names, separated by commas; "host" is this machine's and "all" is every one.
func choose(platforms []platform, names string) ([]platform, error) {
	var chosen []platform
	for name := range strings.SplitSeq(names, ",") {
		if name == "all" {
			return platforms, nil
		}
		if name == "host" {
			name = host()
		}
		i := slices.IndexFunc(platforms, func(p platform) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no platform is called %q", name)
		}
		if !slices.Contains(chosen, platforms[i]) {
			chosen = append(chosen, platforms[i])
		}
	}
	return chosen, nil
}

// host is the name of this machine's platform.
func host() string {
	os, cpu := runtime.GOOS, runtime.GOARCH
	for npm, name := range goOS {
		if name == os {
			os = npm
		}
	}
	for npm, name := range goArch {
		if name == cpu {
			cpu = npm
		}
	}
	if os != "linux" {
		return os + "-" + cpu
	}
	if loaders, _ := filepath.Glob("/lib*/ld-linux*"); len(loaders) == 0 {
		return os + "-" + cpu + "-musl"
	}
	return os + "-" + cpu + "-gnu"
}
