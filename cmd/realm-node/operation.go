//go:build cgo && node_addon

package main

// #include "addon.h"
import "C"

import (
	"unsafe"

	"github.com/realm-ai/realm/internal/bridge"
)

// realmCall runs a function on the calling thread.
//
//export realmCall
func realmCall(number C.uintptr_t, index C.int, args *C.realm_value, n C.int) C.realm_value {
	result, err := bridge.Guard(func() (any, error) {
		return functions[index].call(environmentOf(number), nil, arguments(args, n))
	})
	if err != nil {
		return value(err)
	}
	return value(result)
}

// realmStart runs a function, whose name is the first argument and whose own arguments follow the second, which is the
// callback, on a goroutine. It returns the operation's number. credit is a part of the operation.
//
//export realmStart
func realmStart(number C.uintptr_t, cEnv *C.realm_env, cOp *C.realm_operation, credit *C.realm_credit, args *C.realm_value, n C.int) C.uintptr_t {
	env := environmentOf(number)
	all := arguments(args, n)
	return C.uintptr_t(env.Start(func(op *bridge.Operation) (any, error) {
		name := all[0].Text
		for _, f := range functions {
			if f.name == name {
				return f.call(env, op, all[2:])
			}
		}
		return nil, (&bridge.Call{Name: "start", Args: all}).Invalid(0, "the name of a function of the addon")
	}, func(result any, last bool) { C.realm_post(cEnv, cOp, value(result), C.bool(last)) }, (*bridge.Credit)(unsafe.Pointer(credit))))
}

// A realm_credit is a bridge.Credit.
var _ = [1]struct{}{}[unsafe.Sizeof(C.realm_credit{})-unsafe.Sizeof(bridge.Credit{})]

// realmTaken tells an operation that waits for it that chunks were taken.
//
//export realmTaken
func realmTaken(number, operation C.uintptr_t) {
	environmentOf(number).Acknowledge(uintptr(operation), 0)
}
