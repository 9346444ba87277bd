package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// scope is that of the packages of platforms.
const scope = "@realm-ai/"

// manifest is a package.json: every field that one of ours has, in the order in which they are written. What is raw keeps
// its order, which in exports has a meaning.
type manifest struct {
	Name          string          `json:"name"`
	Version       string          `json:"version"`
	Private       bool            `json:"private,omitempty"`
	Description   string          `json:"description,omitempty"`
	Keywords      []string        `json:"keywords,omitempty"`
	License       string          `json:"license"`
	Repository    json.RawMessage `json:"repository,omitempty"`
	Type          string          `json:"type,omitempty"`
	Engines       json.RawMessage `json:"engines,omitempty"`
	OS            []string        `json:"os,omitempty"`
	CPU           []string        `json:"cpu,omitempty"`
	Libc          []string        `json:"libc,omitempty"`
	SideEffects   *bool           `json:"sideEffects,omitempty"`
	Exports       json.RawMessage `json:"exports,omitempty"`
	Main          string          `json:"main,omitempty"`
	Types         string          `json:"types,omitempty"`
	Bin           json.RawMessage `json:"bin,omitempty"`
	Files         []string        `json:"files,omitempty"`
	Unplugged     bool            `json:"preferUnplugged,omitempty"` // Yarn: a program must be a file on the disk
	Dependencies  json.RawMessage `json:"dependencies,omitempty"`
	Peers         json.RawMessage `json:"peerDependencies,omitempty"`
	PeersMeta     json.RawMessage `json:"peerDependenciesMeta,omitempty"`
	Optional      json.RawMessage `json:"optionalDependencies,omitempty"`
	Scripts       json.RawMessage `json:"scripts,omitempty"`
	Development   json.RawMessage `json:"devDependencies,omitempty"`
	PublishConfig json.RawMessage `json:"publishConfig,omitempty"`
}

// readManifest reads the package.json of a folder. A field that nobody thought of here is an error, so that none is lost.
func readManifest(folder string) (manifest, error) {
	var m manifest
	file := filepath.Join(folder, "package.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return m, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// pack packs what `make node` left for this machine.
func (r *release) pack() error {
	if err := clear(r.out); err != nil {
		return err
	}
	notices, err := r.notices()
	if err != nil {
		return err
	}
	if err := r.packWorkspaces(notices); err != nil {
		return err
	}
	for _, p := range r.chosen {
		if p.name != host() {
			return fmt.Errorf("%s is not this machine: only build makes its package", p.name)
		}
		built := binaries{
			command: filepath.Join(r.root, "build", "realm"),
			addon:   filepath.Join(r.root, "js", "sdk", "native", "index.node"),
		}
		if p.Addon == "" {
			built.addon = ""
		}
		if err := r.packPlatform(p, built, notices); err != nil {
			return err
		}
	}
	return nil
}

// binaries are the files of a platform; addon is empty where there is none.
type binaries struct{ command, addon string }

// packPlatform packs the package of one platform.
func (r *release) packPlatform(p platform, built binaries, notices []byte) error {
	sdk, err := readManifest(filepath.Join(r.root, "js", "sdk"))
	if err != nil {
		return err
	}
	m := manifest{
		Name: scope + p.name, Version: r.version, License: sdk.License, Repository: sdk.Repository, Engines: sdk.Engines,
		Description: "The native part of @realm-ai/sdk for " + p.name,
		OS:          []string{p.OS}, CPU: []string{p.CPU}, Unplugged: true,
	}
	if p.Libc != "" {
		m.Libc = []string{p.Libc}
	}
	readme := fmt.Sprintf("# %s\n\nThe native part of [@realm-ai/sdk](https://www.npmjs.com/package/@realm-ai/sdk) for %s, which "+
		"npm installs with it:\n`bin/%s`, the command line", m.Name, p.name, p.command())
	if built.addon != "" {
		readme += ", and `index.node`, the addon for Node"
	}
	return r.npmPack(m, func(stage string) error {
		if err := copyFile(built.command, filepath.Join(stage, "bin", p.command()), 0o755); err != nil {
			return err
		}
		if built.addon != "" {
			if err := copyFile(built.addon, filepath.Join(stage, "index.node"), 0o644); err != nil {
				return err
			}
		}
		return writeFile(filepath.Join(stage, "README.md"), []byte(readme+".\n"))
	}, notices)
}

// packWorkspaces packs the packages of the repository. The SDK gets the packages of all platforms as optional
// dependencies here: in a checkout nothing could install them.
func (r *release) packWorkspaces(notices []byte) error {
	folders, err := workspaces(r.root)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		m, err := readManifest(folder)
		if err != nil {
			return err
		}
		if m.Private {
			continue
		}
		m.Scripts, m.Development = nil, nil
		if m.Name == scope+"sdk" {
			versions := map[string]string{}
			for _, p := range r.all {
				versions[scope+p.name] = r.version
			}
			if m.Optional, err = json.Marshal(versions); err != nil {
				return err
			}
		}
		err = r.npmPack(m, func(stage string) error { return copyListed(folder, stage, append(m.Files, "README.md")) }, notices)
		if err != nil {
			return err
		}
	}
	return nil
}

// npmPack has npm pack a package that fill puts together in an empty folder. npm gives files fixed times and an order.
func (r *release) npmPack(m manifest, fill func(stage string) error, notices []byte) error {
	stage, err := os.MkdirTemp("", "realm-pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if err := fill(stage); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	m.Files = nil // what is there is what is packed
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(m); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(stage, "package.json"), text.Bytes()); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(stage, noticesName), notices); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(r.root, "LICENSE"), filepath.Join(stage, "LICENSE"), 0o644); err != nil {
		return err
	}
	cmd := exec.Command("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", r.out)
	cmd.Dir, cmd.Stderr = stage, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: npm pack: %w", m.Name, err)
	}
	return nil
}

// tarball is the name that npm gives to a package's file.
func tarball(name, version string) string {
	return strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-") + "-" + version + ".tgz"
}

// copyListed copies files and folders, which may be patterns, from one folder to another. What matches nothing is an
// error, but for names of documents.
func copyListed(from, to string, patterns []string) error {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(from, filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		if len(paths) == 0 && !slices.Contains([]string{"LICENSE", "README.md"}, pattern) {
			return fmt.Errorf("nothing is called %s: make node builds what is missing", filepath.Join(from, pattern))
		}
		for _, path := range paths {
			err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				name, err := filepath.Rel(from, file)
				if err != nil {
					return err
				}
				return copyFile(file, filepath.Join(to, name), 0o644)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// copyFile copies a file with a mode that no umask changes.
func copyFile(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := writeFile(to, data); err != nil {
		return err
	}
	return os.Chmod(to, mode)
}

// writeFile writes a file that everybody may read, and the folders that it is in.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return err
	}
	return os.Chmod(name, 0o644)
}
