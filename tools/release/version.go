package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

var versionLine = regexp.MustCompile(`(?m)^const Version = "([^"]+)"$`)

// agreedVersion returns the version in version.go, which every npm package of the repository must have too.
func agreedVersion(root string) (string, error) {
	source, err := os.ReadFile(filepath.Join(root, "version.go"))
	if err != nil {
		return "", err
	}
	found := versionLine.FindSubmatch(source)
	if found == nil {
		return "", fmt.Errorf("version.go does not say what the version is")
	}
	version := string(found[1])
	folders, err := workspaces(root)
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		m, err := readManifest(folder)
		if err != nil {
			return "", err
		}
		if m.Version != version && !m.Private {
			return "", fmt.Errorf("version.go says %s, and package.json in %s says %s", version, folder, m.Version)
		}
	}
	return version, nil
}

// workspaces lists the folders of the npm packages.
func workspaces(root string) ([]string, error) {
	file := filepath.Join(root, "js", "package.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var top struct {
		Workspaces []string `json:"workspaces"`
	}
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i, name := range top.Workspaces {
		top.Workspaces[i] = filepath.Join(root, "js", filepath.FromSlash(name))
	}
	return top.Workspaces, nil
}
