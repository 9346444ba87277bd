package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/realm-ai/realm"
)

// exitPipe is the exit code where nothing reads standard output any more: what a shell reports for a program that
// SIGPIPE ended.
const exitPipe = 128 + 13

// Errorf makes an error of package realm's type. A %w verb sets the cause.
func Errorf(code realm.Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &realm.Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// FileError gives an error of package os its code.
func FileError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return Errorf(realm.CodeNotFound, "%w", err)
	}
	return Errorf(realm.CodeIO, "%w", err)
}

// Interrupted is the error of a command that a signal ended.
var Interrupted = Errorf(realm.CodeCanceled, "interrupted")

// UsageError is a mistake in the command line itself.
type UsageError struct {
	command string // the command whose help has more; empty for the program's
	msg     string
}

// Usagef makes a UsageError for the command.
func (c *Command) Usagef(format string, args ...any) error { return usagef(c.Name, format, args...) }

func usagef(command, format string, args ...any) error {
	return &UsageError{command, fmt.Sprintf(format, args...)}
}

func (e *UsageError) Error() string {
	if e.command == "" {
		return e.msg
	}
	return e.command + ": " + e.msg
}

// Unwrap returns the code, which decides the exit code.
func (e *UsageError) Unwrap() error { return realm.CodeInvalidArgument }

// outputError is the error of a failed write to standard output.
func outputError(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return err
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // its path is the name that os gives to the stream
	}
	return Errorf(realm.CodeIO, "standard output: %w", err)
}

// report prints an error, if there is one worth a message, and returns the exit code.
func (a *App) report(env *Env, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitPipe
	}
	code := realm.CodeOf(err)
	if code == realm.CodeCanceled {
		err = Interrupted // where it was computing is of no interest
	}
	fmt.Fprintf(env.Stderr, "%s: %s\n", a.Name, Printable(err.Error()))
	if usage, ok := errors.AsType[*UsageError](err); ok {
		fmt.Fprintf(env.Stderr, "Run '%s' for help.\n", strings.TrimSpace(a.Name+" help "+usage.command))
	}
	return code.ExitCode()
}

// ExitCodes is the page of help that lists the exit codes.
func ExitCodes() Topic {
	var b strings.Builder
	b.WriteString("Exit codes of realm:\n\n")
	column(&b, "0", 7, "success")
	for _, c := range []struct {
		code realm.Code
		when string
	}{
		{realm.CodeInternal, "a bug in Realm"},
		{realm.CodeInvalidArgument, "a command line that can never be right, or a value that the model does not take"},
		{realm.CodeNotFound, "no such file, model or tensor, or no such shape for synth"},
		{realm.CodeInvalidFormat, "a file that does not follow its format, or is cut short"},
		{realm.CodeUnsupported, "an architecture, dtype or tokenizer that Realm does not run"},
		{realm.CodeLimitExceeded, "input beyond a stated limit"},
		{realm.CodeContextLength, "a prompt or an answer that does not fit the context length"},
		{realm.CodeDeadlineExceeded, "a time limit passed"},
		{realm.CodeClosed, "a model used after it was closed"},
		{realm.CodeOutOfMemory, "no room in the KV cache, or in the memory of the guest: see --limit-memory"},
		{realm.CodeIO, "the system failed to read or write"},
		{realm.CodeConflict, "a file that is there already, or changed while it was read"},
		{realm.CodePermissionDenied, "a server that refuses a download (HF_TOKEN), or a model that the guest was not granted"},
		{realm.CodeFuelExhausted, "the guest used up its fuel: see --limit-fuel"},
		{realm.CodeCacheLimit, "the guest took too much of the KV cache"},
		{realm.CodeOutputLimit, "the guest put out too much"},
		{realm.CodeHostCallLimit, "the guest made too many host calls"},
		{realm.CodeStackOverflow, "the guest's calls went too deep"},
		{realm.CodeGuestFailed, "the guest trapped, exited or broke the ABI"},
		{realm.CodeCanceled, "Ctrl-C, or a request of the system's to end"},
	} {
		column(&b, fmt.Sprint(c.code.ExitCode()), 7, c.code.Error()+": "+c.when)
	}
	column(&b, fmt.Sprint(exitPipe), 7, "the reader of standard output went away; nothing is printed")
	b.WriteByte('\n')
	wrap(&b, 0, "A command that fails prints one line on standard error, which begins with `realm: `. With --json, "+
		"standard output is then empty.")
	return Topic{Name: "exit-codes", Short: "what the exit codes mean", Text: b.String()}
}
