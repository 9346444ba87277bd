package bridge

import (
	"fmt"

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
func createSession(c *Call) (any, error) {
	id, err := c.ModelID(0)
	if err != nil {
		return nil, err
	}
	m, err := Models().Model(c.Context(), id)
	if err != nil {
		return nil, err
	}
	s, err := m.NewSession()
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	return int(c.Env.sessions.Add(&session{s, m, m.Info()})), nil
}

// closeSession(session) frees a sequence. Calls in progress with it fail.
func closeSession(c *Call) (any, error) {
	s, err := c.session(0)
	if err != nil {
		return nil, err
	}
	c.Env.sessions.Remove(uintptr(c.Args[0].Number))
	s.close()
	return nil, nil
}

// session returns the sequence that an argument names.
func (c *Call) session(i int) (*session, error) {
	const want = "a session's number, as createSession returns it"
	number, err := c.Number(i, want, 1<<53)
	if err != nil {
		return nil, err
	}
	if s := c.Env.sessions.Find(uintptr(number)); s != nil {
		return s, nil
	}
	return nil, &realm.Error{Code: realm.CodeClosed, Msg: fmt.Sprintf("realm: %s: session %d is closed, or of another thread", c.Name, number)}
}

// embedTokens(session, tokens, into) writes the hidden states of tokens, an Int32Array, to a Float32Array.
func embedTokens(c *Call) (any, error) {
	s, err := c.session(0)
	if err != nil {
		return nil, err
	}
	b, err := c.Buffer(1, "tokens as an Int32Array")
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
func forwardLayer(c *Call) (any, error) {
	s, err := c.session(0)
	if err != nil {
		return nil, err
	}
	layer, err := c.Number(1, "a layer's number", 1<<31)
	if err != nil {
		return nil, err
	}
	b, err := c.Buffer(2, "hidden states as a Float32Array")
	if err != nil {
		return nil, err
	}
	hidden, err := elements[float32](c, 2, len(b)/4)
	if err != nil {
		return nil, err
	}
	position, err := c.Number(3, "a position", 1<<31)
	if err != nil {
		return nil, err
	}
	return nil, s.ForwardLayer(c.Context(), int(layer), hidden, int(position))
}

// computeLogits(session, hidden, into) writes the logits of one token's hidden state to a Float32Array.
func computeLogits(c *Call) (any, error) {
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
