//go:build cgo && node_addon

package main

// #include <stdlib.h>
// #include "addon.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"unsafe"

	"github.com/realm-ai/realm"
)

// call is one call of a function: its arguments, and for an operation the way to its callback.
type call struct {
	name string
	env  *environment
	op   *operation // nil in a synchronous call
	args []argument
}

// argument is a value from JavaScript.
type argument struct {
	kind   C.realm_kind
	number float64
	text   string
	bytes  []byte // of a buffer, in place: valid until the call, or the operation, is over
}

// arguments reads what addon.c passes.
func arguments(from *C.realm_value, n C.int) []argument {
	args := make([]argument, n)
	for i, v := range unsafe.Slice(from, n) {
		args[i] = argument{kind: v.kind, number: float64(v.number)}
		switch v.kind {
		case C.REALM_STRING:
			args[i].text = strings.Clone(unsafe.String((*byte)(v.data), v.size))
		case C.REALM_BYTES:
			args[i].bytes = unsafe.Slice((*byte)(v.data), v.size)
		}
	}
	return args
}

// invalid is the error of an argument that is not what it should be.
func (c *call) invalid(i int, want string) error {
	have := "is missing"
	if i < len(c.args) {
		have = "is " + map[C.realm_kind]string{
			C.REALM_UNDEFINED: "undefined or null", C.REALM_BOOL: "a boolean", C.REALM_NUMBER: fmt.Sprint(c.args[i].number),
			C.REALM_STRING: "a string", C.REALM_BYTES: "a buffer",
		}[c.args[i].kind]
		if c.args[i].kind == C.REALM_OTHER {
			have = "is an object"
		}
	}
	return &realm.Error{Code: realm.CodeInvalidArgument, Msg: fmt.Sprintf("realm: %s: argument %d %s: want %s", c.name, i+1, have, want)}
}

func (c *call) is(i int, kind C.realm_kind) bool { return i < len(c.args) && c.args[i].kind == kind }

// number returns an argument that is a whole number from 0 to max.
func (c *call) number(i int, what string, max uint64) (uint64, error) {
	if c.is(i, C.REALM_NUMBER) {
		if v := c.args[i].number; v == math.Trunc(v) && v >= 0 && v <= float64(max) {
			return uint64(v), nil
		}
	}
	return 0, c.invalid(i, what)
}

func (c *call) modelID(i int) (uint32, error) {
	v, err := c.number(i, "a model's id, as storeModel returns it", math.MaxUint32)
	return uint32(v), err
}

func (c *call) text(i int, what string) (string, error) {
	if c.is(i, C.REALM_STRING) {
		return c.args[i].text, nil
	}
	return "", c.invalid(i, what)
}

// bool returns an argument that may be missing, which is false.
func (c *call) bool(i int, what string) (bool, error) {
	if i >= len(c.args) || c.is(i, C.REALM_UNDEFINED) {
		return false, nil
	}
	if c.is(i, C.REALM_BOOL) {
		return c.args[i].number != 0, nil
	}
	return false, c.invalid(i, what)
}

func (c *call) buffer(i int, what string) ([]byte, error) {
	if c.is(i, C.REALM_BYTES) {
		return c.args[i].bytes, nil
	}
	return nil, c.invalid(i, what)
}

// newBuffer is a result that asks for a call with an ArrayBuffer of so many bytes as a further argument.
type newBuffer int

// value makes a result for addon.c, which frees its memory: nil, a bool, an int, a string, a newBuffer, an error, or what
// is passed as JSON.
func value(result any) C.realm_value {
	var v C.realm_value
	switch r := result.(type) {
	case nil:
	case bool:
		v.kind = C.REALM_BOOL
		if r {
			v.number = 1
		}
	case int:
		v.kind, v.number = C.REALM_NUMBER, C.double(r)
	case string:
		v.kind = C.REALM_STRING
		v.data, v.size = C.CBytes([]byte(r)), C.size_t(len(r))
	case []byte:
		v.kind = C.REALM_BYTES
		v.data, v.size = C.CBytes(r), C.size_t(len(r))
	case newBuffer:
		v.kind, v.size = C.REALM_BUFFER, C.size_t(r)
	case error:
		v = toJSON(describe(r))
		v.kind = C.REALM_ERROR
	default:
		v = toJSON(r)
	}
	return v
}

func toJSON(x any) C.realm_value {
	text, err := json.Marshal(x)
	if err != nil {
		return value(err)
	}
	return C.realm_value{kind: C.REALM_JSON, data: C.CBytes(text), size: C.size_t(len(text))}
}

// failure is how an error goes to JavaScript.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	GoStack string `json:"goStack,omitempty"` // of a panic
}

func describe(err error) failure {
	f := failure{Code: "REALM_" + realm.CodeOf(err).Name(), Message: err.Error()}
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

// guard calls f and turns a panic into an error.
func guard(f func() (any, error)) (result any, err error) {
	defer func() {
		if v := recover(); v != nil {
			result, err = nil, &panicked{v, string(debug.Stack())}
		}
	}()
	return f()
}
