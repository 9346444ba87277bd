// Package errs owns the error codes of Realm: one enum, and one table that says what each code is for an HTTP client, a
// Node program, a guest and a shell. Every package below reports failure with an *Error from here; package realm
// re-exports both types. Start at Code.
package errs

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an error is. It is itself an error, so that errors.Is(err, errs.NotFound) asks for the
// kind without a type assertion. Values are part of the host ABI (a failed host function returns minus its code): they
// are appended to, never renumbered.
type Code uint8

// The codes. The table below gives each its name, HTTP status and exit code.
const (
	OK               Code = iota
	Internal              // a bug in Realm
	InvalidArgument       // the caller passed something that can never be right
	NotFound              // no such file, model, tensor or key
	InvalidFormat         // a file or text does not follow its format
	Unsupported           // well-formed, but a version, dtype or architecture that Realm does not run
	LimitExceeded         // a stated limit on untrusted input
	ContextLength         // the prompt or the position is past the context length
	Canceled              // the caller's context was cancelled
	DeadlineExceeded      // the caller's deadline or a wall-time limit passed
	Closed                // used after Close
	OutOfMemory           // a memory or KV cache budget is used up
	IO                    // the operating system failed a read or a write
	Conflict              // two things claim one name
	PermissionDenied      // the caller was not granted this
	FuelExhausted         // a guest's fuel is used up
	CacheLimit            // the caller's share of the KV cache is used up
	OutputLimit           // a guest put out more than it may
	HostCallLimit         // a guest made more host calls than it may
	StackOverflow         // a guest's calls went too deep
	GuestFailed           // a guest trapped, exited or broke the ABI
	numCodes
)

// codes is the one table of what a code means on each surface.
var codes = [numCodes]struct {
	name string // for Node (error.code, with the prefix REALM_) and JSON
	text string
	http int
	exit int
}{
	OK:               {"OK", "success", 200, 0},
	Internal:         {"INTERNAL", "internal error", 500, 1},
	InvalidArgument:  {"INVALID_ARGUMENT", "invalid argument", 400, 2},
	NotFound:         {"NOT_FOUND", "not found", 404, 3},
	InvalidFormat:    {"INVALID_FORMAT", "invalid format", 422, 4},
	Unsupported:      {"UNSUPPORTED", "unsupported", 501, 5},
	LimitExceeded:    {"LIMIT_EXCEEDED", "limit exceeded", 413, 6},
	ContextLength:    {"CONTEXT_LENGTH", "context length exceeded", 400, 7},
	Canceled:         {"CANCELED", "canceled", 499, 130},
	DeadlineExceeded: {"DEADLINE_EXCEEDED", "deadline exceeded", 504, 8},
	Closed:           {"CLOSED", "closed", 409, 9},
	OutOfMemory:      {"OUT_OF_MEMORY", "out of memory", 503, 10},
	IO:               {"IO", "input/output error", 500, 11},
	Conflict:         {"CONFLICT", "conflict", 409, 12},
	PermissionDenied: {"PERMISSION_DENIED", "permission denied", 403, 13},
	FuelExhausted:    {"FUEL_EXHAUSTED", "fuel exhausted", 422, 14},
	CacheLimit:       {"CACHE_LIMIT", "cache limit exceeded", 422, 15},
	OutputLimit:      {"OUTPUT_LIMIT", "output limit exceeded", 422, 16},
	HostCallLimit:    {"HOST_CALL_LIMIT", "host call limit exceeded", 422, 17},
	StackOverflow:    {"STACK_OVERFLOW", "stack overflow", 422, 18},
	GuestFailed:      {"GUEST_FAILED", "guest failed", 422, 19},
}

func (c Code) known() Code {
	if c >= numCodes {
		return Internal
	}
	return c
}

// Name is the code's stable name, such as "INVALID_FORMAT".
func (c Code) Name() string { return codes[c.known()].name }

// Error makes a Code usable as a sentinel: errors.Is(err, errs.NotFound).
func (c Code) Error() string { return codes[c.known()].text }

// HTTPStatus is the status an HTTP server answers with.
func (c Code) HTTPStatus() int { return codes[c.known()].http }

// ExitCode is the status the command line exits with.
func (c Code) ExitCode() int { return codes[c.known()].exit }

// Codes lists every code, OK first.
func Codes() []Code {
	all := make([]Code, numCodes)
	for i := range all {
		all[i] = Code(i)
	}
	return all
}

// Error is the error type of every Realm API: a code, where and what went wrong, and the cause if there was one.
type Error struct {
	Code Code
	Msg  string // where and what, such as `gguf: tensor "output.weight": offset 0x1f00: past end of file`
	Err  error  // the cause, or nil
}

// Errorf makes an *Error with a formatted message. A %w verb sets the cause, as in fmt.Errorf.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// Wrap adds where an error happened and keeps its code. A nil error stays nil.
func Wrap(err error, where string) error {
	if err == nil {
		return nil
	}
	return &Error{Code: CodeOf(err), Msg: where + ": " + err.Error(), Err: err}
}

// Error returns the message.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// CodeOf returns the code of the outermost *Error or Code in err's chain, Internal for any other error and OK for nil.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if c, ok := errors.AsType[Code](err); ok {
		return c
	}
	return Internal
}
