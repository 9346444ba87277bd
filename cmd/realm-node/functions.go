//go:build cgo && node_addon

package main

// #include <stdlib.h>
import "C"

import "github.com/realm-ai/realm/internal/bridge"

// call is a call of a function in the addon.
type call struct {
	*bridge.Call
	env *environment
}

// call runs the function: as an operation, where op is not nil.
func (f *function) call(env *environment, op *bridge.Operation, args []bridge.Argument) (any, error) {
	return f.run(&call{&bridge.Call{Name: f.name, Env: env.Environment, Op: op, Args: args}, env})
}

// function is one that JavaScript calls, at once or as an operation.
type function struct {
	name string
	run  func(*call) (any, error)
}

// functions are those of package bridge, and those that run guests under V8.
var functions = func() []function {
	var all []function
	for _, f := range bridge.Functions() {
		all = append(all, function{f.Name, func(c *call) (any, error) { return f.Run(c.Call) }})
	}
	return append(all, guestFunctions...)
}()

var guestFunctions = []function{
	{"patchGuest", patchGuest},
	{"guestModule", guestModule},
	{"dropGuest", dropGuest},
	{"fillGuest", fillGuest},
	{"keepImage", keepImage},
	{"restoreImage", restoreImage},
	{"getGuestNames", getGuestNames},
	{"openSandbox", openSandbox},
	{"closeSandbox", closeSandbox},
	{"requestAnswer", requestAnswer},
	{"requestRaw", requestRaw},
	{"answer", answer},
	{"prepareTask", prepareTask},
	{"beginTask", beginTask},
	{"taskRoom", taskRoom},
	{"putBody", putBody},
	{"hostCall", hostCall},
	{"refillTask", refillTask},
	{"failTask", failTask},
	{"refuseTask", refuseTask},
	{"checkVersion", checkVersion},
	{"endTask", endTask},
	{"getOpenHandles", getOpenHandles},
}

//export realmFunctions
func realmFunctions() C.int { return C.int(len(functions)) }

// realmFunctionName returns a function's name, which the caller frees.
//
//export realmFunctionName
func realmFunctionName(i C.int) *C.char { return C.CString(functions[i].name) }
