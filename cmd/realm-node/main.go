//go:build cgo && node_addon

// Command realm-node is the Node addon: a shared library in Go with one C file of Node-API glue, addon.c.
//
// It owns how JavaScript reaches package realm: the functions of `index.node`, their arguments and results, operations
// that go on while the event loop turns, and what happens when an environment, the main thread's or a worker's, ends. It
// knows no model and no arithmetic; what a function does is package realm's. Start at functions.
//
// It is built by `make node`, with the headers of Node-API and the build tag node_addon.
package main

/*
#cgo CFLAGS: -O2 -Wall -Wextra
#cgo linux LDFLAGS: -Wl,--unresolved-symbols=ignore-all
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stdlib.h>
#include "addon.h"
*/
import "C"

import (
	"context"
	"sync"
)

func main() {}

// environment is a JavaScript environment that has the addon loaded.
type environment struct {
	ctx    context.Context // ends with the environment
	cancel context.CancelFunc
	work   sync.WaitGroup // operations in progress

	mu         sync.Mutex // guards what follows
	operations map[uintptr]*operation
	last       uintptr
}

// environments are those that are open, and the number of the last one.
var environments = struct {
	sync.Mutex
	open map[uintptr]*environment
	last uintptr
}{open: map[uintptr]*environment{}}

// realmEnvOpen begins an environment and returns its number.
//
//export realmEnvOpen
func realmEnvOpen() C.uintptr_t {
	env := &environment{operations: map[uintptr]*operation{}}
	env.ctx, env.cancel = context.WithCancel(context.Background())
	environments.Lock()
	defer environments.Unlock()
	environments.last++
	environments.open[environments.last] = env
	return C.uintptr_t(environments.last)
}

// realmEnvClose ends an environment: it cancels the operations in progress and returns when the last has ended, so that
// nothing touches a buffer of the environment afterwards, nor posts to it.
//
//export realmEnvClose
func realmEnvClose(number C.uintptr_t) {
	environments.Lock()
	env := environments.open[uintptr(number)]
	delete(environments.open, uintptr(number))
	environments.Unlock()
	env.cancel()
	env.work.Wait()
}

func environmentOf(number C.uintptr_t) *environment {
	environments.Lock()
	defer environments.Unlock()
	return environments.open[uintptr(number)]
}
