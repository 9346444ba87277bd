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

import "github.com/realm-ai/realm/internal/bridge"

func main() {}

// environment is a JavaScript environment that has the addon loaded.
type environment struct {
	*bridge.Environment
	tasks bridge.Registry[*task] // of the guest that runs on the environment's thread
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
// nothing touches a buffer of the environment afterwards, nor posts to it.
//
//export realmEnvClose
func realmEnvClose(number C.uintptr_t) {
	env := environments.Remove(uintptr(number))
	env.Cancel()
	for _, t := range env.tasks.Clear() {
		t.err = closedSandbox()
		t.finish()
	}
	for _, s := range sandboxes.RemoveIf(func(s *sandbox) bool { return s.owner == env }) {
		s.close()
	}
	modules.RemoveIf(func(m *module) bool { return m.owner == env })
	env.Close()
}

func environmentOf(number C.uintptr_t) *environment { return environments.Find(uintptr(number)) }
