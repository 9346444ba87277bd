// Command checkgen says whether generated files are up to date: it runs a command in a folder and fails if that
// changed, added or removed a file. It compares the files themselves, not a commit, so it works on a tree with
// uncommitted changes and without git.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: checkgen FOLDER COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "checkgen:", err)
		os.Exit(1)
	}
}

func run(root string, command []string) error {
	before, err := digests(root)
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	after, err := digests(root)
	if err != nil {
		return err
	}
	if stale := differing(before, after); len(stale) != 0 {
		return fmt.Errorf("generated files were out of date, review and commit them:\n  %s", strings.Join(stale, "\n  "))
	}
	return nil
}

// digests maps each file under root to its SHA-256. What make builds, what npm installs and hidden folders are no
// sources and are left out.
func digests(root string) (map[string][sha256.Size]byte, error) {
	sums := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == "build" || name == "node_modules" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		sum, err := digest(path)
		sums[path] = sum
		return err
	})
	return sums, err
}

func digest(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// differing lists the files that are not the same in both, sorted.
func differing(before, after map[string][sha256.Size]byte) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, stoodBefore := before[name]
		is, standsAfter := after[name]
		if was != is || stoodBefore != standsAfter {
			names = append(names, name)
		}
	}
	return names
}
