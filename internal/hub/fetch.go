package hub

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/store"
)

// remote is a file to fetch.
type remote struct {
	file   string     // its name here
	urls   []*url.URL // where it is, to be asked in turn
	size   int64      // -1 if not known
	sha256 string     // in hexadecimal; empty if not known
}

// validator is what a server compares for If-Range, empty if there is nothing. A weak entity tag would not do:
// https://datatracker.ietf.org/doc/html/rfc9110#section-13.1.5.
func (s *fetched) validator() string {
	if s.ETag != "" && !strings.HasPrefix(s.ETag, "W/") {
		return s.ETag
	}
	return s.Modified
}

// errChanged is in errors that mean that what comes is not what was announced.
var errChanged = errors.New("the file changed, or what was said of it is wrong")

// download is a file on its way.
type download struct {
	c     *client
	dir   string
	want  remote
	state *fetched
	save  func() error // keeps the state, before bytes are that it is about
	tell  func(at, size int64)

	f       *os.File
	at      int64     // bytes in f
	best    int64     // the most that at ever was
	hash    hash.Hash // of them
	resumed bool      // some of them came with an earlier request
	local   bool      // it failed for a reason that no server can do anything about
}

// fetch brings a file into a folder, or the rest of it where state says what is there already.
func (d *download) fetch(ctx context.Context) error {
	path := filepath.Join(d.dir, d.want.file)
	if info, err := os.Stat(path); err == nil && d.state.Done && info.Size() == d.state.Size && d.matches() {
		d.tell(info.Size(), info.Size())
		return nil
	}
	var err error
	if d.f, err = os.OpenFile(path+partSuffix, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return d.failLocally(err).err
	}
	defer d.f.Close()
	if err := d.rehash(ctx); err != nil {
		return err
	}
	for i, u := range d.want.urls {
		err = d.c.persist(ctx, func() (bool, *failure) { return d.attempt(ctx, u) })
		if err == nil || ctx.Err() != nil || d.local || i == len(d.want.urls)-1 {
			break
		}
	}
	if err != nil {
		return errs.Wrap(err, d.want.file)
	}
	err = d.f.Sync()
	if err == nil {
		err = d.f.Chmod(0o444) // it will be mapped: nobody writes to it again, not even by mistake
	}
	if err = errors.Join(err, d.f.Close()); err == nil {
		err = os.Rename(path+partSuffix, path)
	}
	if err != nil {
		return d.failLocally(err).err
	}
	return d.save()
}

// matches reports whether the state is of the file that is wanted.
func (d *download) matches() bool {
	s := d.state
	if d.want.size >= 0 && s.Size >= 0 && s.Size != d.want.size {
		return false
	}
	if d.want.sha256 != "" {
		return s.SHA256 == d.want.sha256
	}
	return s.validator() != "" && s.URL == place(d.want.urls[len(d.want.urls)-1])
}

// place is a URL without the query, which may hold a signature that is new each time.
func place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// rehash reads the bytes that are there, if they are of any use.
func (d *download) rehash(ctx context.Context) error {
	d.hash = sha256.New()
	if !d.matches() || d.state.Done {
		return d.restart()
	}
	buf := make([]byte, 1<<20)
	for ctx.Err() == nil {
		n, err := d.f.Read(buf)
		d.hash.Write(buf[:n])
		d.at += int64(n)
		if errors.Is(err, io.EOF) {
			d.best, d.resumed = d.at, d.at > 0
			return nil
		}
		if err != nil {
			return d.failLocally(err).err
		}
	}
	return contextError(ctx)
}

// restart forgets what has come.
func (d *download) restart() error {
	d.hash.Reset()
	d.at, d.resumed = 0, false
	*d.state = fetched{Size: d.want.size, SHA256: d.want.sha256}
	if err := d.f.Truncate(0); err != nil {
		return d.failLocally(err).err
	}
	return nil
}

// failLocally is the failure of something on this machine.
func (d *download) failLocally(err error) *failure {
	d.local = true
	if errors.Is(err, syscall.ENOSPC) {
		return d.full()
	}
	return &failure{err: errs.Errorf(errs.IO, "%w", err)}
}

func (d *download) full() *failure {
	d.local = true
	more := ""
	if d.state.Size >= 0 {
		more = fmt.Sprintf(": %s needs %d bytes more", d.want.file, d.state.Size-d.at)
	}
	return &failure{err: errs.Errorf(errs.IO, "the disk of %s is full%s; what has come is kept until `realm rm`", d.dir, more)}
}

// changed is the failure where what comes is not what was announced.
func (d *download) changed(u *url.URL, format string, args ...any) *failure {
	what := fmt.Sprintf(format, args...)
	if err := d.restart(); err != nil {
		return &failure{err: err}
	}
	return &failure{err: errs.Errorf(errs.Conflict, "%s: %s: %w", u.Host, what, errChanged)}
}

// attempt asks for the bytes that are missing. It reports whether a good number of them came.
func (d *download) attempt(ctx context.Context, u *url.URL) (advanced bool, f *failure) {
	if d.at > 0 && d.at == d.state.Size {
		return false, d.check(u)
	}
	header := http.Header{}
	if d.at > 0 {
		validator := d.state.validator()
		switch {
		case validator != "" && d.state.URL == place(u):
			header.Set("If-Range", validator)
		case d.want.sha256 == "": // nothing could tell the file's beginning from that of another
			if err := d.restart(); err != nil {
				return false, &failure{err: err}
			}
		}
	}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
	}
	a, f := d.c.get(ctx, u, header)
	if f != nil {
		return false, f
	}
	defer a.Body.Close()
	if f := d.accept(u, a); f != nil {
		return false, f
	}
	f = d.copy(ctx, u, a.Body)
	if f == nil {
		f = d.check(u)
	}
	// What comes again after a restart is no progress: else a server that always fails would be asked for ever.
	if advanced = d.at-d.best >= min(1<<20, max(1, d.state.Size/64)); advanced {
		d.best = d.at
	}
	return advanced, f
}

// accept looks at an answer's head. After it, the body goes on where f ends.
func (d *download) accept(u *url.URL, a *answer) *failure {
	total := int64(-1)
	switch a.StatusCode {
	case http.StatusOK:
		if d.at > 0 { // the server knows no ranges, or has another file now
			if err := d.restart(); err != nil {
				return &failure{err: err}
			}
		}
		total = a.ContentLength
	case http.StatusPartialContent:
		first, size, ok := contentRange(a.Header.Get("Content-Range"))
		other := d.state.URL == place(u) && (a.Header.Get("ETag") != d.state.ETag || a.Header.Get("Last-Modified") != d.state.Modified)
		if !ok || first != d.at || d.at == 0 || other || size >= 0 && d.state.Size >= 0 && size != d.state.Size {
			if err := d.restart(); err != nil {
				return &failure{err: err}
			}
			return &failure{err: errs.Errorf(errs.Conflict, "%s: the rest of another file came: %w", u.Host, errChanged), again: true}
		}
		total = size
	case http.StatusRequestedRangeNotSatisfiable:
		if err := d.restart(); err != nil {
			return &failure{err: err}
		}
		return &failure{err: errs.Errorf(errs.IO, "%s: status 416: the file has become shorter", u.Host), again: true}
	default:
		return d.c.statusFailure(a.Response)
	}
	if d.want.sha256 != "" && a.sha256 != "" && a.sha256 != d.want.sha256 {
		return d.changed(u, "SHA-256 %s instead of %s", a.sha256, d.want.sha256)
	}
	size := d.want.size
	for _, said := range []int64{a.size, total} {
		if size >= 0 && said >= 0 && said != size {
			return d.changed(u, "%d bytes instead of %d", said, size)
		}
		size = max(size, said)
	}
	d.state.URL, d.state.ETag, d.state.Modified = place(u), a.Header.Get("ETag"), a.Header.Get("Last-Modified")
	d.state.Size, d.state.SHA256 = size, cmp.Or(d.want.sha256, a.sha256)
	if free, ok := store.FreeDisk(d.dir); ok && free < size-d.at {
		return d.full()
	}
	if err := d.save(); err != nil {
		d.local = true
		return &failure{err: err}
	}
	d.tell(d.at, size)
	return nil
}

// contentRange reads "bytes 100-199/1000", of which the size may be "*".
func contentRange(text string) (first, size int64, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes ")
	span, total, found := strings.Cut(text, "/")
	start, _, found2 := strings.Cut(span, "-")
	first, err := strconv.ParseInt(start, 10, 64)
	if !ok || !found || !found2 || err != nil {
		return 0, 0, false
	}
	if total == "*" {
		return first, -1, true
	}
	size, err = strconv.ParseInt(total, 10, 64)
	return first, size, err == nil && size >= 0
}

// copy writes what comes.
func (d *download) copy(ctx context.Context, u *url.URL, body io.Reader) *failure {
	if _, err := d.f.Seek(d.at, io.SeekStart); err != nil {
		return d.failLocally(err)
	}
	magic := d.at >= 4
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if size := d.state.Size; size >= 0 && d.at+int64(n) > size {
			return d.changed(u, "more than %d bytes", size)
		}
		if _, err := d.f.Write(buf[:n]); err != nil {
			// What was written of it is not in the hash.
			if failed := d.f.Truncate(d.at); failed != nil {
				err = errors.Join(err, failed)
			}
			return d.failLocally(err)
		}
		d.hash.Write(buf[:n])
		d.at += int64(n)
		d.tell(d.at, d.state.Size)
		if !magic && (d.at >= 4 || errors.Is(err, io.EOF)) {
			if f := d.checkMagic(u); f != nil {
				return f
			}
			magic = true
		}
		switch {
		case errors.Is(err, io.EOF) && d.state.Size < 0:
			d.state.Size = d.at
			return nil
		case d.at == d.state.Size:
			return nil
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			d.resumed = true
			return d.c.networkFailure(ctx, u, err)
		}
	}
}

// checkMagic gives up at once where a server sends something else, such as a page that asks to log in.
func (d *download) checkMagic(u *url.URL) *failure {
	var head [4]byte
	n, err := d.f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return d.failLocally(err)
	}
	if string(head[:n]) == "GGUF" {
		return nil
	}
	if err := d.restart(); err != nil {
		return &failure{err: err}
	}
	return &failure{err: errs.Errorf(errs.InvalidFormat, "%s: what comes is no GGUF file: it begins with %q", u.Host, head[:n])}
}

// check compares the SHA-256 of the whole file.
func (d *download) check(u *url.URL) *failure {
	sum := hex.EncodeToString(d.hash.Sum(nil))
	if want := d.state.SHA256; want != "" && sum != want {
		resumed := d.resumed
		f := d.changed(u, "SHA-256 %s instead of %s", sum, want)
		f.again = resumed // the beginning may have been of another file, or damaged
		return f
	}
	d.state.SHA256, d.state.Done = sum, true
	return nil
}
