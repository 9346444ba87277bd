package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM writes the bill of materials, in CycloneDX 1.6: the files that are released, with their checksums, and whose
// code is in each. It has neither a time nor a number of its own, so that it is the same each time.
func (r *release) writeSBOM() error {
	parts := map[string][]module{} // by program
	for name, p := range programs {
		list, err := r.modules(p)
		if err != nil {
			return err
		}
		parts[name] = list
	}
	realm := cdx.Component{
		BOMRef: "realm", Type: cdx.ComponentTypeApplication, Name: "realm", Version: r.version,
		PackageURL: "pkg:golang/github.com/realm-ai/realm@v" + r.version, Licenses: licenses("Apache-2.0"),
	}
	bom := cdx.NewBOM()
	bom.SpecVersion, bom.JSONSchema = cdx.SpecVersion1_6, "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.Metadata = &cdx.Metadata{Component: &realm}

	var components []cdx.Component
	var dependencies []cdx.Dependency
	add := func(c cdx.Component, needs []string) {
		c.BOMRef, c.Licenses = c.PackageURL, licenses("Apache-2.0")
		if c.BOMRef == "" {
			c.BOMRef = c.Name
		}
		components = append(components, c)
		dependencies = append(dependencies, cdx.Dependency{Ref: c.BOMRef, Dependencies: &needs})
	}
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var released []string
	for _, entry := range entries {
		c, needs, err := r.released(entry.Name(), parts)
		if err != nil {
			return err
		}
		add(c, needs)
		released = append(released, components[len(components)-1].BOMRef)
	}
	modules := map[string]module{}
	for _, list := range parts {
		for _, m := range list {
			modules[m.Path] = m
		}
	}
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		m := modules[path]
		components = append(components, cdx.Component{
			BOMRef: m.url(), Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version,
			PackageURL: m.url(), Licenses: licenses(m.license),
		})
	}
	dependencies = append(dependencies, cdx.Dependency{Ref: realm.BOMRef, Dependencies: &released})
	bom.Components, bom.Dependencies = &components, &dependencies

	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return err
	}
	return writeFile(filepath.Join(r.out, fmt.Sprintf("realm-%s.cdx.json", r.version)), text.Bytes())
}

// released describes a file of the release and says what it needs, by references.
func (r *release) released(name string, parts map[string][]module) (cdx.Component, []string, error) {
	sum, err := fileSum(filepath.Join(r.out, name))
	if err != nil {
		return cdx.Component{}, nil, err
	}
	c := cdx.Component{
		Type: cdx.ComponentTypeApplication, Name: name, Version: r.version,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}},
	}
	refs := func(programs ...string) []string {
		var list []string
		for _, program := range programs {
			for _, m := range parts[program] {
				if !slices.Contains(list, m.url()) {
					list = append(list, m.url())
				}
			}
		}
		slices.Sort(list)
		return list
	}
	if filepath.Ext(name) == ".tgz" {
		c.Type = cdx.ComponentTypeLibrary
		for _, p := range r.chosen {
			if name == tarball(scope+p.name, r.version) {
				c.Name, c.PackageURL = scope+p.name, npmURL(scope+p.name, r.version)
				if p.Addon == "" {
					return c, refs("command", "guest"), nil
				}
				return c, refs("command", "guest", "addon"), nil
			}
		}
		return r.releasedWorkspace(c, refs("guest"))
	}
	return c, refs("command", "guest"), nil // an archive of the command line, which has the guest in it
}

// releasedWorkspace describes a package of the repository, the SDK or one that builds on it.
func (r *release) releasedWorkspace(c cdx.Component, guest []string) (cdx.Component, []string, error) {
	folders, err := workspaces(r.root)
	if err != nil {
		return c, nil, err
	}
	for _, folder := range folders {
		m, err := readManifest(folder)
		if err != nil {
			return c, nil, err
		}
		if c.Name != tarball(m.Name, m.Version) {
			continue
		}
		c.Name, c.PackageURL = m.Name, npmURL(m.Name, m.Version)
		if m.Name == scope+"sdk" {
			for _, p := range r.chosen {
				guest = append(guest, npmURL(scope+p.name, r.version))
			}
			return c, guest, m.dependsOn()
		}
		return c, []string{npmURL(scope+"sdk", r.version)}, m.dependsOn(scope + "sdk")
	}
	return c, nil, fmt.Errorf("%s is the package of no folder", c.Name)
}

// dependsOn fails where a package depends on others than these, which the bill of materials would have to name.
func (m manifest) dependsOn(names ...string) error {
	known := map[string]string{}
	if len(m.Dependencies) > 0 {
		if err := json.Unmarshal(m.Dependencies, &known); err != nil {
			return fmt.Errorf("%s: dependencies: %w", m.Name, err)
		}
	}
	for name := range known {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s depends on %s, of which the bill of materials knows nothing: see releasedWorkspace", m.Name, name)
		}
	}
	return nil
}

// url is a module's package URL, see https://github.com/package-url/purl-spec.
func (m module) url() string { return "pkg:golang/" + m.Path + "@" + m.Version }

func npmURL(name, version string) string {
	return "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + version
}

func licenses(name string) *cdx.Licenses {
	return &cdx.Licenses{{License: &cdx.License{ID: name}}}
}
