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

	operations registry[*operation]
	sessions   registry[*session]
	tasks      registry[*task] // of the guest that runs on the environment's thread
}

// environments are those that are open.
var environments registry[*environment]

// realmEnvOpen begins an environment and returns its number.
//
//export realmEnvOpen
func realmEnvOpen() C.uintptr_t {
	env := &environment{}
	env.ctx, env.cancel = context.WithCancel(context.Background())
	return C.uintptr_t(environments.add(env))
}

// realmEnvClose ends an environment: it cancels the operations in progress and returns when the last has ended, so that
// nothing touches a buffer of the environment afterwards, nor posts to it.
//
//export realmEnvClose
func realmEnvClose(number C.uintptr_t) {
	env := environments.remove(uintptr(number))
	env.cancel()
	for _, t := range env.tasks.clear() {
		t.err = closedSandbox()
		t.finish()
	}
	for _, s := range sandboxes.removeIf(func(s *sandbox) bool { return s.owner == env }) {
		s.close()
	}
	modules.removeIf(func(m *module) bool { return m.owner == env })
	env.work.Wait()
	for _, s := range env.sessions.clear() {
		s.close()
	}
}

func environmentOf(number C.uintptr_t) *environment { return environments.find(uintptr(number)) }
