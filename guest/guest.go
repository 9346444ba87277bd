// Package guest is the SDK for writing guests of Realm in Go: programs, compiled to WebAssembly, that decide how a model
// answers. A guest owns everything about an answer but the arithmetic: tokenizer, chat template, sampling, stop rules, the
// loop. It reaches the model through the host functions of docs/abi.md, which are the methods of Model here.
//
//	package main
//
//	import "github.com/realm-ai/realm/guest"
//
//	func init() { guest.Serve(guest.Answer) }
//
//	func main() {}
//
// is the guest that ships with Realm, built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o guest.wasm
//
// or with TinyGo. A guest of your own calls Generate with Hooks, to draw tokens or to run the layers itself, or writes its
// loop from the methods of Model. Where it is built natively SetHost stands for the embedder, so that a guest has unit
// tests like any other program.
//
// The package must not know how a host computes. Its files _wasip1.go hold the imports and exports of the module; start
// at Serve and Generate.
package guest

import (
	"encoding/json"
	"time"

	"github.com/realm-ai/realm/internal/abi"
	"github.com/realm-ai/realm/internal/errs"
)

// Error is the type of every error of this package: a Code and a message that says where and what.
type Error = errs.Error

// Code says what kind of failure an error is; errors.Is finds it. Those of the host ABI are in docs/abi.md.
type Code = errs.Code

// The codes that a guest's own errors mostly have.
const (
	CodeInternal        = errs.Internal
	CodeInvalidArgument = errs.InvalidArgument
	CodeUnsupported     = errs.Unsupported
	CodeLimitExceeded   = errs.LimitExceeded
)

// Errorf makes an error with a code, which realm_generate then returns.
func Errorf(code Code, format string, args ...any) error { return errs.Errorf(code, format, args...) }

var handler func(request []byte) error

// Serve sets what answers requests. Call it from an init function, since a guest's main is not run.
func Serve(answer func(request []byte) error) { handler = answer }

// serve answers a request and returns what realm_generate does.
func serve(request []byte) int32 {
	err := Errorf(CodeUnsupported, "guest: this guest answers no requests: it has not called Serve")
	if handler != nil {
		err = handler(request)
	}
	if err != nil {
		_ = emit(abi.EmitError, []byte(err.Error())) // a host that refuses the text has the code all the same
	}
	return abi.ErrorResult(err)
}

// prepare opens a model before the first request and returns what realm_prepare does.
func prepare(id uint32) int32 {
	m, err := Open(id)
	if err == nil {
		_, err = m.Tokenizer()
	}
	if err == nil {
		_, err = m.Template()
	}
	if err == nil {
		m.rehearse()
	}
	return abi.ErrorResult(err)
}

// rehearse reads a request and writes a result as a request does, for what encoding/json finds out about their types when it
// first meets them, and the tokenizer's room: requests start from what is there afterwards. What fails here, such as a
// vocabulary without these letters, is for the requests that it concerns to report.
func (m *Model) rehearse() {
	r, err := ParseRequest([]byte(`{"model":0,"prompt":"a b","max_tokens":1,"sampling":{"temperature":1,"seed":"0"},"stop":["a"]}`))
	if err == nil {
		_, _ = m.Prompt(r)
	}
	_, _ = json.Marshal(&Result{Tokens: []int32{0}, FinishReason: "length"})
}

// EmitText hands text of the answer to the embedder.
func EmitText(text string) error { return emit(abi.EmitText, []byte(text)) }

// TokenLogprob is a token with the natural logarithm of its probability, NaN where nobody asked for it.
type TokenLogprob = abi.TokenLogprob

// EmitToken hands a token of the answer to the embedder, with the most probable ones in its place.
func EmitToken(token TokenLogprob, top ...TokenLogprob) error {
	return emit(abi.EmitToken, abi.AppendTokenChunk(nil, token, top...))
}

// EmitResult hands the result to the embedder, in JSON. Embedders expect a Result unless they were told otherwise.
func EmitResult(result any) error {
	data, err := json.Marshal(result)
	if err != nil {
		return errs.Errorf(errs.InvalidArgument, "guest: result: %w", err)
	}
	return emit(abi.EmitResult, data)
}

// Log hands a line to the embedder's log.
func Log(line string) error { return logLine(line) }

// Now returns the virtual time, which the embedder sets at the start of a request. time.Now returns the same.
func Now() time.Time { return time.Unix(0, now()) }
