package hub

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
)

// A name is one of
//
//	hf:ORG/REPO                 the repository's file in Q4_K_M, else in Q8_0, else its first
//	hf:ORG/REPO:QUANT           the one in that quantization
//	hf:ORG/REPO/PATH.gguf       a certain file
//	https://HOST/PATH.gguf      a file of any server; http too
//	file:PATH, file:///PATH     a file on this machine, as is every other text
//
// Of a split model, any part names all of them.
type name struct {
	local string // path of a file on this machine; what follows is empty then

	repo  string // ORG/REPO on the hub
	file  string // path in the repository, of the first part; empty for what quant says
	quant string // in capitals; empty for the default

	url *url.URL // of the first part, on another server
}

// parseName reads a name. endpoint is the hub's address: a link to a file there is a name of that file.
func parseName(text string, endpoint *url.URL) (name, error) {
	bad := func(why string) (name, error) {
		return name{}, errs.Errorf(errs.InvalidArgument, "hub: %s: %s", text, why)
	}
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "hf":
		n, why := parseHub(strings.TrimPrefix(rest, "//"))
		if why != "" {
			return bad(why)
		}
		return n, nil
	case "https", "http":
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.User != nil || strings.HasSuffix(u.Path, "/") {
			return bad("want https://HOST/PATH.gguf")
		}
		if u.Host == endpoint.Host && u.RawQuery == "" {
			// As the pages of the hub have it: ORG/REPO/blob/main/PATH, or resolve where the link downloads.
			parts := strings.SplitN(strings.TrimPrefix(u.Path, endpoint.Path+"/"), "/", 5)
			if len(parts) == 5 && (parts[2] == "blob" || parts[2] == "resolve") && parts[3] == "main" {
				if n, why := parseHub(parts[0] + "/" + parts[1] + "/" + parts[4]); why == "" {
					return n, nil
				}
			}
		}
		u.Fragment = ""
		if p := firstPart(u.Path); p != u.Path {
			u.Path, u.RawPath = p, ""
		}
		return name{url: u}, nil
	case "file":
		if after, ok := strings.CutPrefix(rest, "//"); ok {
			after = strings.TrimPrefix(after, "localhost")
			p, err := url.PathUnescape(after)
			if err != nil || !strings.HasPrefix(p, "/") {
				return bad("want file:///PATH")
			}
			if filepath.Separator == '\\' {
				p = strings.TrimPrefix(p, "/") // file:///C:/PATH
			}
			return name{local: filepath.FromSlash(p)}, nil
		}
		if rest == "" {
			return bad("want file:PATH")
		}
		return name{local: rest}, nil
	}
	if text == "" {
		return bad("want the name of a model")
	}
	return name{local: text}, nil
}

const (
	digits  = "0123456789"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// isWord reports whether text is 1 to most bytes, all of them in set. A regular expression that counts so far is hundreds
// of objects with pointers, which every collection of garbage would have to look at for as long as the program runs.
func isWord(text string, most int, set string) bool {
	return text != "" && len(text) <= most && strings.Trim(text, set) == ""
}

// isRepoWord reports whether text can be an organization's or a repository's name.
func isRepoWord(text string) bool {
	return isWord(text, 96, digits+letters+"_.-") && text[0] != '.' && text[0] != '-' && !strings.Contains(text, "..")
}

// parseHub reads what stands behind "hf:", or says why it cannot.
func parseHub(text string) (n name, why string) {
	const want = "want hf:ORG/REPO, hf:ORG/REPO:QUANT or hf:ORG/REPO/FILE.gguf"
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 2 {
		return n, want
	}
	if len(parts) == 2 {
		var given bool
		if parts[1], n.quant, given = strings.Cut(parts[1], ":"); given && !isWord(n.quant, 32, digits+letters+"_-") {
			return n, want
		}
		n.quant = strings.ToUpper(n.quant)
	} else {
		if !safePath(parts[2]) || !isGGUF(parts[2]) {
			return n, want
		}
		n.file = firstPart(parts[2])
	}
	for _, word := range parts[:2] {
		if !isRepoWord(word) {
			return n, want
		}
	}
	n.repo = parts[0] + "/" + parts[1]
	return n, ""
}

// String is the name in its one form, by which the cache knows it.
func (n name) String() string {
	switch {
	case n.local != "":
		return n.local
	case n.url != nil:
		return n.url.String()
	case n.file != "":
		return "hf:" + n.repo + "/" + n.file
	case n.quant != "":
		return "hf:" + n.repo + ":" + n.quant
	}
	return "hf:" + n.repo
}

// wrap adds to an error which model it is about.
func (n name) wrap(err error) error { return errs.Wrap(err, "hub: "+n.String()) }

// safePath reports whether a path of a repository can do no harm as a path here: repositories are anybody's.
func safePath(p string) bool {
	if len(p) > 512 || path.Clean(p) != p || strings.HasPrefix(p, "/") {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if strings.HasPrefix(part, ".") || !safeFile(part) {
			return false
		}
	}
	return true
}

// safeFile reports whether a text can be a file's name on every system.
func safeFile(name string) bool {
	return name != "" && len(name) <= 200 && !strings.HasPrefix(name, ".") &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) })
}

func isGGUF(p string) bool { return strings.HasSuffix(strings.ToLower(p), ".gguf") }

// defaultEndpoint is the Hugging Face hub, whose HTTP API others have too. HF_ENDPOINT names another.
const defaultEndpoint = "https://huggingface.co"

// hubAddress is where the hub is.
func hubAddress() (*url.URL, error) { return address("HF_ENDPOINT", defaultEndpoint) }

// address reads a server's address from the environment.
func address(variable, fallback string) (*url.URL, error) {
	text := os.Getenv(variable)
	if text == "" {
		text = fallback
	}
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errs.Errorf(errs.InvalidArgument, "hub: %s: want the address of a server, such as %s", variable, defaultEndpoint)
	}
	return u, nil
}
