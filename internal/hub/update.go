package hub

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/gguf"
)

// source is what is to be fetched for a name.
type source struct {
	name  name // of the first file
	files []remote
}

// fetch brings a model from its server and returns the path of its first file.
func fetch(ctx context.Context, n name, o Options) (string, error) {
	c, err := newClient()
	if err != nil {
		return "", err
	}
	defer c.http.CloseIdleConnections()
	return c.fetch(ctx, n, o)
}

func (c *client) fetch(ctx context.Context, n name, o Options) (string, error) {
	start := time.Now()
	for round := 1; ; round++ {
		path, err := c.update(ctx, n, o, start)
		// A repository that changed in the meantime is listed again.
		if round == 2 || !errors.Is(err, errChanged) {
			return path, n.wrap(err)
		}
	}
}

// update brings what is in the cache up to what the server has, and returns the path of the first file.
func (c *client) update(ctx context.Context, n name, o Options, since time.Time) (string, error) {
	src, err := c.resolve(ctx, n)
	if err != nil {
		return "", err
	}
	dir, err := modelsDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(dir, folderOf(src.name))
	p := &progress{files: slices.Clone(src.files), sizes: make([]int64, len(src.files)), tell: o.Progress}
	l, err := waitLock(ctx, folder+lockSuffix, func() { p.report(folderBytes(filepath.Join(folder, partFolder))) })
	if err != nil {
		return "", err
	}
	defer l.release(false)
	if m := inspect(folder); m != nil && m.Path != "" {
		// What another process brought while this one waited is new enough.
		if m.Pulled.After(since) || c.current(ctx, src, m.record) {
			return m.Path, m.record.add(n, folder)
		}
	}
	return c.obtain(ctx, n, src, folder, p)
}

// resolve finds out which files a name stands for.
func (c *client) resolve(ctx context.Context, n name) (*source, error) {
	src := &source{name: n}
	if n.url != nil {
		count := splitParts(n.url.Path)
		if count > maxParts {
			return nil, errs.Errorf(errs.LimitExceeded, "%d parts: more than %d", count, maxParts)
		}
		for i := 1; i <= count; i++ {
			u := *n.url
			if count > 1 {
				u.Path, u.RawPath = part(u.Path, i), ""
			}
			file := path.Base(u.Path)
			if !safeFile(file) || !isGGUF(file) {
				return nil, errs.Errorf(errs.InvalidArgument, "want https://HOST/PATH.gguf")
			}
			src.files = append(src.files, remote{file: file, urls: []*url.URL{&u}, size: -1})
		}
		return src, nil
	}
	entries, err := c.list(ctx, n.repo)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(n, entries)
	if err != nil {
		return nil, err
	}
	src.name = name{repo: n.repo, file: chosen[0].path}
	for _, e := range chosen {
		f := remote{file: path.Base(e.path), size: e.size, sha256: e.sha256}
		// A mirror is believed only what can be checked.
		if c.mirror != nil && e.sha256 != "" {
			f.urls = append(f.urls, below(c.mirror, n.repo+"/resolve/main/"+e.path))
		}
		f.urls = append(f.urls, below(c.endpoint, n.repo+"/resolve/main/"+e.path))
		src.files = append(src.files, f)
	}
	return src, nil
}

// current reports whether a record has what the server has now.
func (c *client) current(ctx context.Context, src *source, r *record) bool {
	if len(r.Files) != len(src.files) {
		return false
	}
	for i, f := range src.files {
		kept := r.Files[i]
		if kept.File != f.file {
			return false
		}
		if f.sha256 != "" {
			if kept.SHA256 != f.sha256 {
				return false
			}
			continue
		}
		// Without a digest, the server is asked whether it has something else.
		if kept.ETag == "" && kept.Modified == "" {
			return false
		}
		header := http.Header{}
		if kept.ETag != "" {
			header.Set("If-None-Match", kept.ETag)
		} else {
			header.Set("If-Modified-Since", kept.Modified)
		}
		a, failed := c.get(ctx, f.urls[0], header)
		if failed != nil {
			return false
		}
		_ = a.Body.Close()
		if a.StatusCode != http.StatusNotModified {
			return false
		}
	}
	return true
}

// obtain fetches all files of a model and makes them the one that the cache has. The caller has the lock.
func (c *client) obtain(ctx context.Context, n name, src *source, folder string, p *progress) (string, error) {
	part := filepath.Join(folder, partFolder)
	if err := os.MkdirAll(part, 0o755); err != nil {
		return "", errs.Errorf(errs.IO, "%w", err)
	}
	r, err := readRecord(filepath.Join(part, stateFile))
	if err != nil || r.Name != src.name.String() {
		r = &record{Name: src.name.String()}
	}
	r.plan(src, part)
	save := func() error { return r.write(filepath.Join(part, stateFile)) }
	for i, f := range r.Files {
		p.sizes[i] = bytesOf(filepath.Join(part, f.File)) + bytesOf(filepath.Join(part, f.File+partSuffix))
	}
	for i, f := range src.files {
		d := &download{
			c: c, dir: part, want: f, state: &r.Files[i].fetched, save: save,
			tell: func(at, size int64) { p.file(i, at, size) },
		}
		if err := d.fetch(ctx); err != nil {
			if folderBytes(part) == 0 { // leave nothing behind of what never was
				_ = os.RemoveAll(part)
				_ = os.Remove(folder) // only if there is nothing else
			}
			return "", err
		}
	}
	first := filepath.Join(part, src.files[0].file)
	file, err := gguf.Open(first)
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		if code := errs.CodeOf(err); code != errs.IO && code != errs.OutOfMemory {
			_ = os.RemoveAll(part) // it would not become better
		}
		return "", errs.Wrap(err, "what came is no model")
	}
	return r.publish(n, folder)
}

// plan makes the state one of the files to fetch, and removes what belongs to none of them.
func (r *record) plan(src *source, part string) {
	old := r.Files
	r.Files = nil
	keep := []string{stateFile}
	for _, f := range src.files {
		k := &keptFile{File: f.file, fetched: fetched{Size: f.size, SHA256: f.sha256}}
		if i := slices.IndexFunc(old, func(o *keptFile) bool { return o.File == f.file }); i >= 0 {
			k.fetched = old[i].fetched
		}
		r.Files = append(r.Files, k)
		keep = append(keep, f.file, f.file+partSuffix)
	}
	entries, _ := os.ReadDir(part)
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			_ = os.RemoveAll(filepath.Join(part, e.Name()))
		}
	}
}

// progress adds up the files of a model.
type progress struct {
	files []remote
	sizes []int64 // that came of each
	tell  func(done, total int64)
}

// file is told what there is of one file.
func (p *progress) file(i int, at, size int64) {
	p.sizes[i] = at
	p.files[i].size = max(p.files[i].size, size)
	done := int64(0)
	for _, n := range p.sizes {
		done += n
	}
	p.report(done)
}

func (p *progress) report(done int64) {
	if p.tell == nil {
		return
	}
	total := int64(0)
	for _, f := range p.files {
		if f.size < 0 {
			total = 0
			break
		}
		total += f.size
	}
	p.tell(done, total)
}
