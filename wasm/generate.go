package wasm

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/realm-ai/realm"
	"github.com/realm-ai/realm/internal/hostcall"
)

// RunOptions are what Generate takes beyond the request for an answer.
type RunOptions struct {
	Limits     Limits
	OnLog      func(line string) // as in Request
	DumpMemory io.Writer         // as in Request
	// Session, if not nil, holds the keys and values from answer to answer, so that what prompts have in common is computed
	// once. Limits do not count them. One answer at a time uses it.
	Session *realm.Session
	// Result, if not nil, is set when the loop ends to what the guest used.
	Result *Result
}

// Generate answers a request as realm.Session.Generate does, by a guest that takes the JSON of docs/abi.md, such as the one
// that ships with Realm. It begins with an empty cache, unless there is a session in o. With the same request the shipped guest gives the same chunks,
// but for texts that stand in a chunk of their own, without a token, where nothing but the end follows.
func (g *Guest) Generate(ctx context.Context, m *realm.Model, r realm.Request, o RunOptions) iter.Seq2[realm.Chunk, error] {
	return func(yield func(realm.Chunk, error) bool) {
		a := hostcall.NewAnswer(&r, func(c realm.Chunk) bool { return yield(c, nil) })
		body, err := hostcall.EncodeRequest(ctx, m, &r)
		if err == nil {
			var result Result
			result, err = g.Run(ctx, Request{
				Body: body, Models: []Grant{{Model: m, Session: o.Session}}, Limits: o.Limits, Now: a.Start, Seed: hostcall.Seed(&r),
				OnEmit: a.Emitted, OnForward: a.Forwarded, OnLog: o.OnLog, DumpMemory: o.DumpMemory,
			})
			if o.Result != nil {
				*o.Result = result
			}
			if err == nil {
				err = a.Finish(hostcall.Result(result))
			}
		}
		if err != nil && !errors.Is(err, hostcall.ErrLeft) {
			yield(realm.Chunk{Token: -1}, err)
		}
	}
}
