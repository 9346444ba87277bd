package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

const (
	hubName = "hf:org/repo/m.gguf"
	size    = 1 << 20 // about that of the models
)

// status answers with a status and headers.
func status(code int, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte("<html>GGUF is not here</html>"))
	}
}

// TestFaults has servers do what servers do. Each case ends with the right file or with an error that says what was wrong,
// and nothing else is ever in the cache.
func TestFaults(t *testing.T) {
	good, other := makeModel(t, 1, size, nil), makeModel(t, 2, size, nil)
	short := good[:len(good)-4096]
	broken := good[:4096]
	// first runs f for the first n requests for bytes.
	first := func(n int, f http.HandlerFunc) func(*fakeHub, http.ResponseWriter, *http.Request, int) bool {
		return func(_ *fakeHub, w http.ResponseWriter, r *http.Request, i int) bool {
			if i == 0 || i > n {
				return false
			}
			f(w, r)
			return true
		}
	}
	always := func(f http.HandlerFunc) func(*fakeHub, http.ResponseWriter, *http.Request, int) bool {
		return first(1<<30, f)
	}
	// hub runs f for requests to the hub itself.
	hub := func(f http.HandlerFunc) func(*fakeHub, http.ResponseWriter, *http.Request, int) bool {
		return func(_ *fakeHub, w http.ResponseWriter, r *http.Request, i int) bool {
			if i == 0 {
				f(w, r)
			}
			return i == 0
		}
	}
	stall := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			w.Header().Set("ETag", `"x"`)
			if n >= 0 {
				_, _ = w.Write(good[:n])
				w.(*counter).ResponseWriter.(http.Flusher).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}
	}
	half := func(data []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { cut(w, r, data, len(data)/2) }
	}
	chunked := func(data []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.(*counter).ResponseWriter.(http.Flusher).Flush() // no length is known then
			_, _ = w.Write(data)
		}
	}
	plain := func(data []byte, headers ...string) http.HandlerFunc { // knows no ranges
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data)
		}
	}
	type faultFunc = func(h *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool
	for _, tc := range []struct {
		name  string
		url   bool // fetch the file by its URL, of which no SHA-256 is known, rather than from the hub
		token string
		fault faultFunc
		lie   func(h *fakeHub)
		want  []byte // the right file, or else
		code  error  // the error's code
		says  string // and part of its text
		most  int64  // bytes that may be sent; 0 for no limit
	}{
		{name: "cut once", fault: first(1, half(good)), want: good, most: size * 5 / 4},
		{name: "cut once, by URL", url: true, fault: first(1, half(good)), want: good, most: size * 5 / 4},
		{name: "cut often, with progress", fault: first(15, func(w http.ResponseWriter, r *http.Request) { cut(w, r, good, 64<<10) }), want: good, most: size * 5 / 4},
		{name: "cut always, without progress", fault: always(func(w http.ResponseWriter, r *http.Request) { cut(w, r, good, 100) }), code: errs.IO, says: "cut short"},
		{name: "connection closed", fault: always(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), code: errs.IO, says: "after 5 attempts"},
		{name: "stalled before the head", fault: first(1, stall(-1)), want: good},
		{name: "stalled in the body", fault: first(1, stall(size/2)), want: good},
		{name: "stalled always", fault: always(stall(1000)), code: errs.DeadlineExceeded, says: "nothing came for"},
		{name: "stalled list", fault: hub(stall(-1)), code: errs.DeadlineExceeded, says: "nothing came for"},

		{name: "changed before the download", fault: func(h *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 0 && strings.Contains(r.URL.Path, "/resolve/") {
				h.put("m.gguf", other)
			}
			return false
		}, want: other},
		{name: "changed in mid-download", fault: func(h *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				h.put("m.gguf", other)
				cut(w, r, good, size/2)
			}
			return false
		}, want: other},
		{name: "changed in mid-download, by URL", url: true, fault: func(h *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				h.put("m.gguf", other)
				cut(w, r, good, size/2)
			}
			return false
		}, want: other},
		{name: "changed in mid-download, If-Range ignored", url: true, fault: func(h *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				h.put("m.gguf", other)
				cut(w, r, good, size/2)
			}
			r.Header.Del("If-Range")
			return false
		}, want: other},
		{name: "changed in mid-download, and nothing to tell by", url: true, fault: func(_ *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if r.Header.Get("Range") != "" {
				t.Errorf("asked for the rest of a file that may be another by now")
			}
			if n == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(len(good)))
				_, _ = w.Write(good[:size/2])
				panic(http.ErrAbortHandler)
			}
			plain(other)(w, r)
			return true
		}, want: other},
		{name: "weak tag", url: true, fault: func(_ *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if r.Header.Get("Range") != "" {
				t.Errorf("asked for the rest by a weak tag")
			}
			w.Header().Set("ETag", `W/"same"`)
			if n == 1 {
				cut(w, r, good, size/2)
			}
			return false
		}, want: good},
		{name: "changed, same tag and size, from the hub", fault: func(_ *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			w.Header().Set("ETag", `"same"`)
			if n == 1 {
				cut(w, r, other, size/2)
			}
			return false
		}, want: good},

		{name: "401", fault: hub(status(401)), code: errs.PermissionDenied, says: "set HF_TOKEN"},
		{name: "401 with a token", token: "t", fault: hub(status(401)), code: errs.PermissionDenied, says: "HF_TOKEN is set, but"},
		{name: "403, gated", fault: hub(status(403, "X-Error-Code", "GatedRepo", "X-Error-Message", "Access is restricted")), code: errs.PermissionDenied, says: "accepted its terms"},
		{name: "403 elsewhere", fault: always(status(403)), code: errs.PermissionDenied, says: "does not give the file to everybody"},
		{name: "404, repository", fault: hub(status(404, "X-Error-Code", "RepoNotFound")), code: errs.NotFound, says: "no such repository"},
		{name: "404, file", fault: always(status(404)), code: errs.NotFound, says: "status 404"},
		{name: "418", fault: always(status(418)), code: errs.IO, says: "status 418"},
		{name: "429 with Retry-After", fault: first(2, status(429, "Retry-After", "0")), want: good},
		{name: "429 for an hour", fault: always(status(429, "Retry-After", "3600")), code: errs.IO, says: "no request for 1h0m0s"},
		{name: "429 for an hour, as the hub says it", fault: hub(status(429, "RateLimit", `"api";r=0;t=3600`)), code: errs.IO, says: "no request for 1h0m0s"},
		{name: "503 with a date", fault: always(status(503, "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))), code: errs.IO, says: "no request for"},
		{name: "500 at times", fault: first(4, status(500)), want: good},
		{name: "502 always", fault: always(status(502)), code: errs.IO, says: "after 5 attempts"},
		{name: "500 for the list", fault: hub(status(500)), code: errs.IO, says: "after 5 attempts"},

		{name: "Content-Length too small", fault: always(plain(short)), code: errs.Conflict, says: "bytes instead of"},
		{name: "Content-Length too small, by URL", url: true, fault: always(plain(short)), code: errs.InvalidFormat, says: "what came is no model"},
		{name: "Content-Length too large", url: true, fault: always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)+1))
			_, _ = w.Write(good)
		}), code: errs.IO, says: "cut short"},
		{name: "no Content-Length", fault: first(1, chunked(good)), want: good},
		{name: "no Content-Length, by URL", url: true, fault: first(1, chunked(good)), want: good},
		{name: "no Content-Length, and cut short", fault: first(1, chunked(short)), want: good},
		{name: "no Content-Length, and too much", fault: always(chunked(append(good[:len(good):len(good)], 0))), code: errs.Conflict, says: "more than"},
		{name: "the list lies about the size", lie: func(h *fakeHub) { h.size["m.gguf"] = 100 }, code: errs.Conflict, says: "bytes instead of 100"},
		{name: "the list lies about the SHA-256", lie: func(h *fakeHub) { h.oid["m.gguf"] = digest(other) }, code: errs.Conflict, says: "instead of " + digest(other)},
		{name: "the list has no SHA-256, the redirection lies", lie: func(h *fakeHub) {
			h.oid["m.gguf"] = "none"
			h.linked["m.gguf"] = digest(other)
		}, code: errs.Conflict, says: "instead of " + digest(other)},
		{name: "the list has no SHA-256", lie: func(h *fakeHub) { h.oid["m.gguf"] = "none" }, want: good},
		{name: "other bytes than the SHA-256 says", fault: always(plain(append([]byte("GGUF"), other[4:len(good)]...))), code: errs.Conflict, says: "SHA-256"},

		{name: "ranges ignored", fault: func(_ *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				cut(w, r, good, size/2)
			}
			if n > 1 {
				plain(good)(w, r)
			}
			return n > 1
		}, want: good},
		{name: "another range", fault: func(_ *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				cut(w, r, good, size/2)
			}
			if n == 2 {
				r.Header.Set("Range", "bytes=100-")
			}
			return false
		}, want: good},
		{name: "206 without a range", fault: func(_ *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				cut(w, r, good, size/2)
			}
			if n == 2 {
				w.WriteHeader(206)
				_, _ = w.Write(good[size/2:])
			}
			return n == 2
		}, want: good},
		{name: "206 unasked", fault: always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(good)-1, len(good)))
			w.WriteHeader(206)
			_, _ = w.Write(good)
		}), code: errs.Conflict, says: "rest of another file"},
		{name: "416", fault: func(_ *fakeHub, w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				cut(w, r, good, size/2)
			}
			if n == 2 {
				w.WriteHeader(416)
			}
			return n == 2
		}, want: good},
		{name: "redirections without an end", fault: always(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}), code: errs.IO, says: "more than 10 redirections"},
		{name: "redirection to nowhere", fault: always(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) }), code: errs.IO, says: "nowhere"},
		{name: "redirection to a file", fault: always(status(302, "Location", "file:///etc/passwd")), code: errs.IO, says: "not secure"},

		{name: "a page", url: true, fault: always(plain([]byte("<html>please log in</html>"))), code: errs.InvalidFormat, says: `begins with "<htm"`},
		{name: "nothing", url: true, fault: always(plain(nil)), code: errs.InvalidFormat, says: `begins with ""`},
		{name: "no model", url: true, fault: always(plain(broken)), code: errs.InvalidFormat, says: "what came is no model"},
		{name: "no model, though it is what the hub has", lie: func(h *fakeHub) { h.put("m.gguf", broken) }, code: errs.InvalidFormat, says: "what came is no model"},
		{name: "no list", fault: hub(plain([]byte("<html>"))), code: errs.InvalidFormat, says: "the list of files"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := newCache(t)
			h := newHub(t, map[string][]byte{"m.gguf": good})
			if tc.lie != nil {
				tc.lie(h)
			}
			if tc.fault != nil {
				h.setFault(func(w http.ResponseWriter, r *http.Request, n int) bool { return tc.fault(h, w, r, n) })
			}
			c := h.client()
			c.token = tc.token
			if strings.Contains(tc.name, "stalled") {
				c.idle = 200 * time.Millisecond
				c.connect()
			}
			name := hubName
			if tc.url {
				name = h.bytes.URL + "/m.gguf"
			}
			path, err := pull(c, name)
			if tc.want != nil {
				if err != nil {
					t.Fatal(err)
				}
				wantFile(t, path, tc.want)
				wantSound(t, dir, tc.want)
				if sent, _ := h.counts(); tc.most > 0 && sent > tc.most {
					t.Errorf("%d bytes were sent, want at most %d", sent, tc.most)
				}
				return
			}
			if !errors.Is(err, tc.code) || !strings.Contains(err.Error(), tc.says) || !strings.HasPrefix(err.Error(), "hub: "+name) {
				t.Errorf("got %v (%s), want %s with %q", err, errs.CodeOf(err).Name(), tc.code, tc.says)
			}
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("the error has the signature of an address: %q", err)
			}
			wantSound(t, dir)
			// What is left over does no harm once the server is well.
			h.heal()
			h.put("m.gguf", good)
			if path, err = pull(c, name); err != nil {
				t.Fatalf("when the server is well again: %v", err)
			}
			wantFile(t, path, good)
		})
	}
}

// TestToken shows who gets the token: the hub, on every request, and nobody that it sends the client to.
func TestToken(t *testing.T) {
	newCache(t)
	data := makeModel(t, 1, 4096, nil)
	h := newHub(t, map[string][]byte{"m-Q8_0.gguf": data})
	mirror := httptest.NewServer(http.NotFoundHandler())
	defer mirror.Close()
	var leaked []string
	mirror.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked = append(leaked, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNotFound)
	})
	t.Setenv("HF_ENDPOINT", h.hub.URL+"/")
	t.Setenv("HF_TOKEN", "hf_x")
	t.Setenv("REALM_MIRROR", mirror.URL)
	path, err := Pull(t.Context(), "hf:org/repo", Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, data)
	atHub := 0
	for _, r := range h.requests {
		switch {
		case "http://"+r.Host == h.hub.URL:
			atHub++
			if r.Header.Get("Authorization") != "Bearer hf_x" {
				t.Errorf("%s: the hub was not given the token", r.URL)
			}
		case r.Header.Get("Authorization") != "":
			t.Errorf("%s got the token", r.Host)
		}
	}
	if atHub != 2 || len(leaked) != 1 || leaked[0] != "" {
		t.Errorf("%d requests to the hub, %q to the mirror", atHub, leaked)
	}
	if !private(&url.URL{Scheme: "https", Host: "h.test"}) || private(&url.URL{Scheme: "http", Host: "h.test"}) {
		t.Error("the token would be sent over http")
	}
}

// TestMirror takes bytes from a mirror where they are what the hub says, and else from the hub.
func TestMirror(t *testing.T) {
	good, other := makeModel(t, 1, size, nil), makeModel(t, 2, size, nil)
	for _, tc := range []struct {
		name    string
		mirror  http.HandlerFunc
		fromHub int64 // bytes at most
	}{
		{"good", func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, good) }, 0},
		{"another file", func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, other) }, int64(len(good))},
		{"another file with the same name and digest", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Linked-Etag", digest(good))
			serveFile(w, r, other)
		}, int64(len(good))},
		{"down after a half", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(500)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			_, _ = w.Write(good[:size/2])
			panic(http.ErrAbortHandler)
		}, size * 3 / 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := newCache(t)
			h := newHub(t, map[string][]byte{"m.gguf": good})
			mirror := httptest.NewServer(tc.mirror)
			defer mirror.Close()
			c := h.client()
			c.mirror, _ = url.Parse(mirror.URL)
			path, err := pull(c, hubName)
			if err != nil {
				t.Fatal(err)
			}
			wantFile(t, path, good)
			wantSound(t, dir, good)
			if sent, _ := h.counts(); sent > tc.fromHub {
				t.Errorf("the hub sent %d bytes, want at most %d", sent, tc.fromHub)
			}
		})
	}
}

// TestSecureRedirection does not let a server with a certificate send the client to one without.
func TestSecureRedirection(t *testing.T) {
	newCache(t)
	h := newHub(t, map[string][]byte{"m.gguf": makeModel(t, 1, 4096, nil)})
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, h.bytes.URL+r.URL.Path, http.StatusFound)
	}))
	defer secure.Close()
	c := h.client()
	c.http.Transport = secure.Client().Transport
	if _, err := pull(c, secure.URL+"/m.gguf"); !errors.Is(err, errs.IO) || !strings.Contains(err.Error(), "not secure") {
		t.Errorf("got %v", err)
	}
}

// TestCanceled ends in the middle, and goes on there.
func TestCanceled(t *testing.T) {
	dir := newCache(t)
	good := makeModel(t, 1, size, nil)
	for _, name := range []string{hubName, "url"} {
		h := newHub(t, map[string][]byte{"m.gguf": good})
		if name == "url" {
			name = h.bytes.URL + "/m.gguf"
		}
		h.setFault(func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(len(good)))
				w.Header().Set("ETag", `"`+digest(good)[:16]+`"`)
				_, _ = w.Write(good[:size/2])
				w.(*counter).ResponseWriter.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			return n == 1
		})
		c := h.client()
		ctx, cancel := context.WithCancel(t.Context())
		_, err := c.pull(ctx, name, Options{Progress: func(done, _ int64) {
			if done >= size/2 {
				cancel()
			}
		}})
		if !errors.Is(err, errs.Canceled) {
			t.Fatalf("%s: got %v", name, err)
		}
		wantSound(t, dir)
		var first int64 = -1
		path, err := c.pull(t.Context(), name, Options{Progress: func(done, _ int64) {
			if first < 0 {
				first = done
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, good)
		if sent, _ := h.counts(); sent > size*5/4 || first < size/2 {
			t.Errorf("%s: %d bytes were sent in all, and progress began at %d", name, sent, first)
		}
		if _, err := Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// TestDamagedPart finds out that the bytes which are there already are not those that came.
func TestDamagedPart(t *testing.T) {
	dir := newCache(t)
	good := makeModel(t, 1, size, nil)
	h := newHub(t, map[string][]byte{"m.gguf": good})
	h.setFault(func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 && n <= attempts {
			cut(w, r, good, size/3/n)
		}
		return false
	})
	c := h.client()
	c.pause = func(int) time.Duration { return time.Hour }
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.pull(ctx, hubName, Options{}); !errors.Is(err, errs.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	parts, _ := filepath.Glob(filepath.Join(dir, "*", partFolder, "*"+partSuffix))
	if len(parts) != 1 {
		t.Fatalf("parts: %q", parts)
	}
	f, err := os.OpenFile(parts[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 100), 1000); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	h.setFault(nil)
	path, err := pull(h.client(), hubName)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, good)
}
