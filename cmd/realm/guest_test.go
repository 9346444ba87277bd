package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/cli"
)

func TestEmbeddedGuest(t *testing.T) {
	switch module, err := embeddedGuest(); {
	case len(guestModule) == 0:
		if !errors.Is(err, realm.CodeUnsupported) {
			t.Errorf("without a guest: %v", err)
		}
	case err != nil || !bytes.HasPrefix(module, []byte("\x00asm")):
		t.Errorf("%d bytes, %v", len(module), err)
	}
}

// buildGuest builds the guest that ships, or takes the one that REALM_GUEST names.
func buildGuest(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the guest")
	}
	if path := os.Getenv("REALM_GUEST"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", path, "../realm-guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// TestRunThroughGuest holds what `realm run` prints with a guest to what it prints without one.
func TestRunThroughGuest(t *testing.T) {
	guest := buildGuest(t)
	model := tiny(t, "tiny-llama-q4_k")
	for _, flags := range [][]string{
		{"-p", "Hello", "-n", "6"},
		{"--raw", "-p", "Once upon a time", "-n", "9", "--temp", "0.8", "--seed", "7", "--logit-bias", "5=-inf", "--logprobs", "2"},
		{"--raw", "-p", "One", "-n", "40", "--ignore-eos", "--ctx", "32", "--shift", "--keep", "4"},
	} {
		flags = append(flags, "--hash-logits")
		native := runJSON(t, model, append(flags, "--native")...)
		dump := filepath.Join(t.TempDir(), "memory")
		through := runJSON(t, model, append(flags, "--guest", guest, "--dump-memory", dump)...)
		g := through.Guest
		if g == nil || g.Fuel == 0 || g.WeightBytes != 0 || g.HostCalls["realm_forward"] == 0 || native.Guest != nil {
			t.Fatalf("%q: guest %+v, natively %+v", flags, g, native.Guest)
		}
		if info, err := os.Stat(dump); err != nil || info.Size() != g.MemoryBytes {
			t.Errorf("%q: a dump of %v, error %v, want %d bytes", flags, info, err, g.MemoryBytes)
		}
		for _, r := range []*cli.RunResult{&native, &through} {
			r.Guest, r.Timings, r.Memory = nil, cli.Timings{}, cli.Memory{}
		}
		if !reflect.DeepEqual(native, through) {
			t.Errorf("%q:\n through a guest %+v\n natively %+v", flags, through, native)
		}
	}
	run := []string{"run", "-m", model, "-p", "Hello", "-n", "6", "--guest", guest}
	if text, want := succeed(t, "", run...), succeed(t, "", "run", "-m", model, "-p", "Hello", "-n", "6"); text != want {
		t.Errorf("through a guest %q, natively %q", text, want)
	}
	if out := invoke(t, "", append(run, "-v")...); out.code != 0 || !strings.Contains(out.stderr, "\nweights that entered the guest  0 B\n") ||
		!strings.Contains(out.stderr, "realm_forward 6") {
		t.Errorf("-v: %+v", out)
	}
	if out := invoke(t, "", append(run, "--limit-fuel", "1000")...); out.code != realm.CodeFuelExhausted.ExitCode() {
		t.Errorf("--limit-fuel 1000: %+v", out)
	}
	if out := invoke(t, "", append(run, "--limit-memory", "1")...); out.code != realm.CodeLimitExceeded.ExitCode() {
		t.Errorf("--limit-memory 1: %+v", out)
	}
	chat := []string{"run", "-m", model, "-n", "3", "-v"}
	own, out := invoke(t, "One\nTwo\n/clear\nOne\n", chat...), invoke(t, "One\nTwo\n/clear\nOne\n", append(chat, "--guest", guest)...)
	cached := regexp.MustCompile(`prompt: \d+ tokens(, \d+ cached)?`)
	if out.code != 0 || out.stdout != own.stdout || !strings.Contains(out.stderr, "cached") ||
		!slices.Equal(cached.FindAllString(out.stderr, -1), cached.FindAllString(own.stderr, -1)) {
		t.Errorf("a chat through a guest: %+v\nnatively: %+v", out, own)
	}

	var d cli.GuestDescription
	unmarshal(t, succeed(t, "", "guest", "inspect", guest, "--json"), &d)
	if d.ABIVersion != 1 || d.Refused != "" || len(d.Imports) == 0 || d.MemoryMin == 0 {
		t.Errorf("guest inspect: %+v", d)
	}
	if text := succeed(t, "", "guest", "inspect", guest); !strings.Contains(text, "realm.realm_forward") || !strings.Contains(text, "ABI version  1\n") {
		t.Errorf("guest inspect: %s", text)
	}
}

// TestGuestMistakes gives flags and files that can never be right.
func TestGuestMistakes(t *testing.T) {
	model := tiny(t, "tiny-llama-q4_k")
	for code, list := range map[int][][]string{
		2: {
			{"run", "-m", model, "-p", "a", "--native", "--limit-fuel", "5"},
			{"run", "-m", model, "-p", "a", "--guest", model, "--native"},
			{"run", "-m", model, "-p", "a", "--guest", "x", "--limit-memory", "0"},
			{"guest", "look", model},
		},
		3: {{"run", "-m", model, "-p", "a", "--guest", model + ".none"}, {"guest", "inspect", model + ".none"}},
		4: {{"run", "-m", model, "-p", "a", "--guest", model}, {"guest", "inspect", model}},
	} {
		for _, args := range list {
			if out := invoke(t, "", args...); out.code != code || out.stdout != "" {
				t.Errorf("%q: %+v, want exit code %d", args, out, code)
			}
		}
	}
}
