package hub

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"regexp"

	"github.com/realm-ai/realm/internal/errs"
)

const (
	maxPages = 64       // of 1,000 files each
	maxPage  = 16 << 20 // bytes of a page
)

// nextPage is the page that a Link header points to, https://datatracker.ietf.org/doc/html/rfc8288.
var nextPage = regexp.MustCompile(`<([^>]+)>\s*;\s*rel="?next"?`)

// below is the address of a path at a server.
func below(server *url.URL, path string) *url.URL {
	u := *server
	u.Path, u.RawPath = server.Path+"/"+path, ""
	return &u
}

// list returns the GGUF files on a repository's main branch:
//
//	GET /api/models/ORG/REPO/tree/main?recursive=true
//	[{"type": "file", "path": "m.Q8_0.gguf", "size": 42, "lfs": {"oid": SHA-256 in hexadecimal}}, ...]
//
// Files that the hub does not keep in its large file storage have no "lfs", and no SHA-256.
func (c *client) list(ctx context.Context, repo string) ([]entry, error) {
	tree := below(c.endpoint, "api/models/"+repo+"/tree/main")
	tree.RawQuery = "recursive=true"
	var found []entry
	for range maxPages {
		var page []struct {
			Type, Path string
			Size       int64
			LFS        *struct{ OID string }
		}
		more := ""
		err := c.persist(ctx, func() (bool, *failure) {
			a, f := c.get(ctx, tree, nil)
			if f != nil {
				return false, f
			}
			defer a.Body.Close()
			if a.StatusCode != 200 {
				return false, c.statusFailure(a.Response)
			}
			data, err := io.ReadAll(io.LimitReader(a.Body, maxPage+1))
			if err != nil {
				return false, c.networkFailure(ctx, tree, err)
			}
			if len(data) > maxPage {
				err = errors.New("too long")
			} else {
				err = json.Unmarshal(data, &page)
			}
			if err != nil {
				return false, &failure{err: errs.Errorf(errs.InvalidFormat, "%s: the list of files: %w", tree.Host, err)}
			}
			if m := nextPage.FindStringSubmatch(a.Header.Get("Link")); m != nil {
				more = m[1]
			}
			return false, nil
		})
		if err != nil {
			return nil, err
		}
		for _, item := range page {
			if item.Type != "file" || !isGGUF(item.Path) || !safePath(item.Path) || item.Size < 0 {
				continue
			}
			e := entry{path: item.Path, size: item.Size}
			if item.LFS != nil && isSHA256(item.LFS.OID) {
				e.sha256 = item.LFS.OID
			}
			found = append(found, e)
		}
		if more == "" {
			return found, nil
		}
		// The cursor is all that changes from page to page. Whatever host the link names, this one is asked.
		next, err := url.Parse(more)
		if err != nil || next.RawQuery == tree.RawQuery {
			return nil, errs.Errorf(errs.InvalidFormat, "%s: the list of files: no next page at %.200q", tree.Host, more)
		}
		tree.RawQuery = next.RawQuery
	}
	return nil, errs.Errorf(errs.LimitExceeded, "%s: more than %d pages of files", repo, maxPages)
}
