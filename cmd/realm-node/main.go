//go:build cgo && node_addon

// Command realm-node is the Node addon: a shared library in Go with one C file of Node-API glue, addon.c.
//
// It owns how values and operations cross between Node-API and the functions of package bridge, the functions that run
// guests under V8, and what happens when an environment, the main thread's or a worker's, ends. It knows no model and no
// arithmetic; what a function does is package realm's. Start at functions.
//
// It is built by `make node`, with the headers of Node-API and the build tag node_addon.
package main

/*
#cgo CFLAGS: -O2 -Wall -Wextra
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stdlib.h>
#include "addon.h"
*/
import "C"

import (
	"sync"
	"time"

	"github.com/realm-ai/realm/internal/bridge"
)

func main() {}

// environment is a JavaScript environment that has the addon loaded.
type environment struct {
	*bridge.Environment
	modules bridge.Registry[*module]
	tasks   bridge.Registry[*task] // of the guest that runs on the environment's thread
}

// environments are those that are open.
var environments bridge.Registry[*environment]

// realmEnvOpen begins an environment and returns its number.
//
//export realmEnvOpen
func realmEnvOpen() C.uintptr_t {
	return C.uintptr_t(environments.Add(&environment{Environment: bridge.NewEnvironment()}))
}

// realmEnvClose ends an environment: it cancels the operations in progress and returns when the last has ended, so that
// nothing touches a buffer of the environment afterwards, nor posts to it. What the environment held is free then, however
// it ended: a worker that is terminated runs no JavaScript that could close anything.
//
//export realmEnvClose
func realmEnvClose(number C.uintptr_t) {
	env := environments.Remove(uintptr(number))
	env.Cancel()
	for _, t := range env.tasks.Clear() {
		t.err = closedSandbox()
		t.finish()
	}
	closeSandboxes := func() {
		for _, s := range sandboxes.RemoveIf(func(s *sandbox) bool { return s.owner == env }) {
			s.close()
		}
	}
	closeSandboxes() // answers wait for them
	env.Close()
	closeSandboxes() // of operations that were opening them
	requests.RemoveIf(func(r *request) bool { return r.sandbox.owner == env })
	for _, m := range env.modules.Clear() {
		releaseModule(m)
	}
	trimSoon()
}

// trimSoon gives memory back that the C library keeps. Node and V8 free what an ended environment had, some hundred MiB
// where it compiled guests, into arenas of glibc's, of which each thread that allocates may fill another. It is done a
// moment later, once for the environments that ended meanwhile, since Node takes them apart after they were closed here.
func trimSoon() {
	trimming.Lock()
	defer trimming.Unlock()
	if trimming.planned {
		trimming.again = true
		return
	}
	trimming.planned = true
	time.AfterFunc(trimDelay, trim)
}

var trimming struct {
	sync.Mutex
	planned, again bool
}

const trimDelay = 200 * time.Millisecond

func trim() {
	C.realm_trim()
	trimming.Lock()
	defer trimming.Unlock()
	if trimming.planned = trimming.again; trimming.planned {
		trimming.again = false
		time.AfterFunc(trimDelay, trim)
	}
}

func environmentOf(number C.uintptr_t) *environment { return environments.Find(uintptr(number)) }
