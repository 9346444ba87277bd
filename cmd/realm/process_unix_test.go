//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is the program as a process of its own, with pipes.
type process struct {
	*exec.Cmd
	stdout *bufio.Reader
	stderr bytes.Buffer
}

func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...)}
	p.Env = append(os.Environ(), asProcess+"=1")
	p.Stderr = &p.stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
}

// start starts the program. What it prints is read from stdout.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := newProcess(t, args...)
	p.start(t)
	return p
}

// interrupt sends a signal and returns what was printed since, once the program has ended, which it has to in a second.
func (p *process) interrupt(t *testing.T, signal os.Signal) (rest string) {
	t.Helper()
	sent := time.Now()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(p.stdout)
	if err != nil {
		t.Error(err)
	}
	_ = p.Wait() // the exit code is looked at by the test
	if took := time.Since(sent); took > time.Second {
		t.Errorf("ended after %v, want a second at most", took)
	}
	return string(data)
}

// TestInterruptAnswer stops an answer that would never end.
func TestInterruptAnswer(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := start(t, "run", "-m", tiny(t, "tiny-llama-f32"), "--raw", "-p", "Hello", "--ignore-eos", "--shift", "--logit-bias", "68=1000")
		if b, err := p.stdout.ReadByte(); err != nil || b != 'A' {
			t.Fatalf("got %q, %v, want an endless AAAA: %s", b, err, p.stderr.String())
		}
		rest := p.interrupt(t, signal)
		if code := p.ProcessState.ExitCode(); code != 130 || p.stderr.String() != "realm: interrupted\n" {
			t.Errorf("%v: exit code %d, stderr %q", signal, code, p.stderr.String())
		}
		if !strings.HasSuffix(rest, "\n") || strings.Trim(rest, "A\n") != "" {
			t.Errorf("%v: the answer ends %q", signal, rest[max(0, len(rest)-10):])
		}
	}
}

// TestInterruptPrompt stops while a prompt is computed that takes minutes. What has begun is finished: a layer, here of
// 32 tokens, which takes some 50 ms, so that a slow machine passes too.
func TestInterruptPrompt(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model.gguf")
	succeed(t, "", "synth", "smollm2-135m-q4_1", model)
	p := start(t, "run", "-m", model, "--raw", "-p", strings.Repeat("all of these words ", 800), "--json", "--chunk", "32")
	time.Sleep(700 * time.Millisecond) // opening takes a tenth of it
	if rest := p.interrupt(t, os.Interrupt); rest != "" {
		t.Errorf("printed %q", rest)
	}
	if code := p.ProcessState.ExitCode(); code != 130 || p.stderr.String() != "realm: interrupted\n" {
		t.Errorf("exit code %d, stderr %q", code, p.stderr.String())
	}
}

// TestInterruptSynth leaves no file behind.
func TestInterruptSynth(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "synth", "tinyllama-1.1b-q4_k_m", filepath.Join(dir, "model.gguf"))
	for begun := false; !begun; time.Sleep(time.Millisecond) {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		begun = len(files) > 0
	}
	p.interrupt(t, os.Interrupt)
	files, err := os.ReadDir(dir)
	if code := p.ProcessState.ExitCode(); code != 130 || err != nil || len(files) != 0 {
		t.Errorf("exit code %d, left behind %v, %v; stderr %q", code, files, err, p.stderr.String())
	}
}

// TestInterruptInput ends a program that waits for standard input.
func TestInterruptInput(t *testing.T) {
	model := tiny(t, "tiny-llama-f32")
	for _, args := range [][]string{{"tokenize", "-m", model}, {"run", "-m", model, "-p", "-"}, {"run", "-m", model}} {
		p := newProcess(t, args...)
		stdin, err := p.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.start(t)
		// More than a pipe holds: when all is written, the program is reading.
		if _, err := stdin.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		p.interrupt(t, os.Interrupt)
		if code := p.ProcessState.ExitCode(); code != 130 || p.stderr.String() != "realm: interrupted\n" {
			t.Errorf("%q: exit code %d, stderr %q", args, code, p.stderr.String())
		}
	}
}

// TestReaderGoesAway ends without a word when nobody reads any more, as `realm run | head` does.
func TestReaderGoesAway(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	defer w.Close()
	cmd := exec.Command(os.Args[0], "run", "-m", tiny(t, "tiny-llama-f32"), "--raw", "-p", "Hello", "--ignore-eos", "--shift")
	cmd.Env = append(os.Environ(), asProcess+"=1")
	cmd.Stdout = w
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	exit, ok := errors.AsType[*exec.ExitError](cmd.Run())
	if !ok {
		t.Fatal("the program succeeded")
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	if status.Signal() != syscall.SIGPIPE && exit.ExitCode() != 141 || stderr.Len() > 0 {
		t.Errorf("got %v, stderr %q", exit, stderr.String())
	}
}
