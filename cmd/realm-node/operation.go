//go:build cgo && node_addon

package main

// #include <stdlib.h>
// #include "addon.h"
import "C"

import (
	"context"
	"time"
)

// window is how many chunks of a stream may be under way to JavaScript: one more waits until some are acknowledged.
const window = 64

// operation is a call in progress whose caller has returned to the event loop.
type operation struct {
	ctx    context.Context
	cancel context.CancelFunc
	credit chan struct{} // holds an element for each chunk that is under way

	// For realm_post, which takes them back.
	c   *C.realm_operation
	env *C.realm_env
}

// post hands a chunk to the operation's callback. It waits while too many are under way, and fails when the operation
// was cancelled.
func (op *operation) post(chunk any) error {
	select {
	case op.credit <- struct{}{}:
	case <-op.ctx.Done():
		return op.ctx.Err()
	}
	C.realm_post(op.env, op.c, value(chunk), false)
	return nil
}

// tell hands something to the callback that is not counted among the chunks.
func (op *operation) tell(x any) { C.realm_post(op.env, op.c, value(x), false) }

// room waits, for no longer than patience, until a chunk can be posted without waiting: then, or where ctx has ended, it
// returns true. Only who posts may ask.
func (op *operation) room(ctx context.Context, patience time.Duration) bool {
	select {
	case op.credit <- struct{}{}:
		<-op.credit
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case op.credit <- struct{}{}:
		<-op.credit
		return true
	case <-ctx.Done():
		return true
	case <-timer.C:
		return false
	}
}

// realmCall runs a function on the calling thread.
//
//export realmCall
func realmCall(number C.uintptr_t, function C.int, args *C.realm_value, n C.int) C.realm_value {
	result, err := guard(func() (any, error) {
		f := functions[function]
		return f.run(&call{name: f.name, env: environmentOf(number), args: arguments(args, n)})
	})
	if err != nil {
		return value(err)
	}
	return value(result)
}

// realmStart runs a function, whose name is the first argument and whose own arguments follow the second, which is the
// callback, on a goroutine. It returns the operation's number.
//
//export realmStart
func realmStart(number C.uintptr_t, cEnv *C.realm_env, cOp *C.realm_operation, args *C.realm_value, n C.int) C.uintptr_t {
	env := environmentOf(number)
	all := arguments(args, n)
	op := &operation{c: cOp, env: cEnv, credit: make(chan struct{}, window)}
	op.ctx, op.cancel = context.WithCancel(env.ctx)
	id := env.operations.add(op)
	env.work.Add(1)
	go func() {
		defer env.work.Done()
		result, err := guard(func() (any, error) {
			name := all[0].text
			for _, f := range functions {
				if f.name == name {
					return f.run(&call{name: name, env: env, op: op, args: all[2:]})
				}
			}
			return nil, (&call{name: "start", args: all}).invalid(0, "the name of a function of the addon")
		})
		env.operations.remove(id)
		op.cancel()
		if err != nil {
			result = err
		}
		C.realm_post(cEnv, cOp, value(result), true)
	}()
	return C.uintptr_t(id)
}

// context is what a call's work stops with.
func (c *call) context() context.Context {
	if c.op != nil {
		return c.op.ctx
	}
	return c.env.ctx
}
