package bridge

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"unsafe"

	"github.com/realm-ai/realm"
)

// Call is one call of a function: its arguments, and for an operation the way to its callback.
type Call struct {
	Name string
	Env  *Environment
	Op   *Operation // nil in a synchronous call
	Args []Argument
}

// Kind is the type of an argument.
type Kind int

// The kinds of arguments.
const (
	Undefined Kind = iota // or null
	Bool                  // Number is 0 or 1
	Number
	String
	Bytes // of a buffer
	Other // a value of another type
)

// Argument is a value from JavaScript.
type Argument struct {
	Kind   Kind
	Number float64
	Text   string
	Bytes  []byte // of a buffer, in place: valid until the call, or the operation, is over
}

// NewBuffer is a result that asks for a call with a new buffer of so many bytes as a further argument.
type NewBuffer int

// Context is what a call's work stops with.
func (c *Call) Context() context.Context {
	if c.Op != nil {
		return c.Op.Context
	}
	return c.Env.Context
}

// Invalid is the error of an argument that is not what it should be.
func (c *Call) Invalid(i int, want string) error {
	have := "is missing"
	if i < len(c.Args) {
		have = "is " + map[Kind]string{
			Undefined: "undefined or null", Bool: "a boolean", Number: fmt.Sprint(c.Args[i].Number),
			String: "a string", Bytes: "a buffer", Other: "an object",
		}[c.Args[i].Kind]
	}
	return &realm.Error{Code: realm.CodeInvalidArgument, Msg: fmt.Sprintf("realm: %s: argument %d %s: want %s", c.Name, i+1, have, want)}
}

// Is reports whether an argument is of a kind.
func (c *Call) Is(i int, kind Kind) bool { return i < len(c.Args) && c.Args[i].Kind == kind }

// Number returns an argument that is a whole number from 0 to max.
func (c *Call) Number(i int, what string, max uint64) (uint64, error) {
	if c.Is(i, Number) {
		if v := c.Args[i].Number; v == math.Trunc(v) && v >= 0 && v <= float64(max) {
			return uint64(v), nil
		}
	}
	return 0, c.Invalid(i, what)
}

// ModelID returns an argument that is a model's id.
func (c *Call) ModelID(i int) (uint32, error) {
	v, err := c.Number(i, "a model's id, as storeModel returns it", math.MaxUint32)
	return uint32(v), err
}

// Text returns an argument that is a string.
func (c *Call) Text(i int, what string) (string, error) {
	if c.Is(i, String) {
		return c.Args[i].Text, nil
	}
	return "", c.Invalid(i, what)
}

// Bool returns an argument that may be missing, which is false.
func (c *Call) Bool(i int, what string) (bool, error) {
	if i >= len(c.Args) || c.Is(i, Undefined) {
		return false, nil
	}
	if c.Is(i, Bool) {
		return c.Args[i].Number != 0, nil
	}
	return false, c.Invalid(i, what)
}

// Buffer returns the bytes of an argument that is a buffer.
func (c *Call) Buffer(i int, what string) ([]byte, error) {
	if c.Is(i, Bytes) {
		return c.Args[i].Bytes, nil
	}
	return nil, c.Invalid(i, what)
}

// elements are the n values of four bytes that a buffer holds, in place.
func elements[T int32 | float32](c *Call, i, n int) ([]T, error) {
	b, err := c.Buffer(i, fmt.Sprintf("a buffer of %d bytes", 4*n))
	if err != nil {
		return nil, err
	}
	if len(b) != 4*n || n > 0 && uintptr(unsafe.Pointer(&b[0]))%4 != 0 {
		return nil, c.Invalid(i, fmt.Sprintf("one of %d bytes, aligned to 4, for %d values of 4 bytes", 4*n, n))
	}
	if n == 0 {
		return nil, nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n), nil
}

// Failure is how an error goes to JavaScript.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	GoStack string `json:"goStack,omitempty"` // of a panic
}

// Describe makes a Failure of an error.
func Describe(err error) Failure {
	f := Failure{Code: "REALM_" + realm.CodeOf(err).Name(), Message: err.Error()}
	if p, ok := err.(*panicked); ok {
		f.GoStack = p.stack
	}
	return f
}

// panicked is a panic as an error: a bug in Realm, which ends a call and not the process.
type panicked struct {
	value any
	stack string
}

func (p *panicked) Error() string { return fmt.Sprintf("realm: internal error: %v", p.value) }

// Guard calls f and turns a panic into an error.
func Guard(f func() (any, error)) (result any, err error) {
	defer func() {
		if v := recover(); v != nil {
			result, err = nil, &panicked{v, string(debug.Stack())}
		}
	}()
	return f()
}
