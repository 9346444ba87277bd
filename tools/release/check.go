package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// check builds the last commit twice, in two folders with caches of their own, and compares what comes out.
func (r *release) check(names string) error {
	commit := r.commit()
	if commit == "" || strings.HasSuffix(commit, "-dirty") {
		return fmt.Errorf("this is no git checkout, or has changes: what is checked is the last commit")
	}
	temp, err := os.MkdirTemp("", "realm-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	var sums [2]string
	for i, folder := range []string{"a", filepath.Join("another", "folder-with-a-longer-name")} {
		dir := filepath.Join(temp, folder)
		if err := r.buildIn(dir, commit, names, fmt.Sprint(filepath.Join(temp, "caches"), i)); err != nil {
			return fmt.Errorf("in %s: %w", dir, err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "build", "release", sumsName))
		if err != nil {
			return err
		}
		sums[i] = string(data)
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("two builds differ:\n%s\n%s", sums[0], sums[1])
	}
	fmt.Printf("two builds of %s are the same:\n%s", commit, sums[0])
	return nil
}

// buildIn clones the repository to a folder and builds a release of a commit there, with nothing in the caches.
func (r *release) buildIn(dir, commit, names, caches string) error {
	for _, command := range [][]string{
		{"git", "clone", "--quiet", "--no-checkout", r.root, dir},
		{"git", "-C", dir, "checkout", "--quiet", "--detach", commit}, // work may go on in the repository meanwhile
		{"make", "-C", dir, "release", "PLATFORMS=" + names},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.Env = append(os.Environ(), "GOCACHE="+filepath.Join(caches, "go"), "ZIG_GLOBAL_CACHE_DIR="+filepath.Join(caches, "zig"))
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
	}
	return nil
}
