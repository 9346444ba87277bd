// Package hostpipe owns the host in a process of its own: what `realm host` says to the program that started it, in frames
// over its standard input and output. It has the functions of package bridge, and sandboxes that run under package wasm.
//
// Each connection is a JavaScript environment: what it has begun ends with it. The first is the standard streams, whose end
// is the end of the host; other threads of the same program connect to a socket that the first one names. It must not know
// how a model computes, nor who is at the other end. Start at Serve; frame.go has the frames.
package hostpipe

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/realm-ai/realm/internal/bridge"
	"github.com/realm-ai/realm/wasm"
)

// Serve serves the program at the other end of in and out until in ends, which is no error, or ctx. What goes on then is
// left to the end of the process. Guests are run by runtime.
func Serve(ctx context.Context, in io.Reader, out io.Writer, runtime *wasm.Runtime) error {
	s := &server{modules: modules{runtime: runtime}}
	defer s.close()
	ended := make(chan error, 1)
	go func() { ended <- s.newConnection(out).serve(in) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// server is what connections have in common.
type server struct {
	modules modules

	mu     sync.Mutex
	folder string // of the socket for further connections, once there is one
}

// close takes the socket away.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folder != "" {
		_ = os.RemoveAll(s.folder)
	}
}

// connection is one JavaScript environment.
type connection struct {
	server    *server
	env       *bridge.Environment
	modules   bridge.Registry[*module]
	sandboxes bridge.Registry[*sandbox]

	write sync.Mutex // held while a frame is written
	out   io.Writer

	mu         sync.Mutex
	operations map[uint32]uintptr // the numbers of operations in progress, by those of the other side
}

func (s *server) newConnection(out io.Writer) *connection {
	return &connection{server: s, env: bridge.NewEnvironment(), out: out, operations: map[uint32]uintptr{}}
}

// call is a call of a function in a host.
type call struct {
	*bridge.Call
	c *connection
}

// function returns a function of package bridge or of a host, nil where there is none of the name.
func function(name string) func(*call) (any, error) {
	switch name {
	case "patchGuest":
		return patchGuest
	case "dropGuest":
		return dropGuest
	case "openSandbox":
		return openSandbox
	case "closeSandbox":
		return closeSandbox
	case "answer":
		return answer
	case "ask":
		return ask
	case "listen":
		return listen
	}
	for _, f := range bridge.Functions() {
		if f.Name == name {
			return func(c *call) (any, error) { return f.Run(c.Call) }
		}
	}
	return nil
}

// serve answers frames until there are no more.
func (c *connection) serve(in io.Reader) error {
	defer bridge.Spare()() // threads that write to pipes would wait for processors
	if err := c.send(kindHello, 0, hello{version}); err != nil {
		return err
	}
	for {
		f, err := readFrame(in)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			return err
		}
	}
}

// take does what a frame asks for. An error is one of the connection.
func (c *connection) take(f frame) error {
	switch f.kind {
	case kindCall:
		c.start(f)
	case kindAcknowledge:
		var n int
		if err := json.Unmarshal(f.head, &n); err != nil {
			return invalidf("an acknowledgement: %v", err)
		}
		if number, ok := c.operation(f.id); ok && !c.env.Acknowledge(number, n) {
			return invalidf("%d chunks taken, of fewer", n)
		}
	case kindCancel:
		if number, ok := c.operation(f.id); ok {
			c.env.CancelOperation(number)
		}
	default:
		return invalidf("a frame of kind %d", f.kind)
	}
	return nil
}

func (c *connection) operation(id uint32) (uintptr, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	number, ok := c.operations[id]
	return number, ok
}

// start begins an operation. Every call is one: who wants to wait for it does.
func (c *connection) start(f frame) {
	var back [][]byte
	run := func(op *bridge.Operation) (any, error) {
		var r request
		if err := json.Unmarshal(f.head, &r); err != nil {
			return nil, invalidf("a call: %v", err)
		}
		run := function(r.Name)
		if run == nil {
			return nil, invalidf("%q is no function", r.Name)
		}
		args, wanted, err := r.arguments(f.body)
		if err != nil {
			return nil, err
		}
		back = wanted
		return run(&call{&bridge.Call{Name: r.Name, Env: c.env, Op: op, Args: args}, c})
	}
	post := func(result any, last bool) {
		kind := uint32(kindChunk)
		var body [][]byte
		if last {
			c.mu.Lock()
			delete(c.operations, f.id)
			c.mu.Unlock()
			kind, body = kindResult, back
			if err, failed := result.(error); failed {
				kind, result, body = kindError, bridge.Describe(err), nil
			}
		}
		if c.send(kind, f.id, result, body...) != nil {
			c.env.Cancel() // nobody is there any more
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations[f.id] = c.env.Start(run, post, nil)
}

func (c *connection) send(kind, id uint32, head any, body ...[]byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	return writeFrame(c.out, kind, id, head, body...)
}

// close ends what the environment has in progress, and what it has opened.
func (c *connection) close() {
	c.env.Cancel()
	for _, s := range c.sandboxes.Clear() {
		s.close()
	}
	for _, m := range c.modules.Clear() {
		m.release()
	}
	c.env.Close()
}

// listen(path) accepts further connections on a Unix socket, in a new folder that nobody else may enter. Both go with the
// host.
func listen(c *call) (any, error) {
	path, err := c.Text(0, "a path")
	if err != nil {
		return nil, err
	}
	s := c.c.server
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		return nil, ioError(err)
	}
	s.mu.Lock()
	s.folder = filepath.Dir(path)
	s.mu.Unlock()
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, ioError(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // who wants to connect is told that there is no host
			}
			go func() {
				defer conn.Close()
				further := s.newConnection(conn)
				defer further.close()
				_ = further.serve(conn) // who is at its other end sees that it ends
			}()
		}
	}()
	return nil, nil
}
