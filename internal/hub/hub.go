// Package hub owns models by name: what the names mean, fetching the files from a hub that speaks the Hugging Face hub's
// HTTP API or from any other server, and the folder of models in the cache. It must not know what is in a file beyond that
// it parses, nor of running models. Start at Pull; name.go has the names, cache.go the layout of the folder.
package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

// Options say how a model is fetched.
type Options struct {
	// Offline asks no server. REALM_OFFLINE does too, unless it is empty, 0 or false.
	Offline bool
	// Update asks the server for a newer file where there is one in the cache.
	Update bool
	// Progress, if not nil, is told the bytes that are there, and of how many, 0 while that is not known. The first call
	// comes before the first byte.
	Progress func(done, total int64)
}

// Pull returns the path of a model's first file, which it fetches where it is not in the cache. Of a name that is a path it
// returns the path.
func Pull(ctx context.Context, text string, o Options) (string, error) {
	endpoint, err := hubAddress()
	if err != nil {
		return "", err
	}
	switch strings.ToLower(os.Getenv("REALM_OFFLINE")) {
	case "", "0", "false":
	default:
		o.Offline = true
	}
	return pullFrom(ctx, text, endpoint, o, fetch)
}

// pullFrom is Pull for a hub, with what fetches from it.
func pullFrom(ctx context.Context, text string, endpoint *url.URL, o Options, fetch func(context.Context, name, Options) (string, error)) (string, error) {
	n, err := parseName(text, endpoint)
	if err != nil || n.local != "" {
		return n.local, err
	}
	if !o.Update || o.Offline {
		path, err := fromCache(n, o.Offline)
		if err != nil {
			return "", n.wrap(err)
		}
		if path != "" {
			return path, nil
		}
	}
	return fetch(ctx, n, o)
}

// parseHere reads a name as the environment has it.
func parseHere(text string) (name, error) {
	endpoint, err := hubAddress()
	if err != nil {
		return name{}, err
	}
	return parseName(text, endpoint)
}

// fromCache returns the model that a name stands for without asking anybody. Offline, that is also the one that it would
// stand for if its repository had no other files than those in the cache, and none is an error.
func fromCache(n name, offline bool) (string, error) {
	all, err := Models()
	if err != nil {
		return "", err
	}
	m, likely := find(n, all)
	if m != nil && m.Path != "" {
		return m.Path, nil
	}
	if !offline {
		return "", nil
	}
	var entries []entry
	paths := map[string]string{}
	for _, m := range likely {
		if p := strings.TrimPrefix(m.Name, "hf:"+n.repo+"/"); m.Path != "" {
			entries = append(entries, entry{path: p})
			paths[p] = m.Path
		}
	}
	if first, ok := pick(n.quant, models(entries)); ok {
		return paths[first.path], nil
	}
	dir, _ := modelsDir()
	return "", errs.Errorf(errs.NotFound, "not in %s, and nothing is fetched offline: run `realm pull %s` online", dir, n)
}

// add makes a record known under another name.
func (r *record) add(n name, folder string) error {
	text := n.String()
	if text == r.Name || slices.Contains(r.Asked, text) {
		return nil
	}
	r.Asked = append(r.Asked, text)
	return r.write(filepath.Join(folder, recordFile))
}

// publish makes a complete download the model that the cache has, and removes the one that it had.
func (r *record) publish(n name, folder string) (string, error) {
	sum := sha256.New()
	for _, f := range r.Files {
		sum.Write([]byte(f.SHA256 + "\n"))
	}
	r.Folder = hex.EncodeToString(sum.Sum(nil)[:6])
	if old, err := readRecord(filepath.Join(folder, recordFile)); err == nil {
		r.Asked = old.Asked
	}
	if text := n.String(); text != r.Name && !slices.Contains(r.Asked, text) {
		r.Asked = append(r.Asked, text)
	}
	r.Pulled = time.Now().UTC().Truncate(time.Millisecond)
	version := filepath.Join(folder, r.Folder)
	if _, ok := r.complete(folder); !ok {
		// A folder of that name is what is left of one that somebody damaged.
		err := os.RemoveAll(version)
		if err == nil {
			err = os.Rename(filepath.Join(folder, partFolder), version)
		}
		if err != nil {
			return "", errs.Errorf(errs.IO, "%w", err)
		}
		_ = os.Remove(filepath.Join(version, stateFile))
	}
	if err := r.write(filepath.Join(folder, recordFile)); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", errs.Errorf(errs.IO, "%w", err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != r.Folder {
			_ = os.RemoveAll(filepath.Join(folder, e.Name()))
		}
	}
	return filepath.Join(version, r.Files[0].File), nil
}
