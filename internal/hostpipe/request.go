package hostpipe

import (
	"encoding/json"
	"slices"
	"unsafe"

	"github.com/realm-ai/realm/internal/bridge"
)

// request is the head of a call. An argument is a JSON value, or in place of a buffer {"bytes": n}, whose n bytes are next
// in the body. With "back" the buffer's bytes, as the function leaves them, are in the result's body. {"room": n} is a
// buffer of n zeros that comes back, and {} a value that no function takes.
type request struct {
	Name string            `json:"name"`
	Args []json.RawMessage `json:"args"`
}

// buffer is what stands for a buffer among the arguments.
type buffer struct {
	Bytes *uint64 `json:"bytes"`
	Room  *uint64 `json:"room"`
	Back  bool    `json:"back"`
}

// maxRoom is the most bytes that a call may ask for: far more than a tensor has.
const maxRoom = 1 << 40

// arguments reads a call's arguments, and returns the buffers that go back.
func (r *request) arguments(body []byte) (args []bridge.Argument, back [][]byte, err error) {
	for _, raw := range r.Args {
		var a bridge.Argument
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, nil, invalidf("%s: %v", r.Name, err)
		}
		switch v := v.(type) {
		case nil:
		case bool:
			a.Kind = bridge.Bool
			if v {
				a.Number = 1
			}
		case float64:
			a.Kind, a.Number = bridge.Number, v
		case string:
			a.Kind, a.Text = bridge.String, v
		default:
			a.Kind = bridge.Other
			var b buffer
			if err := json.Unmarshal(raw, &b); err != nil {
				break // an array, or another object
			}
			switch {
			case b.Bytes != nil:
				if *b.Bytes > uint64(len(body)) {
					return nil, nil, invalidf("%s: a buffer of %d bytes, of which there are %d", r.Name, *b.Bytes, len(body))
				}
				a.Kind, a.Bytes, body = bridge.Bytes, aligned(body[:*b.Bytes]), body[*b.Bytes:]
			case b.Room != nil:
				if *b.Room > maxRoom {
					return nil, nil, invalidf("%s: room for %d bytes", r.Name, *b.Room)
				}
				a.Kind, a.Bytes, b.Back = bridge.Bytes, make([]byte, *b.Room), true
			}
			if b.Back {
				back = append(back, a.Bytes)
			}
		}
		args = append(args, a)
	}
	return args, back, nil
}

// aligned returns bytes where numbers of 8 bytes can stand.
func aligned(b []byte) []byte {
	if len(b) > 0 && uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
		return slices.Clone(b)
	}
	return b
}
