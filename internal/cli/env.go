package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/realm-ai/realm"
)

// Env is what a command has of the process around it.
type Env struct {
	Stdin  io.Reader
	Stdout *bufio.Writer // keeps the first error, which Main reports
	Stderr io.Writer

	// Whether a stream is a terminal, where somebody reads.
	StdinTerminal, StdoutTerminal, StderrTerminal bool

	// Signals brings the signals that ask for the end. Nil brings none.
	Signals <-chan os.Signal
}

// ProcessEnv is the Env of the process. It catches the signals, so that nobody else should.
func ProcessEnv() *Env {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return &Env{
		Stdin: os.Stdin, Stdout: bufio.NewWriter(os.Stdout), Stderr: os.Stderr,
		StdinTerminal: isTerminal(os.Stdin), StdoutTerminal: isTerminal(os.Stdout), StderrTerminal: isTerminal(os.Stderr),
		Signals: signals,
	}
}

// isTerminal reports whether a file is a terminal: a character device other than the null device, which programs are
// given for streams that they are not to use.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// Cancelable returns a context that ends with the first signal. The next signal has the effect it has on a process that
// catches none, in case the command does not end. After stop, signals are left to others.
func (e *Env) Cancelable(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-e.Signals:
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-stopped
	}
}

// WriteText writes text of a model and flushes it. On a terminal, control characters but for newlines and tabs become
// visible signs: what a model says must not move the cursor or set the window's title.
func (e *Env) WriteText(text string) error {
	if e.StdoutTerminal {
		text = Printable(text)
	}
	if _, err := e.Stdout.WriteString(text); err != nil {
		return outputError(err)
	}
	if err := e.Stdout.Flush(); err != nil {
		return outputError(err)
	}
	return nil
}

// WriteJSON writes v as one line of JSON.
func (e *Env) WriteJSON(v any) error {
	enc := json.NewEncoder(e.Stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Note prints a line on standard error.
func (e *Env) Note(format string, args ...any) {
	fmt.Fprintln(e.Stderr, Printable(fmt.Sprintf(format, args...)))
}

// Printable replaces control characters other than newlines and tabs, which a terminal would obey, by the signs that
// Unicode has for them.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < 0x20:
			return '\u2400' + r
		case r == 0x7f:
			return '\u2421'
		case 0x80 <= r && r < 0xa0:
			return '\ufffd'
		}
		return r
	}, s)
}

// ReadAll reads standard input to its end, at most limit bytes. It gives up when ctx ends, which a read from a terminal
// does not notice.
func (e *Env) ReadAll(ctx context.Context, limit int64) (string, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(e.Stdin, limit+1))
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		switch {
		case r.err != nil:
			return "", Errorf(realm.CodeIO, "standard input: %w", r.err)
		case int64(len(r.data)) > limit:
			return "", Errorf(realm.CodeLimitExceeded, "standard input: more than %d bytes", limit)
		}
		return string(r.data), nil
	case <-ctx.Done():
		return "", Interrupted
	}
}
