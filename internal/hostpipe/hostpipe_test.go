package hostpipe

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/bridge"
	"github.com/realm-ai/realm/internal/synth"
	"github.com/realm-ai/realm/wasm"
)

// client is who is at the other end of a host.
type client struct {
	t    *testing.T
	w    io.WriteCloser
	r    io.Reader
	last uint32
}

// serve runs a host, which has ended, without an error, when the test has.
func serve(t *testing.T) *client {
	t.Helper()
	rt, err := wasm.NewRuntime(wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, toHost := io.Pipe()
	fromHost, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(context.Background(), in, out, rt) }()
	t.Cleanup(func() {
		_ = toHost.Close()
		go func() { _, _ = io.Copy(io.Discard, fromHost) }()
		if err := <-ended; err != nil {
			t.Errorf("the host ended with: %v", err)
		}
		_ = rt.Close()
	})
	c := &client{t: t, w: toHost, r: fromHost}
	c.hello()
	return c
}

func (c *client) hello() {
	c.t.Helper()
	f := c.read()
	if want := fmt.Sprintf(`{"version":%d}`, version); f.kind != kindHello || string(f.head) != want {
		c.t.Fatalf("kind %d, %s: want a hello with %s", f.kind, f.head, want)
	}
}

func (c *client) read() frame {
	c.t.Helper()
	f, err := readFrame(c.r)
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *client) write(kind, id uint32, head any, body ...[]byte) {
	c.t.Helper()
	if err := writeFrame(c.w, kind, id, head, body...); err != nil {
		c.t.Fatal(err)
	}
}

// start begins a call. args are JSON.
func (c *client) start(name, args string, body ...[]byte) uint32 {
	c.t.Helper()
	c.last++
	c.write(kindCall, c.last, json.RawMessage(fmt.Sprintf(`{"name":%q,"args":[%s]}`, name, args)), body...)
	return c.last
}

// call waits for a call that is alone.
func (c *client) call(name, args string, body ...[]byte) frame {
	c.t.Helper()
	id := c.start(name, args, body...)
	for {
		if f := c.read(); f.id != id {
			c.t.Fatalf("%s: a frame of call %d in place of %d", name, f.id, id)
		} else if f.kind != kindChunk {
			return f
		}
	}
}

// must is a call that succeeds: it returns its result, and what came back of its buffers.
func (c *client) must(name, args string, body ...[]byte) (string, []byte) {
	c.t.Helper()
	f := c.call(name, args, body...)
	if f.kind != kindResult {
		c.t.Fatalf("%s(%s): %s", name, args, f.head)
	}
	return string(f.head), f.body
}

// fails holds a call to an error.
func (c *client) fails(code, name, args string, body ...[]byte) {
	c.t.Helper()
	f := c.call(name, args, body...)
	var failure bridge.Failure
	if err := json.Unmarshal(f.head, &failure); err != nil || f.kind != kindError || failure.Code != code {
		c.t.Errorf("%s(%.100s): kind %d, %s: want the error %s", name, args, f.kind, f.head, code)
	}
}

// model stores a synthetic model.
func (c *client) model() (id, path string) {
	c.t.Helper()
	path = filepath.Join(c.t.TempDir(), "model.gguf")
	if err := synth.WriteFile(context.Background(), path, "tiny-llama-q4_1", synth.Options{}); err != nil {
		c.t.Fatal(err)
	}
	id, _ = c.must("storeModel", fmt.Sprintf("%q", path))
	return id, path
}

func TestCalls(t *testing.T) {
	t.Setenv("REALM_CACHE", t.TempDir())
	c := serve(t)
	id, path := c.model()
	if data, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	} else if same, _ := c.must("storeModel", fmt.Sprintf(`{"bytes":%d}`, len(data)), data); same != id {
		t.Errorf("the file has the id %s, its bytes %s", id, same)
	}
	head, _ := c.must("getModelInfo", id)
	var info struct {
		Hidden int `json:"hidden_size"`
		Vocab  int `json:"vocab_size"`
	}
	if err := json.Unmarshal([]byte(head), &info); err != nil || info.Hidden == 0 {
		t.Fatalf("%s: %v", head, err)
	}

	// A tensor's row is what its token is embedded as, but for the form of the buffers that hold it.
	n, _ := c.must("tensorLength", id+`,"token_embd.weight"`)
	bytesOf := 4 * info.Hidden * info.Vocab
	if n != fmt.Sprint(info.Hidden*info.Vocab) {
		t.Errorf("%s elements, want %d x %d", n, info.Vocab, info.Hidden)
	}
	_, tensor := c.must("getTensor", fmt.Sprintf(`%s,"token_embd.weight",{"room":%d}`, id, bytesOf))
	_, back := c.must("getTensor", fmt.Sprintf(`%s,"token_embd.weight",{"bytes":%d,"back":true}`, id, bytesOf), make([]byte, bytesOf))
	session, _ := c.must("createSession", id)
	token := binary.LittleEndian.AppendUint32(nil, 7)
	_, hidden := c.must("embedTokens", fmt.Sprintf(`%s,{"bytes":4},{"room":%d}`, session, 4*info.Hidden), token)
	if row := tensor[7*4*info.Hidden:][:4*info.Hidden]; !bytes.Equal(hidden, row) || !bytes.Equal(tensor, back) {
		t.Error("a token's hidden state is not its row of the tensor")
	}
	_, after := c.must("forwardLayer", fmt.Sprintf(`%s,0,{"bytes":%d,"back":true},0`, session, len(hidden)), hidden)
	if len(after) != len(hidden) || bytes.Equal(after, hidden) {
		t.Error("a layer changed nothing")
	}
	c.must("closeSession", session)

	c.fails("REALM_CLOSED", "closeSession", session)
	c.fails("REALM_NOT_FOUND", "getModelInfo", "1")
	c.fails("REALM_INVALID_ARGUMENT", "getModelInfo", `null`)
	c.fails("REALM_INVALID_ARGUMENT", "storeModel", `{}`)
	c.fails("REALM_INVALID_ARGUMENT", "storeModel", `[1]`)
	c.fails("REALM_INVALID_ARGUMENT", "storeModel", `{"bytes":9}`, []byte("few"))
	c.fails("REALM_INVALID_ARGUMENT", "getTensor", id+`,"x",{"room":99999999999999999}`)
	c.fails("REALM_INVALID_ARGUMENT", "rmModel", id)
	c.fails("REALM_CLOSED", "answer", `1,"{}"`)
	c.fails("REALM_INVALID_FORMAT", "patchGuest", `{"bytes":4},0`, []byte("wasm"))
}

// TestStream holds a stream to the window: of an answer that nobody takes no more comes than that.
func TestStream(t *testing.T) {
	t.Setenv("REALM_CACHE", t.TempDir())
	c := serve(t)
	id, _ := c.model()
	request := `"{\"prompt\":\"One day\",\"max_tokens\":200,\"ignore_end_of_generation\":true,\"sampling\":{\"temperature\":0,\"seed\":\"0\"}}"`
	answer := c.start("generate", id+","+request)
	const window = 64
	// count returns how many chunks a frame has.
	count := func(f frame) int {
		var list []json.RawMessage
		if err := json.Unmarshal(f.head, &list); err != nil || f.kind != kindChunk || f.id != answer || len(list) == 0 {
			t.Fatalf("kind %d, %s: %v", f.kind, f.head, err)
		}
		return len(list)
	}
	chunks := 0
	for chunks < window {
		chunks += count(c.read())
	}
	if chunks != window {
		t.Fatalf("%d chunks, want %d", chunks, window)
	}
	// Were there one more, it would come before this answer does.
	time.Sleep(50 * time.Millisecond)
	c.must("getModelInfo", id)
	c.write(kindAcknowledge, answer, window)
	f := c.read()
	for ; f.kind == kindChunk; f = c.read() {
		n := count(f)
		chunks += n
		c.write(kindAcknowledge, answer, n)
	}
	if f.kind != kindResult || chunks != 199 && chunks != 200 || !strings.Contains(string(f.head), `"completionTokens":200`) {
		t.Errorf("%d chunks, then kind %d, %s", chunks, f.kind, f.head)
	}

	answer = c.start("generate", id+","+request)
	c.write(kindCancel, answer, nil)
	for f = c.read(); f.kind == kindChunk; f = c.read() {
	}
	if f.kind != kindError || !strings.Contains(string(f.head), "REALM_CANCELED") {
		t.Errorf("a cancelled answer: kind %d, %s", f.kind, f.head)
	}
	c.write(kindCancel, answer, nil) // it is over
	c.must("removeModel", id)
}

// TestListen has two environments in one host: they share models, and what one of them has begun ends with it.
func TestListen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other programs do not use these sockets on Windows")
	}
	t.Setenv("REALM_CACHE", t.TempDir())
	c := serve(t)
	id, _ := c.model()
	dir, err := os.MkdirTemp("", "hostpipe") // t.TempDir's names may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "new", "host")
	c.must("listen", fmt.Sprintf("%q", socket))
	if info, err := os.Stat(filepath.Dir(socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("the socket's folder: %v, %v: want one that is nobody else's", info, err)
	}
	for range 3 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		other := &client{t: t, w: conn, r: conn}
		other.hello()
		session, _ := other.must("createSession", id)
		c.fails("REALM_CLOSED", "closeSession", session) // of another environment
		other.start("generate", id+`,"{\"prompt\":\"x\",\"max_tokens\":100000,\"ignore_end_of_generation\":true}"`)
		other.read()
		_ = conn.Close()
	}
	c.fails("REALM_IO", "listen", fmt.Sprintf("%q", socket))
}

// TestFrames gives a host frames that make no sense. It ends, with an error, and takes no memory for what they announce.
func TestFrames(t *testing.T) {
	header := func(kind, id, head uint32, body uint64) []byte {
		b := binary.LittleEndian.AppendUint32(nil, kind)
		b = binary.LittleEndian.AppendUint32(b, id)
		b = binary.LittleEndian.AppendUint32(b, head)
		return binary.LittleEndian.AppendUint64(b, body)
	}
	for name, in := range map[string][]byte{
		"half a header":    header(kindCall, 1, 0, 0)[:11],
		"no head":          header(kindCall, 1, 5, 0),
		"a long head":      header(kindCall, 1, 1<<32-1, 0),
		"a long body":      header(kindCall, 1, 0, 1<<63),
		"half a body":      append(header(kindCall, 1, 0, 1<<40), make([]byte, 1000)...),
		"no kind":          header(9, 1, 0, 0),
		"a host's kind":    header(kindResult, 1, 0, 0),
		"no number":        append(header(kindAcknowledge, 1, 1, 0), '{'),
		"hello from there": header(kindHello, 0, 0, 0),
	} {
		rt, err := wasm.NewRuntime(wasm.Options{Interpreter: true})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := Serve(context.Background(), bytes.NewReader(in), io.Discard, rt); err == nil {
			t.Errorf("%s: no error", name)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
		_ = rt.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, _ := io.Pipe()
	if err := Serve(ctx, r, io.Discard, nil); err != context.Canceled {
		t.Errorf("a host that was cancelled: %v", err)
	}
}

func FuzzFrame(f *testing.F) {
	var b bytes.Buffer
	_ = writeFrame(&b, kindCall, 3, request{Name: "getModelInfo"}, []byte("body"))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		for {
			in, err := readFrame(r)
			if err != nil {
				return
			}
			var call request
			if json.Unmarshal(in.head, &call) == nil {
				_, _, _ = call.arguments(in.body)
			}
		}
	})
}
