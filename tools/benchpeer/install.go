package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

//go:embed driver
var drivers embed.FS

const packageName = "node-llama-cpp"

// installed is the peer, ready to run. Paths are relative to the root of the repository.
type installed struct {
	version   string // of node-llama-cpp
	release   string // of llama.cpp
	libraries string // folder of the shared libraries
	driver    string // the C program
	script    string // the one for the public API
}

// install brings a version of node-llama-cpp into build/peer, unless it is there already, and builds the C driver.
func install(ctx context.Context, root, version string, progress io.Writer) (*installed, error) {
	for _, tool := range []string{"npm", "node", "git", "tar", "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s is needed: %w", tool, err)
		}
	}
	if version == "" {
		output, err := command(ctx, root, "npm", "view", packageName+"@3", "version", "--json")
		if err != nil {
			return nil, err
		}
		if version, err = newest(output); err != nil {
			return nil, err
		}
	}
	// npm names processors as Node does. One platform's package is asked for by name, since all of them, those for GPUs
	// included, are optional dependencies and would take ten times the space.
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64", "riscv64": "riscv64"}[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("%s has no libraries for %s", packageName, runtime.GOARCH)
	}
	platform := "@node-llama-cpp/linux-" + arch
	modules := peerPath + "/node_modules/"
	if packageVersion(filepath.Join(root, modules, packageName)) != version ||
		packageVersion(filepath.Join(root, modules, platform)) != version {
		fmt.Fprintf(progress, "benchpeer: installing %s %s\n", packageName, version)
		if err := npmInstall(ctx, root, packageName+"@"+version, platform+"@"+version); err != nil {
			return nil, err
		}
	}
	p := &installed{
		version:   version,
		libraries: modules + platform + "/bins/linux-" + arch,
		driver:    peerPath + "/driver",
		script:    peerPath + "/node.mjs",
	}
	return p, p.build(ctx, root)
}

// newest picks the greatest version that is no pre-release from what `npm view --json` prints: a string or a list.
func newest(output []byte) (string, error) {
	var versions []string
	if json.Unmarshal(output, &versions) != nil {
		versions = make([]string, 1)
		if err := json.Unmarshal(output, &versions[0]); err != nil {
			return "", fmt.Errorf("npm view: %w", err)
		}
	}
	var best []int
	result := ""
	for _, v := range versions {
		var numbers []int
		for part := range strings.SplitSeq(v, ".") {
			if n, err := strconv.Atoi(part); err == nil {
				numbers = append(numbers, n)
			}
		}
		if len(numbers) == 3 && strings.Count(v, ".") == 2 && slices.Compare(numbers, best) > 0 {
			best, result = numbers, v
		}
	}
	if result == "" {
		return "", errors.New("npm view: no released version")
	}
	return result, nil
}

// packageVersion is the version of an installed package, "" where there is none.
func packageVersion(dir string) string {
	var p struct{ Version string }
	data, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil || json.Unmarshal(data, &p) != nil {
		return ""
	}
	return p.Version
}

func npmInstall(ctx context.Context, root string, packages ...string) error {
	dir := filepath.Join(root, peerPath)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Without a package.json of its own npm would look for one in the folders above.
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte("{\"private\": true}\n"), 0o644); err != nil {
		return err
	}
	args := append([]string{
		"install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact", "--loglevel=error",
	}, packages...)
	_, err := command(ctx, dir, "npm", args...)
	return err
}

// build puts the drivers into build/peer and compiles the C one against the header of the installed release.
func (p *installed) build(ctx context.Context, root string) error {
	dir := filepath.Join(root, peerPath)
	for _, name := range []string{"llama.c", "node.mjs"} {
		data, err := drivers.ReadFile("driver/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}

	llama := filepath.Join(dir, "node_modules", packageName, "llama")
	var info struct{ Tag string }
	data, err := os.ReadFile(filepath.Join(llama, "llama.cpp.info.json"))
	if err != nil {
		return err
	}
	if json.Unmarshal(data, &info) != nil || info.Tag == "" {
		return errors.New("llama.cpp.info.json names no release")
	}
	p.release = info.Tag

	// The package carries the sources that it was built from as a git bundle.
	source := filepath.Join(dir, "source")
	repository := filepath.Join(dir, "source.git")
	for _, old := range []string{source, repository} {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	headers := filepath.Join(source, "headers.tar")
	var libraries []string
	for _, pattern := range []string{"libllama.*", "libggml.*", "libggml-base.*"} { // libllama-common.so is not among them
		found, err := filepath.Glob(filepath.Join(root, p.libraries, pattern))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%d files are %s in %s, want 1", len(found), pattern, p.libraries)
		}
		libraries = append(libraries, found[0])
	}
	compile := slices.Concat([]string{
		"cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-o", filepath.Join(root, p.driver), filepath.Join(dir, "llama.c"),
		"-I" + filepath.Join(source, "include"), "-I" + filepath.Join(source, "ggml", "include"),
	}, libraries, []string{"-Wl,-rpath," + filepath.Join(root, p.libraries)})
	for _, args := range [][]string{
		{"git", "clone", "--quiet", "--bare", filepath.Join(llama, "gitRelease.bundle"), repository},
		{"git", "-C", repository, "archive", "--output", headers, "HEAD", "include", "ggml/include"},
		{"tar", "-xf", headers, "-C", source},
		compile,
	} {
		if _, err := command(ctx, root, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// backends names the CPU backends that the package has, by what stands in the names of their files.
func (p *installed) backends(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, p.libraries, "libggml-cpu-*.so"))
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "libggml-cpu-"), ".so"))
	}
	return names, err
}

// writeModel writes a synthetic model unless it is there already: the same shape gives the same bytes.
func writeModel(ctx context.Context, root string, m model, progress io.Writer) error {
	if _, err := os.Stat(filepath.Join(root, m.path())); err == nil {
		return nil
	}
	fmt.Fprintf(progress, "benchpeer: writing %s\n", m.path())
	_, err := command(ctx, root, realmPath, "synth", m.shape, m.path())
	return err
}

// command runs a program in a folder and returns its output. The error has what it wrote to stderr.
func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return output, nil
}
