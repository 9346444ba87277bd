//go:build cgo && node_addon

package main

// #include "addon.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/realm-ai/realm"
)

// session is a sequence of tokens that JavaScript computes layer by layer.
type session struct {
	*realm.Session
	model *realm.Model
	info  realm.Info
}

func (s *session) close() {
	_ = s.Close()
	_ = s.model.Close()
}

// createSession(modelId) begins an empty sequence and returns its number in this environment.
func createSession(c *call) (any, error) {
	id, err := c.modelID(0)
	if err != nil {
		return nil, err
	}
	m, err := models().Model(c.context(), id)
	if err != nil {
		return nil, err
	}
	s, err := m.NewSession()
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	return int(c.env.sessions.add(&session{s, m, m.Info()})), nil
}

// closeSession(session) frees a sequence. Calls in progress with it fail.
func closeSession(c *call) (any, error) {
	s, err := c.session(0)
	if err != nil {
		return nil, err
	}
	c.env.sessions.remove(uintptr(c.args[0].number))
	s.close()
	return nil, nil
}

// session returns the sequence that an argument names.
func (c *call) session(i int) (*session, error) {
	const want = "a session's number, as createSession returns it"
	number, err := c.number(i, want, 1<<53)
	if err != nil {
		return nil, err
	}
	if s := c.env.sessions.find(uintptr(number)); s != nil {
		return s, nil
	}
	return nil, &realm.Error{Code: realm.CodeClosed, Msg: fmt.Sprintf("realm: %s: session %d is closed, or of another thread", c.name, number)}
}

// embedTokens(session, tokens, into) writes the hidden states of tokens, an Int32Array, to a Float32Array.
func embedTokens(c *call) (any, error) {
	s, err := c.session(0)
	if err != nil {
		return nil, err
	}
	b, err := c.buffer(1, "tokens as an Int32Array")
	if err != nil {
		return nil, err
	}
	tokens, err := elements[int32](c, 1, len(b)/4)
	if err != nil {
		return nil, err
	}
	hidden, err := elements[float32](c, 2, len(tokens)*s.info.Hidden)
	if err != nil {
		return nil, err
	}
	return nil, s.Embed(tokens, hidden)
}

// forwardLayer(session, layer, hidden, position) runs a layer in place, on whole hidden states in a Float32Array.
func forwardLayer(c *call) (any, error) {
	s, err := c.session(0)
	if err != nil {
		return nil, err
	}
	layer, err := c.number(1, "a layer's number", 1<<31)
	if err != nil {
		return nil, err
	}
	b, err := c.buffer(2, "hidden states as a Float32Array")
	if err != nil {
		return nil, err
	}
	hidden, err := elements[float32](c, 2, len(b)/4)
	if err != nil {
		return nil, err
	}
	position, err := c.number(3, "a position", 1<<31)
	if err != nil {
		return nil, err
	}
	return nil, s.ForwardLayer(c.context(), int(layer), hidden, int(position))
}

// computeLogits(session, hidden, into) writes the logits of one token's hidden state to a Float32Array.
func computeLogits(c *call) (any, error) {
	s, err := c.session(0)
	if err != nil {
		return nil, err
	}
	hidden, err := elements[float32](c, 1, s.info.Hidden)
	if err != nil {
		return nil, err
	}
	logits, err := elements[float32](c, 2, s.info.Vocab)
	if err != nil {
		return nil, err
	}
	return nil, s.Logits(hidden, logits)
}

// elements are the n values of four bytes that a buffer holds, in place.
func elements[T int32 | float32](c *call, i, n int) ([]T, error) {
	b, err := c.buffer(i, fmt.Sprintf("a buffer of %d bytes", 4*n))
	if err != nil {
		return nil, err
	}
	if len(b) != 4*n || n > 0 && uintptr(unsafe.Pointer(&b[0]))%4 != 0 {
		return nil, c.invalid(i, fmt.Sprintf("one of %d bytes, aligned to 4, for %d values of 4 bytes", 4*n, n))
	}
	if n == 0 {
		return nil, nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n), nil
}
