package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const root = "../.."

// The table names platforms that Go builds for, and this machine is one of those that are tested.
func TestPlatforms(t *testing.T) {
	platforms, err := readPlatforms(root)
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, p := range platforms {
		targets[p.goos()+"/"+p.goarch()] = true
		if p.Libc == "musl" && p.Addon != "" {
			t.Errorf("%s has an addon, which musl cannot load", p.name)
		}
	}
	want := []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}
	if got := slices.Sorted(maps.Keys(targets)); !slices.Equal(got, want) {
		t.Errorf("builds for %q, want %q", got, want)
	}
	chosen, err := choose(platforms, "win32-x64,darwin-arm64,win32-x64")
	if err != nil || len(chosen) != 2 || chosen[0].command() != "realm.exe" || chosen[1].command() != "realm" {
		t.Errorf("chosen: %v, error %v", chosen, err)
	}
	if _, err := choose(platforms, "linux-mips"); err == nil || !strings.Contains(err.Error(), `"linux-mips"`) {
		t.Errorf("an unknown platform: error %v", err)
	}
}

func TestPlatformsAreChecked(t *testing.T) {
	for _, table := range []string{
		`{"linux-x64": {"os": "linux", "cpu": "x64"}}`,
		`{"linux-x64-gnu": {"os": "linux", "cpu": "x64", "libc": "musl"}}`,
		`{"darwin-x64": {"os": "darwin", "cpu": "arm64"}}`,
		`{"plan9-x64": {"os": "plan9", "cpu": "x64"}}`,
		`{"darwin-x64": {"os": "darwin", "cpu": "x64", "adon": "x"}}`,
	} {
		dir := t.TempDir()
		if err := writeFile(filepath.Join(dir, "js", "sdk", "native", "platforms.json"), []byte(table)); err != nil {
			t.Fatal(err)
		}
		if _, err := readPlatforms(dir); err == nil {
			t.Errorf("no error for %s", table)
		}
	}
}

// All packages have the version that stands in version.go, and every field of theirs is known here.
func TestVersionsAgree(t *testing.T) {
	version, err := agreedVersion(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"version.go":          "package realm\n\nconst Version = \"" + version + "\"\n",
		"js/package.json":     `{"workspaces": ["sdk"]}`,
		"js/sdk/package.json": `{"name": "@realm-ai/sdk", "version": "99.0.0"}`,
	} {
		if err := writeFile(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := agreedVersion(dir); err == nil || !strings.Contains(err.Error(), "99.0.0") {
		t.Errorf("versions that differ: error %v", err)
	}
}

// Every module in a program has a licence that is known, and its text stands in the notices.
func TestNotices(t *testing.T) {
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	r := &release{root: abs}
	notices, err := r.notices()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Go and its standard library", "Redistribution and use in source and binary forms",
		"github.com/tetratelabs/wazero v", "--- NOTICE", "github.com/ardanlabs/jinja v",
	} {
		if !strings.Contains(string(notices), want) {
			t.Errorf("%q is not in the notices", want)
		}
	}
	if err := (&module{Path: "x", Dir: t.TempDir()}).read(); err == nil {
		t.Error("a module without a licence: no error")
	}
}

// Archives have the same bytes each time, and modes with which they run.
func TestArchives(t *testing.T) {
	members := []member{{"realm/realm", 0o755, []byte("program")}, {"realm/LICENSE", 0o644, []byte("text")}}
	var first, second, zipped bytes.Buffer
	for _, w := range []io.Writer{&first, &second} {
		if err := writeTar(w, members); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives differ")
	}
	z, err := gzip.NewReader(&first)
	if err != nil {
		t.Fatal(err)
	}
	head, err := tar.NewReader(z).Next()
	if err != nil || head.Name != "realm/realm" || head.FileInfo().Mode() != 0o755 || !head.ModTime.Equal(modified) {
		t.Errorf("in the tar file: %+v, error %v", head, err)
	}
	if err := writeZip(&zipped, members); err != nil {
		t.Fatal(err)
	}
	in, err := zip.NewReader(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
	if err != nil || len(in.File) != 2 || in.File[0].Mode() != 0o755 || in.File[0].UncompressedSize64 != 7 {
		t.Errorf("in the zip file: %+v, error %v", in, err)
	}
}

// The bill of materials names what is released with its checksum, and all that it refers to.
func TestSBOM(t *testing.T) {
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := readPlatforms(root)
	if err != nil {
		t.Fatal(err)
	}
	r := &release{root: abs, out: t.TempDir(), version: "1.2.3"}
	if r.chosen, err = choose(platforms, "linux-x64-gnu,win32-arm64"); err != nil {
		t.Fatal(err)
	}
	names := []string{"realm-1.2.3-linux-amd64.tar.gz", "realm-ai-linux-x64-gnu-1.2.3.tgz", "realm-ai-win32-arm64-1.2.3.tgz"}
	for _, name := range names {
		if err := writeFile(filepath.Join(r.out, name), []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.writeSBOM(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(r.out, "realm-1.2.3.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{bom.Metadata.Component.BOMRef: true}
	for _, c := range *bom.Components {
		if refs[c.BOMRef] {
			t.Errorf("%s stands twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
		if c.Licenses == nil || strings.HasPrefix(c.Name, "realm-") && c.Hashes == nil {
			t.Errorf("%s has no licence or no checksum", c.BOMRef)
		}
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range append(*d.Dependencies, d.Ref) {
			if !refs[ref] {
				t.Errorf("%s is referred to and is nowhere", ref)
			}
		}
	}
	if !refs["pkg:npm/%40realm-ai/linux-x64-gnu@1.2.3"] || !strings.Contains(string(data), "pkg:golang/github.com/tetratelabs/wazero@v") {
		t.Errorf("components: %v", refs)
	}
	m := manifest{Name: "x", Dependencies: json.RawMessage(`{"left-pad": "1"}`)}
	if err := m.dependsOn("@realm-ai/sdk"); err == nil || !strings.Contains(err.Error(), "left-pad") {
		t.Errorf("a dependency that nobody lists: error %v", err)
	}
}
