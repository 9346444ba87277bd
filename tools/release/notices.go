package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const noticesName = "THIRD_PARTY_NOTICES.txt"

// program is a Go program that is released.
type program struct {
	folder string
	env    []string
	tags   string
}

// programs are the Go programs in what is released.
var programs = map[string]program{
	"command": {"./cmd/realm", []string{"CGO_ENABLED=0"}, ""},
	"guest":   {"./cmd/realm-guest", []string{"CGO_ENABLED=0", "GOOS=wasip1", "GOARCH=wasm"}, ""},
	"addon":   {"./cmd/realm-node", []string{"CGO_ENABLED=1"}, "node_addon,nofetch"},
}

// module is work of others in a program.
type module struct {
	Path, Version, Dir string
	license            string            // by its name in SPDX
	texts              map[string]string // of licences and notices, by file name
}

// modules lists whose code a program has, Go's own first, by what its packages import.
func (r *release) modules(p program) ([]module, error) {
	goRoot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	list := []module{{Path: "std", Version: strings.TrimPrefix(runtime.Version(), "go"), Dir: strings.TrimSpace(string(goRoot))}}
	cmd := exec.Command("go", "list", "-deps", "-tags", p.tags, "-json=Module", p.folder)
	cmd.Dir, cmd.Stderr, cmd.Env = r.root, os.Stderr, append(os.Environ(), p.env...)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", p.folder, err)
	}
	found := map[string]module{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if m := pkg.Module; m != nil && !m.Main {
			found[m.Path] = module{Path: m.Path, Version: m.Version, Dir: m.Dir}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[path])
	}
	for i := range list {
		if err := list[i].read(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// read reads the texts that must go with a module. One without a licence, or with one that nobody here has looked at,
// must not be released.
func (m *module) read() error {
	m.texts = map[string]string{}
	for _, pattern := range []string{"LICENSE*", "COPYING*", "NOTICE*", "PATENTS*"} {
		files, err := filepath.Glob(filepath.Join(m.Dir, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			m.texts[filepath.Base(file)] = string(data)
			if name := licenseOf(string(data)); name != "" {
				m.license = name
			}
		}
	}
	if m.license == "" {
		return fmt.Errorf("module %s %s: no licence that licenseOf knows in %s", m.Path, m.Version, m.Dir)
	}
	return nil
}

// licenseOf names a licence by sentences of its own.
func licenseOf(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	switch {
	case strings.Contains(text, "Apache License Version 2.0, January 2004"):
		return "Apache-2.0"
	case strings.Contains(text, "Redistribution and use in source and binary forms") && strings.Contains(text, "Neither the name of"):
		return "BSD-3-Clause"
	case strings.Contains(text, "Permission is hereby granted, free of charge, to any person obtaining a copy"):
		return "MIT"
	}
	return ""
}

// notices is the text that goes with whatever has code of others in it: one for all programs.
func (r *release) notices() ([]byte, error) {
	all := map[string]module{}
	for _, p := range programs {
		list, err := r.modules(p)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			all[m.Path] = m
		}
	}
	var out bytes.Buffer
	out.WriteString("Realm is under the Apache License 2.0: see LICENSE. Its programs have code of the following works in them,\n" +
		"not each program of every one.\n")
	for _, path := range slices.Sorted(maps.Keys(all)) {
		m := all[path]
		title := m.Path + " " + m.Version
		if m.Path == "std" {
			title = "Go and its standard library " + m.Version
		}
		fmt.Fprintf(&out, "\n%s\n%s (%s)\n", strings.Repeat("=", 100), title, m.license)
		for _, name := range slices.Sorted(maps.Keys(m.texts)) {
			fmt.Fprintf(&out, "\n--- %s\n\n%s\n", name, strings.TrimSpace(m.texts[name]))
		}
	}
	return out.Bytes(), nil
}
