package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// zig is the C compiler of the addons, as the Python package ziglang carries it: one version for all targets, and one that
// links with a glibc as old as the table asks for, whatever the machine has.
const zigVersion = "0.17.1"

// build makes everything. make has built the guest and the SDK before.
func (r *release) build() error {
	if err := clear(r.out); err != nil {
		return err
	}
	work := filepath.Join(r.root, "build", "release-work")
	if err := clear(work); err != nil {
		return err
	}
	notices, err := r.notices()
	if err != nil {
		return err
	}
	commands := map[string]string{} // by GOOS-GOARCH: packages that differ in libc only have the same one
	for _, p := range r.chosen {
		target := p.goos() + "-" + p.goarch()
		built := binaries{command: commands[target]}
		if built.command == "" {
			built.command = filepath.Join(work, target, p.command())
			commands[target] = built.command
			if err := r.buildCommand(p, built.command); err != nil {
				return err
			}
			if err := r.archive(p, built.command, notices); err != nil {
				return err
			}
		}
		if p.Addon != "" {
			built.addon = filepath.Join(work, p.name, "index.node")
			if err := r.buildAddon(p, built.addon); err != nil {
				return err
			}
		}
		if err := r.packPlatform(p, built, notices); err != nil {
			return err
		}
	}
	if err := r.packWorkspaces(notices); err != nil {
		return err
	}
	if err := r.writeSBOM(); err != nil {
		return err
	}
	return writeSums(r.out)
}

// goBuild builds a Go program so that neither the folder nor the environment shows in it.
func (r *release) goBuild(p platform, what program, out, ldflags string, arguments, env []string) error {
	arguments = append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid= " + ldflags, "-tags=" + what.tags}, arguments...)
	cmd := exec.Command("go", append(arguments, "-o", out, what.folder)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.root, os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "GOOS="+p.goos(), "GOARCH="+p.goarch(), "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	cmd.Env = append(append(cmd.Env, what.env...), env...)
	fmt.Fprintf(os.Stderr, "building %s\n", strings.TrimPrefix(out, r.root+string(filepath.Separator)))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s for %s: %w", what.folder, p.name, err)
	}
	return nil
}

func (r *release) buildCommand(p platform, out string) error {
	return r.goBuild(p, programs["command"], out, "-X main.commit="+r.commit(), []string{"-tags=embed_guest"}, nil)
}

// commit is the commit that is built, marked where the folder has changes, or nothing where this is no git checkout.
func (r *release) commit() string {
	cmd := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (r *release) buildAddon(p platform, out string) error {
	zig, err := zig()
	if err != nil {
		return err
	}
	headers := filepath.Join(r.root, "js", "node_modules", "node-api-headers", "include")
	env := []string{
		fmt.Sprintf("CC='%s' cc -target %s", zig, p.Addon),
		fmt.Sprintf("CGO_CFLAGS=-O2 -g0 '-I%s'", headers), "CGO_LDFLAGS=-s",
	}
	arguments := []string{
		"-buildmode=c-shared", "-gcflags=github.com/ardanlabs/jinja=-l", "-gcflags=github.com/realm-ai/realm/internal/chat=-l",
	}
	if err := r.goBuild(p, programs["addon"], out, "-funcalign=16", arguments, env); err != nil {
		return err
	}
	return os.Remove(strings.TrimSuffix(out, ".node") + ".h")
}

// zig returns the path of the C compiler, which pip fetches where it is not in the user's cache folder yet.
func zig() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "realm-zig-"+zigVersion)
	program := filepath.Join(dir, "ziglang", "zig")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	temp := fmt.Sprintf("%s.%d", dir, os.Getpid())
	defer os.RemoveAll(temp)
	cmd := exec.Command("python3", "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input",
		"--disable-pip-version-check", "--root-user-action=ignore", "--target", temp, "ziglang=="+zigVersion)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("pip install ziglang: %w", err)
	}
	if err := os.Rename(temp, dir); err != nil {
		if _, there := os.Stat(program); there != nil { // another process was not faster either
			return "", err
		}
	}
	return program, nil
}
