package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realm-ai/realm"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\n": "plain\ttext\n",
		"\x1b[31m\a\r":  "␛[31m␇␍",
		"\x7f\u009b2J":  "␡\ufffd2J",
		"Größe 世界 🦙":    "Größe 世界 🦙",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWriteText(t *testing.T) {
	for terminal, want := range map[bool]string{false: "a\x1bc\n", true: "a␛c\n"} {
		env := newEnv(nil)
		env.StdoutTerminal = terminal
		if err := env.WriteText("a\x1bc\n"); err != nil {
			t.Fatal(err)
		}
		if got := env.stdout.String(); got != want {
			t.Errorf("terminal %v: got %q, want %q", terminal, got, want)
		}
	}
}

func TestReadAll(t *testing.T) {
	env := newEnv(strings.NewReader("a\x00b\n\xff"))
	if got, err := env.ReadAll(t.Context(), 5); err != nil || got != "a\x00b\n\xff" {
		t.Errorf("got %q, %v", got, err)
	}
	env = newEnv(strings.NewReader("123456"))
	if _, err := env.ReadAll(t.Context(), 5); realm.CodeOf(err) != realm.CodeLimitExceeded {
		t.Errorf("over the limit: %v", err)
	}
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := newEnv(r).ReadAll(ctx, 5); realm.CodeOf(err) != realm.CodeCanceled {
		t.Errorf("input that never comes: %v", err)
	}
	r.CloseWithError(os.ErrPermission)
	if _, err := newEnv(r).ReadAll(t.Context(), 5); realm.CodeOf(err) != realm.CodeIO {
		t.Errorf("input that fails: %v", err)
	}
}

func TestCancelable(t *testing.T) {
	env := newEnv(nil)
	ctx, stop := env.Cancelable(t.Context())
	defer stop()
	if ctx.Err() != nil {
		t.Fatal("cancelled before a signal")
	}
	env.signals <- os.Interrupt
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("a signal did not cancel")
	}
}

func TestIsTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(file) || isTerminal(null) {
		t.Error("a file or the null device passes for a terminal")
	}
	_ = null.Close()
	if isTerminal(null) {
		t.Error("a closed file passes for a terminal")
	}
}

func TestFileError(t *testing.T) {
	_, err := os.Open(filepath.Join(t.TempDir(), "missing"))
	if code := realm.CodeOf(FileError(err)); code != realm.CodeNotFound {
		t.Errorf("missing file: code %v", code)
	}
	_, err = os.ReadFile(t.TempDir())
	if code := realm.CodeOf(FileError(err)); code != realm.CodeIO {
		t.Errorf("folder: code %v", code)
	}
}
