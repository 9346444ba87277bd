package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

const (
	maxRedirects = 10
	attempts     = 5 // in a row that bring nothing
)

// client speaks HTTP with a hub and with other servers.
type client struct {
	endpoint *url.URL
	mirror   *url.URL // asked for the hub's files first; nil for none
	token    string   // for the endpoint and nobody else
	http     *http.Client
	idle     time.Duration                   // the longest time without a byte
	pause    func(attempt int) time.Duration // before an attempt, counted from 1
	patience time.Duration                   // the longest pause that a server may ask for
}

// newClient makes a client of the environment.
func newClient() (*client, error) {
	c := &client{
		token: os.Getenv("HF_TOKEN"), idle: 30 * time.Second, patience: 5 * time.Minute,
		pause: func(attempt int) time.Duration { return time.Second << (attempt - 1) },
	}
	var err error
	if c.endpoint, err = hubAddress(); err != nil {
		return nil, err
	}
	if c.mirror, err = address("REALM_MIRROR", ""); err != nil {
		return nil, err
	}
	return c.connect(), nil
}

// connect makes the client's connections, with the times that it has.
func (c *client) connect() *client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	transport.DialContext = (&net.Dialer{Timeout: c.idle}).DialContext
	transport.TLSHandshakeTimeout = c.idle
	transport.ResponseHeaderTimeout = c.idle
	transport.DisableCompression = true // lengths and ranges are those of the file
	c.http = &http.Client{
		Transport: transport,
		// get follows redirections itself, since it says what each server is told.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// failure is why an attempt failed.
type failure struct {
	err   error
	again bool          // another attempt may succeed
	after time.Duration // that the server wants to pass before
}

// answer is a response, and what the hub said of the file when it sent the client on to where the bytes are.
type answer struct {
	*http.Response
	sha256 string // in hexadecimal; empty if not said
	size   int64  // -1 if not said
}

// errStalled is why a request was given up.
var errStalled = errors.New("stalled")

// get asks for a URL and follows redirections. The token goes to the endpoint only, over a connection that others cannot
// listen to, wherever a server sends the client.
func (c *client) get(ctx context.Context, u *url.URL, header http.Header) (*answer, *failure) {
	a := &answer{size: -1}
	for range maxRedirects {
		reading, cancel := context.WithCancelCause(ctx)
		req, err := http.NewRequestWithContext(reading, http.MethodGet, u.String(), nil)
		if err != nil {
			cancel(nil)
			return nil, &failure{err: errs.Errorf(errs.InvalidArgument, "%s: not an address", u.Host)}
		}
		for key, values := range header {
			req.Header[key] = values
		}
		req.Header.Set("User-Agent", "realm")
		if c.token != "" && sameOrigin(u, c.endpoint) && private(u) {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			cancel(nil)
			return nil, c.networkFailure(ctx, u, err)
		}
		a.Response = resp
		a.note(resp.Header)
		next, err := redirection(resp)
		if next == nil && err == nil {
			resp.Body = c.watch(reading, resp.Body, cancel)
			return a, nil
		}
		_ = resp.Body.Close()
		cancel(nil)
		if err != nil {
			return nil, &failure{err: errs.Errorf(errs.IO, "%s: %w", u.Host, err)}
		}
		u = next
	}
	return nil, &failure{err: errs.Errorf(errs.IO, "%s: more than %d redirections", u.Host, maxRedirects)}
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// private reports whether nobody on the way can read what is said to a server.
func private(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// redirection is where a response sends the client, nil for nowhere.
func redirection(resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	next, err := resp.Location()
	if err != nil {
		return nil, errors.New("a redirection to nowhere")
	}
	if next.Scheme != "https" && next.Scheme != resp.Request.URL.Scheme {
		return nil, fmt.Errorf("a redirection to %s://%s, which is not secure", next.Scheme, next.Host)
	}
	return next, nil
}

// isSHA256 reports whether text is a SHA-256 in hexadecimal.
func isSHA256(text string) bool { return len(text) == 64 && isWord(text, 64, digits+"abcdef") }

// note takes what the hub says of a file that it keeps elsewhere: its SHA-256 as the entity tag, and its size. Only the
// first to say it is believed.
func (a *answer) note(h http.Header) {
	if tag := strings.Trim(h.Get("X-Linked-Etag"), `"`); a.sha256 == "" && isSHA256(tag) {
		a.sha256 = tag
	}
	if size, err := strconv.ParseInt(h.Get("X-Linked-Size"), 10, 64); a.size < 0 && err == nil && size >= 0 {
		a.size = size
	}
}

// watched is a body that is given up when nothing came for a time.
type watched struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

func (c *client) watch(ctx context.Context, body io.ReadCloser, cancel context.CancelCauseFunc) *watched {
	return &watched{body, ctx, cancel, time.AfterFunc(c.idle, func() { cancel(errStalled) }), c.idle}
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.idle)
	n, err := w.ReadCloser.Read(p)
	w.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(w.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	w.cancel(nil)
	return w.ReadCloser.Close()
}

// networkFailure is the failure of a request that got no answer, or only a part of one.
func (c *client) networkFailure(ctx context.Context, u *url.URL, err error) *failure {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // its text has the whole address, which may be signed
	}
	timeout, _ := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errStalled), timeout != nil && timeout.Timeout() && ctx.Err() == nil:
		return &failure{err: errs.Errorf(errs.DeadlineExceeded, "%s: nothing came for %v", u.Host, c.idle), again: true}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &failure{err: errs.Errorf(errs.IO, "%s: the answer was cut short", u.Host), again: true}
	}
	return &failure{err: errs.Errorf(errs.IO, "%s: %w", u.Host, err), again: true}
}

// statusFailure is the failure that a status means. The hub says more in its headers.
func (c *client) statusFailure(resp *http.Response) *failure {
	host, code := resp.Request.URL.Host, resp.Header.Get("X-Error-Code")
	said := ""
	if text := resp.Header.Get("X-Error-Message"); text != "" {
		said = fmt.Sprintf(" (%.200q)", text)
	}
	status := fmt.Sprintf("%s: status %d%s", host, resp.StatusCode, said)
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		why := "set HF_TOKEN to a token that may read the repository; the hub says the same where there is no such repository"
		switch {
		case !sameOrigin(resp.Request.URL, c.endpoint):
			why = "the server does not give the file to everybody, and HF_TOKEN is for " + c.endpoint.Host + " only"
		case c.token != "" && !private(c.endpoint):
			why = "HF_TOKEN is not sent over http"
		case code == "GatedRepo":
			why = "the repository is given to those who accepted its terms on its page: do so, and set HF_TOKEN"
		case c.token != "":
			why = "HF_TOKEN is set, but may not read the repository, or there is no such repository"
		}
		return &failure{err: errs.Errorf(errs.PermissionDenied, "%s: %s", status, why)}
	case s == http.StatusNotFound || s == http.StatusGone:
		what := map[string]string{
			"RepoNotFound": "no such repository", "RevisionNotFound": "no such revision", "EntryNotFound": "no such file",
		}[code]
		if what == "" {
			what = "not found"
		}
		return &failure{err: errs.Errorf(errs.NotFound, "%s: %s", status, what)}
	case s == http.StatusTooManyRequests:
		return &failure{err: errs.Errorf(errs.IO, "%s: too many requests", status), again: true, after: wanted(resp.Header)}
	case s == http.StatusRequestTimeout || s >= 500:
		return &failure{err: errs.Errorf(errs.IO, "%s: %s", status, http.StatusText(s)), again: true, after: wanted(resp.Header)}
	}
	return &failure{err: errs.Errorf(errs.IO, "%s: %s", status, http.StatusText(resp.StatusCode))}
}

// rateLimit is the time to the end of a rate limit in the hub's header, such as `"api";r=0;t=57`, after
// https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/.
var rateLimit = regexp.MustCompile(`\bt=(\d{1,9})\b`)

// wanted is how long a server wants to be left alone, 0 if it does not say.
func wanted(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 30); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	if m := rateLimit.FindStringSubmatch(h.Get("RateLimit")); m != nil {
		seconds, _ := strconv.Atoi(m[1])
		return time.Duration(seconds) * time.Second
	}
	return 0
}

// persist calls try until it succeeds, fails for good, or failed a number of times in a row without having advanced.
func (c *client) persist(ctx context.Context, try func() (advanced bool, f *failure)) error {
	for n := 1; ; n++ {
		advanced, f := try()
		switch {
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return contextError(ctx)
		case !f.again:
			return f.err
		}
		if advanced {
			n = 1
		}
		if f.after > c.patience {
			return errs.Wrap(f.err, fmt.Sprintf("the server wants no request for %v", f.after.Round(time.Second)))
		}
		if n == attempts {
			return errs.Wrap(f.err, fmt.Sprintf("after %d attempts", n))
		}
		select {
		case <-time.After(max(f.after, c.pause(n))):
		case <-ctx.Done():
			return contextError(ctx)
		}
	}
}
