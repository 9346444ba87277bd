//go:build cgo && node_addon

package main

// #include <stdlib.h>
import "C"

// function is one that JavaScript calls, at once or as an operation.
type function struct {
	name string
	run  func(*call) (any, error)
}

var functions = []function{
	{"storeModel", storeModel},
	{"loadModel", loadModel},
	{"getModelInfo", getModelInfo},
	{"getTensor", getTensor},
	{"tensorLength", tensorLength},
	{"removeModel", removeModel},
	{"createSession", createSession},
	{"closeSession", closeSession},
	{"embedTokens", embedTokens},
	{"forwardLayer", forwardLayer},
	{"computeLogits", computeLogits},
	{"generate", generate},
	{"patchGuest", patchGuest},
	{"guestModule", guestModule},
	{"dropGuest", dropGuest},
	{"fillGuest", fillGuest},
	{"getGuestNames", getGuestNames},
	{"openSandbox", openSandbox},
	{"closeSandbox", closeSandbox},
	{"requestAnswer", requestAnswer},
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
	{"acknowledge", acknowledge},
	{"cancel", cancel},
}

//export realmFunctions
func realmFunctions() C.int { return C.int(len(functions)) }

// realmFunctionName returns a function's name, which the caller frees.
//
//export realmFunctionName
func realmFunctionName(i C.int) *C.char { return C.CString(functions[i].name) }

// acknowledge(operation, n) says that n chunks of an operation were taken, so that as many more may come.
func acknowledge(c *call) (any, error) {
	id, err := c.number(0, "an operation's number", 1<<53)
	if err != nil {
		return nil, err
	}
	n, err := c.number(1, "a number of chunks", window)
	if err != nil {
		return nil, err
	}
	op := c.env.operations.find(uintptr(id))
	for ; op != nil && n > 0; n-- {
		select {
		case <-op.credit:
		default:
			return nil, c.invalid(1, "no more chunks than came")
		}
	}
	return nil, nil
}

// cancel(operation) ends an operation in progress. One that is over is none of its business.
func cancel(c *call) (any, error) {
	id, err := c.number(0, "an operation's number", 1<<53)
	if err != nil {
		return nil, err
	}
	if op := c.env.operations.find(uintptr(id)); op != nil {
		op.cancel()
	}
	return nil, nil
}
