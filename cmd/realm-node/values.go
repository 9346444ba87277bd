//go:build cgo && node_addon

package main

// #include <stdlib.h>
// #include "addon.h"
import "C"

import (
	"encoding/json"
	"strings"
	"unsafe"

	"github.com/realm-ai/realm/internal/bridge"
)

// arguments reads what addon.c passes.
func arguments(from *C.realm_value, n C.int) []bridge.Argument {
	args := make([]bridge.Argument, n)
	for i, v := range unsafe.Slice(from, n) {
		a := &args[i]
		a.Number = float64(v.number)
		switch v.kind {
		case C.REALM_UNDEFINED:
			a.Kind = bridge.Undefined
		case C.REALM_BOOL:
			a.Kind = bridge.Bool
		case C.REALM_NUMBER:
			a.Kind = bridge.Number
		case C.REALM_STRING:
			a.Kind = bridge.String
			a.Text = strings.Clone(unsafe.String((*byte)(v.data), v.size))
		case C.REALM_BYTES:
			a.Kind = bridge.Bytes
			a.Bytes = unsafe.Slice((*byte)(v.data), v.size)
		default:
			a.Kind = bridge.Other
		}
	}
	return args
}

// value makes a result for addon.c, which frees its memory: nil, a bool, an int, a string, a bridge.NewBuffer, an error, or what
// is passed as JSON.
func value(result any) C.realm_value {
	var v C.realm_value
	switch r := result.(type) {
	case nil:
	case bool:
		v.kind = C.REALM_BOOL
		if r {
			v.number = 1
		}
	case int:
		v.kind, v.number = C.REALM_NUMBER, C.double(r)
	case string:
		v.kind = C.REALM_STRING
		v.data, v.size = C.CBytes([]byte(r)), C.size_t(len(r))
	case []byte:
		v.kind = C.REALM_BYTES
		v.data, v.size = C.CBytes(r), C.size_t(len(r))
	case bridge.NewBuffer:
		v.kind, v.size = C.REALM_BUFFER, C.size_t(r)
	case error:
		v = toJSON(bridge.Describe(r))
		v.kind = C.REALM_ERROR
	default:
		v = toJSON(r)
	}
	return v
}

func toJSON(x any) C.realm_value {
	text, err := json.Marshal(x)
	if err != nil {
		return value(err)
	}
	return C.realm_value{kind: C.REALM_JSON, data: C.CBytes(text), size: C.size_t(len(text))}
}
