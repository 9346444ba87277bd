package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/gguf"
)

// makeModel makes a file that parses, of about size bytes.
func makeModel(t testing.TB, seed uint64, size int, keys map[string]any) []byte {
	t.Helper()
	random := rand.NewChaCha8([32]byte{byte(seed)})
	data := make([]byte, size/4*4)
	_, _ = random.Read(data)
	w := gguf.NewWriter()
	for key, value := range keys {
		if err := w.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add(fmt.Sprintf("w%d", seed), gguf.F32, []uint64{uint64(len(data) / 4)}, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// fakeHub is a server with the hub's HTTP API and one repository, org/repo, which sends those who want a file on to
// another server, as the hub does.
type fakeHub struct {
	t     testing.TB
	hub   *httptest.Server
	bytes *httptest.Server // where the bytes are

	mu       sync.Mutex
	files    map[string][]byte // by path
	oid      map[string]string // what the list says of their SHA-256; else the truth
	size     map[string]int64  // likewise
	linked   map[string]string // what the redirection says of it; else the truth
	requests []*http.Request
	sent     int64 // bytes of files
	asked    int   // requests for bytes

	// fault, if not nil, may answer the n-th request for bytes, counted from 1, and all other requests, with n = 0.
	fault func(w http.ResponseWriter, r *http.Request, n int) (answered bool)
}

func newHub(t testing.TB, files map[string][]byte) *fakeHub {
	h := &fakeHub{t: t, files: files, oid: map[string]string{}, size: map[string]int64{}, linked: map[string]string{}}
	h.hub = httptest.NewServer(http.HandlerFunc(h.serve))
	h.bytes = httptest.NewServer(http.HandlerFunc(h.serveBytes))
	t.Cleanup(h.hub.Close)
	t.Cleanup(h.bytes.Close)
	return h
}

func (h *fakeHub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r)
	fault := h.fault
	h.mu.Unlock()
	if fault != nil && fault(w, r, 0) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	path, isFile := strings.CutPrefix(r.URL.Path, "/org/repo/resolve/main/")
	switch {
	case r.URL.Path == "/api/models/org/repo/tree/main":
		h.list(w)
	case isFile && h.files[path] != nil:
		oid := digest(h.files[path])
		if h.linked[path] != "" {
			oid = h.linked[path]
		}
		w.Header().Set("X-Linked-Etag", `"`+oid+`"`)
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(h.files[path])))
		w.Header().Set("Location", h.bytes.URL+"/"+url.PathEscape(path)+"?signature=secret")
		w.WriteHeader(http.StatusFound)
	default:
		w.Header().Set("X-Error-Code", "RepoNotFound")
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// put adds a file or replaces one.
func (h *fakeHub) put(path string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[path] = data
}

// heal takes back all faults and lies.
func (h *fakeHub) heal() {
	h.setFault(nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.oid)
	clear(h.size)
	clear(h.linked)
}

func (h *fakeHub) setFault(f func(w http.ResponseWriter, r *http.Request, n int) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = f
}

func (h *fakeHub) list(w http.ResponseWriter) {
	type lfs struct {
		OID string `json:"oid"`
	}
	type item struct {
		Type string `json:"type"`
		Path string `json:"path"`
		Size int64  `json:"size"`
		LFS  *lfs   `json:"lfs,omitempty"`
	}
	items := []item{{Type: "directory", Path: "x.gguf"}, {Type: "file", Path: "README.md", Size: 10}, {Type: "file", Path: "../../evil.gguf", Size: 10}}
	for path, data := range h.files {
		i := item{Type: "file", Path: path, Size: int64(len(data)), LFS: &lfs{digest(data)}}
		if oid := h.oid[path]; oid == "none" {
			i.LFS = nil
		} else if oid != "" {
			i.LFS.OID = oid
		}
		if size := h.size[path]; size != 0 {
			i.Size = size
		}
		items = append(items, i)
	}
	_ = json.NewEncoder(w).Encode(items)
}

// counter counts what a handler writes.
type counter struct {
	http.ResponseWriter
	n *int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	*c.n += int64(n)
	return n, err
}

func (h *fakeHub) serveBytes(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r)
	h.asked++
	n, fault := h.asked, h.fault
	h.mu.Unlock()
	sent := int64(0)
	w = &counter{w, &sent}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.sent += sent
	}()
	if fault != nil && fault(w, r, n) {
		return
	}
	h.mu.Lock()
	data := h.files[strings.TrimPrefix(r.URL.Path, "/")]
	h.mu.Unlock()
	if data == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	serveFile(w, r, data)
}

// serveFile answers with a file as a good server would.
func serveFile(w http.ResponseWriter, r *http.Request, data []byte) {
	if w.Header().Get("ETag") == "" {
		w.Header().Set("ETag", `"`+digest(data)[:16]+`"`)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// cut answers with the first bytes of what serveFile would, and breaks the connection off.
func cut(w http.ResponseWriter, r *http.Request, data []byte, n int) {
	recorder := httptest.NewRecorder()
	recorder.Header().Set("ETag", w.Header().Get("ETag"))
	serveFile(recorder, r, data)
	for key, values := range recorder.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(recorder.Code)
	body := recorder.Body.Bytes()
	_, _ = w.Write(body[:min(n, len(body))])
	w.(*counter).ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (h *fakeHub) counts() (sent int64, requests int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent, len(h.requests)
}

// newCache gives the test a cache folder of its own and an environment without anybody's settings.
func newCache(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, variable := range []string{"HF_TOKEN", "HF_ENDPOINT", "REALM_MIRROR", "REALM_OFFLINE"} {
		t.Setenv(variable, "")
	}
	t.Setenv("REALM_CACHE", dir)
	return filepath.Join(dir, "models")
}

// client makes a client of the hub that does not wait long.
func (h *fakeHub) client() *client {
	endpoint, err := url.Parse(h.hub.URL)
	if err != nil {
		h.t.Fatal(err)
	}
	c := &client{
		endpoint: endpoint, idle: 10 * time.Second, patience: 3 * time.Second,
		pause: func(int) time.Duration { return time.Millisecond },
	}
	return c.connect()
}

// wantFile fails the test if a file does not have the contents.
func wantFile(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes with SHA-256 %s, want %d with %s", path, len(got), digest(got), len(want), digest(want))
	}
}

// wantSound fails the test if the cache has a model that is not one of those, or a file beside models that looks like one.
func wantSound(t testing.TB, dir string, good ...[]byte) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".gguf") || filepath.Base(filepath.Dir(path)) == partFolder {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range good {
			if bytes.Equal(data, g) {
				return nil
			}
		}
		t.Errorf("%s: in the cache, but not right", path)
		return nil
	})
	models, err := Models()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		if m.Path == "" {
			continue
		}
		f, err := gguf.Open(m.Path)
		if err != nil {
			t.Errorf("%s: in the cache, but: %v", m.Name, err)
			continue
		}
		_ = f.Close()
	}
}

// pull is Pull with this client.
func (c *client) pull(ctx context.Context, text string, o Options) (string, error) {
	return pullFrom(ctx, text, c.endpoint, o, c.fetch)
}

func pull(c *client, name string) (string, error) {
	return c.pull(context.Background(), name, Options{})
}
