package hub

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realm-ai/realm/internal/errs"
)

func TestNames(t *testing.T) {
	endpoint, _ := url.Parse("https://hub.test")
	for _, tc := range []struct{ text, want string }{ // want is the name's one form, or "" for an error
		{"hf:org/repo", "hf:org/repo"},
		{"hf://org/repo", "hf:org/repo"},
		{"hf:org/repo:q4_k_m", "hf:org/repo:Q4_K_M"},
		{"hf:org/repo/a/m.gguf", "hf:org/repo/a/m.gguf"},
		{"hf:org/repo/m-00003-of-00004.gguf", "hf:org/repo/m-00001-of-00004.gguf"},
		{"https://hub.test/org/repo/blob/main/a/m.gguf", "hf:org/repo/a/m.gguf"},
		{"https://hub.test/org/repo/resolve/main/m.gguf", "hf:org/repo/m.gguf"},
		{"https://hub.test/org/repo/resolve/v2/m.gguf", "https://hub.test/org/repo/resolve/v2/m.gguf"},
		{"https://h.test/m.gguf?a=b#c", "https://h.test/m.gguf?a=b"},
		{"https://h.test/a%2Fm.gguf", "https://h.test/a%2Fm.gguf"},
		{"https://h.test/m-00002-of-00002.gguf", "https://h.test/m-00001-of-00002.gguf"},
		{"file:a/m.gguf", "a/m.gguf"},
		{"file:///a%20b/m.gguf", "/a b/m.gguf"},
		{"file://localhost/m.gguf", "/m.gguf"},
		{"m.gguf", "m.gguf"},
		{"./hf:x", "./hf:x"},
		{`C:\m.gguf`, `C:\m.gguf`},
		{"", ""},
		{"file:", ""},
		{"file://host/m.gguf", ""},
		{"hf:", ""},
		{"hf:org", ""},
		{"hf:org/repo:", ""},
		{"hf:org/repo:a/b", ""},
		{"hf:org/repo:" + strings.Repeat("q", 33), ""},
		{"hf:.org/repo", ""},
		{"hf:org/-repo", ""},
		{"hf:or g/repo", ""},
		{"hf:org/rep\u00f6", ""},
		{"hf:org/" + strings.Repeat("r", 97), ""},
		{"hf:org/../x", ""},
		{"hf:org/..", ""},
		{"hf:org/repo/", ""},
		{"hf:org/repo/m.bin", ""},
		{"hf:org/repo/../m.gguf", ""},
		{"hf:org/repo//m.gguf", ""},
		{"hf:org/repo/.git/m.gguf", ""},
		{`hf:org/repo/a\m.gguf`, ""},
		{"hf:org/repo/m.gguf:Q8_0", ""},
		{"https:", ""},
		{"https://user:pass@h.test/m.gguf", ""},
		{"https://h.test/", ""},
	} {
		n, err := parseName(tc.text, endpoint)
		if tc.want == "" {
			if !errors.Is(err, errs.InvalidArgument) {
				t.Errorf("%q: got %q, %v, want InvalidArgument", tc.text, n, err)
			}
			continue
		}
		if got := filepath.ToSlash(n.String()); err != nil || got != filepath.ToSlash(tc.want) {
			t.Errorf("%q: got %q, %v, want %q", tc.text, got, err, tc.want)
		}
	}
}

func TestChoose(t *testing.T) {
	list := func(paths ...string) (entries []entry) {
		for _, p := range paths {
			entries = append(entries, entry{path: p})
		}
		return entries
	}
	full := list("mmproj-m-f16.gguf", "m.imatrix.gguf", "m-IQ4_XS.gguf", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "UD/m-UD-Q4_K_XL.gguf",
		"big/m-F16-00002-of-00002.gguf", "big/m-F16-00001-of-00002.gguf", "lone-00001-of-00002.gguf", "m.v2-q5_0.gguf")
	for _, tc := range []struct {
		name    string
		entries []entry
		want    string // paths, or what the error has
		code    error
	}{
		{"hf:o/r", full, "m-Q4_K_M.gguf", nil},
		{"hf:o/r", list("m.Q8_0.gguf", "m.Q2_K.gguf"), "m.Q8_0.gguf", nil},
		{"hf:o/r", list("mm.Q2_K.gguf", "m.Q2_K.gguf"), "m.Q2_K.gguf", nil},
		{"hf:o/r", list("mmproj.gguf"), "no GGUF file", errs.NotFound},
		{"hf:o/r:q8_0", full, "m-Q8_0.gguf", nil},
		{"hf:o/r:q5_0", full, "m.v2-q5_0.gguf", nil},
		{"hf:o/r:ud-q4_k_xl", full, "UD/m-UD-Q4_K_XL.gguf", nil},
		{"hf:o/r:F16", full, "big/m-F16-00001-of-00002.gguf big/m-F16-00002-of-00002.gguf", nil},
		{"hf:o/r:Q4_K", full, "it has m-Q4_K_M.gguf, m-Q4_K_S.gguf", errs.NotFound}, // no prefix of another
		{"hf:o/r/m-Q4_K_S.gguf", full, "m-Q4_K_S.gguf", nil},
		{"hf:o/r/m.imatrix.gguf", full, "m.imatrix.gguf", nil},
		{"hf:o/r/m-Q8_1.gguf", full, "it has m-Q8_0.gguf", errs.NotFound},
		{"hf:o/r/lone-00001-of-00002.gguf", full, "lacks lone-00002-of-00002.gguf", errs.NotFound},
	} {
		n, err := parseName(tc.name, &url.URL{})
		if err != nil {
			t.Fatal(err)
		}
		chosen, err := choose(n, tc.entries)
		var paths []string
		for _, e := range chosen {
			paths = append(paths, e.path)
		}
		switch got := strings.Join(paths, " "); {
		case tc.code == nil && (err != nil || got != tc.want):
			t.Errorf("%s: got %q, %v, want %q", tc.name, got, err, tc.want)
		case tc.code != nil && (!errors.Is(err, tc.code) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: got %q, %v, want %v with %q", tc.name, got, err, tc.code, tc.want)
		}
	}
}

// TestPull goes through the life of a model in the cache.
func TestPull(t *testing.T) {
	dir := newCache(t)
	q4, q8 := makeModel(t, 1, 1<<20, nil), makeModel(t, 2, 1<<20, nil)
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": q4, "m-Q8_0.gguf": q8})
	c := h.client()
	var last, total int64
	path, err := c.pull(t.Context(), "hf:org/repo", Options{Progress: func(done, all int64) {
		if last == 0 && total == 0 && done != 0 {
			t.Errorf("the first progress is %d bytes", done)
		}
		if done < last {
			t.Errorf("progress goes back from %d to %d", last, done)
		}
		last, total = done, all
	}})
	if err != nil {
		t.Fatal(err)
	}
	if size := int64(len(q4)); last != size || total != size {
		t.Errorf("progress ended at %d of %d bytes, want %d", last, total, size)
	}
	wantFile(t, path, q4)
	if filepath.Base(path) != "m-Q4_K_M.gguf" {
		t.Errorf("the file is %s", path)
	}
	if info, _ := os.Stat(path); info.Mode().Perm()&0o222 != 0 {
		t.Errorf("the file can be written to: %v", info.Mode())
	}
	// Known names ask nobody.
	sent, requests := h.counts()
	for _, name := range []string{"hf:org/repo", "hf:org/repo/m-Q4_K_M.gguf"} {
		if again, err := pull(c, name); err != nil || again != path {
			t.Errorf("%s again: %s, %v", name, again, err)
		}
	}
	if _, now := h.counts(); now != requests {
		t.Errorf("a model in the cache made %d requests", now-requests)
	}
	// Another name of the same file asks for the list, once.
	for range 2 {
		if again, err := pull(c, "hf:org/repo:q4_k_m"); err != nil || again != path {
			t.Errorf("by its quantization: %s, %v", again, err)
		}
	}
	if nowSent, now := h.counts(); now != requests+1 || nowSent != sent {
		t.Errorf("another name made %d requests and %d bytes", now-requests, nowSent-sent)
	}
	// Update finds nothing new, then a new file.
	if again, err := c.pull(t.Context(), "hf:org/repo", Options{Update: true}); err != nil || again != path {
		t.Errorf("update: %s, %v", again, err)
	}
	if nowSent, _ := h.counts(); nowSent != sent {
		t.Errorf("an update of what is current fetched %d bytes", nowSent-sent)
	}
	newer := makeModel(t, 3, 1<<20, nil)
	h.put("m-Q4_K_M.gguf", newer)
	if again, err := pull(c, "hf:org/repo"); err != nil || again != path {
		t.Errorf("without Update: %s, %v", again, err)
	}
	updated, err := c.pull(t.Context(), "hf:org/repo", Options{Update: true})
	if err != nil || updated == path {
		t.Fatalf("update: %s, %v", updated, err)
	}
	wantFile(t, updated, newer)
	if _, err := os.Stat(path); err == nil {
		t.Errorf("the old version is still there")
	}
	if again, err := pull(c, "hf:org/repo:Q4_K_M"); err != nil || again != updated {
		t.Errorf("a name from before the update: %s, %v", again, err)
	}
	// A file that somebody damaged is fetched again.
	if err := os.Truncate(updated, 100); err != nil && os.Chmod(updated, 0o644) == nil {
		err = os.Truncate(updated, 100)
		if err != nil {
			t.Fatal(err)
		}
	}
	if updated, err = pull(c, "hf:org/repo"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, updated, newer)

	if _, err := pull(c, "hf:org/repo:Q8_0"); err != nil {
		t.Fatal(err)
	}
	models, err := Models()
	if err != nil || len(models) != 2 || models[0].Name != "hf:org/repo/m-Q4_K_M.gguf" || models[0].Path != updated ||
		models[0].Bytes != int64(len(newer)) || models[0].SHA256 != digest(newer) || models[1].Name != "hf:org/repo/m-Q8_0.gguf" {
		t.Errorf("models: %+v, %v", models, err)
	}
	wantSound(t, dir, newer, q8)
	if m, err := Remove("hf:org/repo:Q8_0"); err != nil || m.Name != "hf:org/repo/m-Q8_0.gguf" {
		t.Errorf("remove: %+v, %v", m, err)
	}
	if m, err := Remove("hf:org/repo"); err != nil || m.Name != "hf:org/repo/m-Q4_K_M.gguf" {
		t.Errorf("remove: %+v, %v", m, err)
	}
	if _, err := Remove("hf:org/repo"); !errors.Is(err, errs.NotFound) {
		t.Errorf("remove again: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the folder: %v", left)
	}
}

// TestNameMoves has a repository get a file that a name stands for rather than the one before.
func TestNameMoves(t *testing.T) {
	newCache(t)
	q4, q8 := makeModel(t, 1, 4096, nil), makeModel(t, 2, 4096, nil)
	h := newHub(t, map[string][]byte{"m-Q8_0.gguf": q8})
	c := h.client()
	if _, err := pull(c, "hf:org/repo"); err != nil {
		t.Fatal(err)
	}
	h.put("m-Q4_K_M.gguf", q4)
	want, err := c.pull(t.Context(), "hf:org/repo", Options{Update: true})
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, want, q4)
	if path, err := pull(c, "hf:org/repo"); err != nil || path != want {
		t.Errorf("%s, %v, want %s", path, err, want)
	}
}

func TestLocal(t *testing.T) {
	newCache(t)
	for name, want := range map[string]string{"file:m.gguf": "m.gguf", "a/m.gguf": "a/m.gguf"} {
		if path, err := Pull(t.Context(), name, Options{Offline: true}); err != nil || path != want {
			t.Errorf("%s: %s, %v", name, path, err)
		}
	}
}

func TestOffline(t *testing.T) {
	newCache(t)
	data := makeModel(t, 1, 4096, nil)
	h := newHub(t, map[string][]byte{"m-Q5_0.gguf": data, "m-Q8_0.gguf": data})
	t.Setenv("HF_ENDPOINT", h.hub.URL)
	want, err := Pull(t.Context(), "hf:org/repo:Q5_0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, requests := h.counts()
	t.Setenv("REALM_OFFLINE", "1")
	// What the hub would say of the name is not known; this is the only file here.
	for _, name := range []string{"hf:org/repo:Q5_0", "hf:org/repo/m-Q5_0.gguf", "hf:org/repo"} {
		if path, err := Pull(t.Context(), name, Options{Update: true}); err != nil || path != want {
			t.Errorf("%s: %s, %v", name, path, err)
		}
	}
	_, err = Pull(t.Context(), "hf:org/repo:Q8_0", Options{})
	if !errors.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "realm pull hf:org/repo:Q8_0") {
		t.Errorf("not in the cache: %v", err)
	}
	if _, now := h.counts(); now != requests {
		t.Errorf("%d requests", now-requests)
	}
	t.Setenv("REALM_OFFLINE", "0")
	if _, err := Pull(t.Context(), "hf:org/repo:Q8_0", Options{}); err != nil {
		t.Error(err)
	}
	t.Setenv("REALM_CACHE", "off")
	if _, err := Pull(t.Context(), "hf:org/repo", Options{}); !errors.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "REALM_CACHE") {
		t.Errorf("without a cache: %v", err)
	}
}

// TestSplit fetches all parts, whichever is named, and resumes in the second.
func TestSplit(t *testing.T) {
	dir := newCache(t)
	split := map[string]any{"split.no": uint16(0), "split.count": uint16(2), "split.tensors.count": int32(2)}
	one := makeModel(t, 1, 300<<10, split)
	split["split.no"] = uint16(1)
	two := makeModel(t, 2, 300<<10, split)
	h := newHub(t, map[string][]byte{"q/m-Q8_0-00001-of-00002.gguf": one, "q/m-Q8_0-00002-of-00002.gguf": two})
	c := h.client()
	ctx, cancel := context.WithCancel(t.Context())
	h.setFault(func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 2 {
			cancel()
			cut(w, r, two, 200<<10)
		}
		return false
	})
	if path, err := c.pull(ctx, "hf:org/repo", Options{}); !errors.Is(err, errs.Canceled) {
		t.Fatalf("canceled: %s, %v", path, err)
	}
	models, err := Models()
	if err != nil || len(models) != 1 || models[0].Path != "" || models[0].Bytes < int64(len(one)) || models[0].Files != 2 {
		t.Errorf("after half of it: %+v, %v", models, err)
	}
	wantSound(t, dir)
	path, err := pull(c, "hf:org/repo/q/m-Q8_0-00002-of-00002.gguf")
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, one)
	wantFile(t, strings.Replace(path, "00001-of", "00002-of", 1), two)
	if again, err := pull(c, "hf:org/repo:Q8_0"); err != nil || again != path {
		t.Errorf("again: %s, %v", again, err)
	}
	// From another server, which lacks the second part at first.
	u := h.bytes.URL + "/m-00002-of-00002.gguf"
	h.put("m-00001-of-00002.gguf", one)
	if _, err := pull(c, u); !errors.Is(err, errs.NotFound) {
		t.Errorf("a part is missing: %v", err)
	}
	h.put("m-00002-of-00002.gguf", two)
	if path, err = pull(c, u); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, one)
	// Parts of two models are none.
	split["split.no"] = uint16(0)
	h.put("x-00001-of-00002.gguf", one)
	h.put("x-00002-of-00002.gguf", one)
	if _, err = pull(c, h.bytes.URL+"/x-00001-of-00002.gguf"); !errors.Is(err, errs.InvalidFormat) {
		t.Errorf("the first part twice: %v", err)
	}
	wantSound(t, dir, one, two)
}

// TestUpdateOfURL asks with what the server said of the file.
func TestUpdateOfURL(t *testing.T) {
	newCache(t)
	h := newHub(t, map[string][]byte{"m.gguf": makeModel(t, 1, 4096, nil)})
	c := h.client()
	name := h.bytes.URL + "/m.gguf"
	path, err := pull(c, name)
	if err != nil {
		t.Fatal(err)
	}
	sent, _ := h.counts()
	if again, err := c.pull(t.Context(), name, Options{Update: true}); err != nil || again != path {
		t.Errorf("%s, %v", again, err)
	}
	if now, _ := h.counts(); now != sent {
		t.Errorf("what is current was fetched again: %d bytes", now-sent)
	}
	newer := makeModel(t, 2, 4096, nil)
	h.put("m.gguf", newer)
	if path, err = c.pull(t.Context(), name, Options{Update: true}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, newer)
	// The same bytes under another tag.
	h.setFault(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.Header().Set("ETag", `"other"`)
		return false
	})
	if again, err := c.pull(t.Context(), name, Options{Update: true}); err != nil || again != path {
		t.Errorf("%s, %v", again, err)
	}
	wantFile(t, path, newer)
	if left, _ := os.ReadDir(filepath.Dir(filepath.Dir(path))); len(left) != 2 {
		t.Errorf("left in the model's folder: %v", left)
	}
}

// TestPages reads a list of several pages, the link to the second of which names another host.
func TestPages(t *testing.T) {
	newCache(t)
	data := makeModel(t, 1, 4096, nil)
	h := newHub(t, map[string][]byte{"m-Q8_0.gguf": data})
	h.setFault(func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 && strings.Contains(r.URL.Path, "/tree/") && r.URL.Query().Get("cursor") == "" {
			w.Header().Set("Link", `<https://elsewhere.test/api/models/org/repo/tree/main?recursive=true&cursor=x>; rel="next"`)
			_, _ = w.Write([]byte("[]"))
			return true
		}
		return false
	})
	path, err := pull(h.client(), "hf:org/repo")
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, data)
	h.setFault(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.Header().Set("Link", `<`+h.hub.URL+r.URL.Path+`?recursive=true>; rel="next"`)
		return false
	})
	if _, err := pull(h.client(), "hf:org/repo:F16"); !errors.Is(err, errs.InvalidFormat) {
		t.Errorf("pages without an end: %v", err)
	}
	h.setFault(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		_, _ = w.Write(bytes.Repeat([]byte(" "), maxPage+1))
		return true
	})
	if _, err := pull(h.client(), "hf:org/repo:F16"); !errors.Is(err, errs.InvalidFormat) {
		t.Errorf("a page without an end: %v", err)
	}
}

func TestSplitName(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts int
		third string
	}{
		{"m-00001-of-00004.gguf", 4, "m-00003-of-00004.gguf"},
		{"a/b.c-00002-of-00009.gguf", 9, "a/b.c-00003-of-00009.gguf"},
		{"-00001-of-00002.gguf", 2, "-00003-of-00002.gguf"},
		{"m-00001-of-00000.gguf", 1, "m-00003-of-00000.gguf"},
		{"m.gguf", 1, "m.gguf"},
		{"00001-of-00002.gguf", 1, "00001-of-00002.gguf"},
		{"m_00001-of-00002.gguf", 1, "m_00001-of-00002.gguf"},
		{"m-0001-of-00002.gguf", 1, "m-0001-of-00002.gguf"},
		{"m-00001-of-0002x.gguf", 1, "m-00001-of-0002x.gguf"},
		{"m-00001-of-00002.GGUF", 1, "m-00001-of-00002.GGUF"},
		{"m-00001-of-00002", 1, "m-00001-of-00002"},
		{"", 1, ""},
	} {
		if n, third := splitParts(c.name), part(c.name, 3); n != c.parts || third != c.third {
			t.Errorf("%q: %d parts, the third %q, want %d and %q", c.name, n, third, c.parts, c.third)
		}
	}
}
