package hub

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/realm-ai/realm/internal/errs"
)

// maxParts is how many parts of a split model are fetched: as many as gguf opens.
const maxParts = 1024

// splitName cuts the name of a part in what is before its end, its number and how many parts there are, all as they are
// written, or reports false. Parts end as llama.cpp's gguf-split writes it: -00001-of-00003.gguf.
func splitName(p string) (before, number, count string, ok bool) {
	const of, extension, digits = "-of-", ".gguf", 5
	rest, ok := strings.CutSuffix(p, extension)
	before, end, length := rest, "", 1+digits+len(of)+digits
	if i := len(rest) - length; ok && i >= 0 {
		before, end = rest[:i], rest[i:]
	}
	if end == "" || end[0] != '-' || end[1+digits:1+digits+len(of)] != of {
		return "", "", "", false
	}
	number, count = end[1:1+digits], end[length-digits:]
	isNumber := func(text string) bool { return strings.Trim(text, "0123456789") == "" }
	return before, number, count, isNumber(number) && isNumber(count)
}

// splitParts is how many parts a model has, 1 for one that is not split.
func splitParts(p string) int {
	_, _, count, ok := splitName(p)
	if !ok {
		return 1
	}
	n, _ := strconv.Atoi(count)
	return max(n, 1)
}

// part is the name of part i, counted from 1, of the model that p is a part of.
func part(p string, i int) string {
	before, _, count, ok := splitName(p)
	if !ok {
		return p
	}
	return fmt.Sprintf("%s-%05d-of-%s.gguf", before, i, count)
}

func firstPart(p string) string { return part(p, 1) }

// stem is a file's name without what every part of every model has.
func stem(p string) string {
	base := path.Base(p)
	if before, _, _, ok := splitName(base); ok {
		return before
	}
	return base[:len(base)-len(path.Ext(base))]
}

// entry is a file of a repository.
type entry struct {
	path   string
	size   int64
	sha256 string // in hexadecimal; empty where the hub gives none
}

// models picks the models of a repository: the first parts of its GGUF files but for what only goes with a model, such as
// the projector of a vision model or an importance matrix.
func models(entries []entry) []entry {
	var found []entry
	for _, e := range entries {
		base := strings.ToLower(path.Base(e.path))
		if isGGUF(e.path) && firstPart(e.path) == e.path && !strings.Contains(base, "mmproj") && !strings.Contains(base, "imatrix") {
			found = append(found, e)
		}
	}
	// The model itself before variants of it, which lie deeper and have longer names.
	slices.SortFunc(found, func(a, b entry) int {
		return cmp.Or(cmp.Compare(strings.Count(a.path, "/"), strings.Count(b.path, "/")),
			cmp.Compare(len(a.path), len(b.path)), cmp.Compare(a.path, b.path))
	})
	return found
}

// defaults are the quantizations that a name without one stands for, as in llama.cpp.
var defaults = []string{"Q4_K_M", "Q8_0"}

// choose picks the file that a name of a repository stands for, and its other parts.
func choose(n name, entries []entry) ([]entry, error) {
	found := models(entries)
	notFound := func(what string) error {
		if len(found) == 0 {
			return errs.Errorf(errs.NotFound, "the repository has no GGUF file")
		}
		return errs.Errorf(errs.NotFound, "no %s in the repository; it has %s", what, closest(n, found))
	}
	if n.file != "" {
		// Files that are no models may be named too, and are what is asked for then.
		if i := slices.IndexFunc(entries, func(e entry) bool { return e.path == n.file }); i >= 0 {
			return parts(entries[i], entries)
		}
		return nil, notFound("such file")
	}
	if first, ok := pick(n.quant, found); ok {
		return parts(first, entries)
	}
	return nil, notFound("file in " + n.quant)
}

// pick returns the model in a quantization, or without one in the first of the defaults that there is, or else the first.
func pick(quant string, found []entry) (first entry, ok bool) {
	wanted := []string{quant}
	if quant == "" {
		wanted = defaults
	}
	for _, quant := range wanted {
		i := slices.IndexFunc(found, func(e entry) bool { return hasWord(strings.ToUpper(e.path), quant) })
		if i >= 0 {
			return found[i], true
		}
	}
	if quant == "" && len(found) > 0 {
		return found[0], true
	}
	return first, false
}

// parts returns a file, or all parts of the model of which it is the first.
func parts(first entry, entries []entry) ([]entry, error) {
	count := splitParts(first.path)
	if count > maxParts {
		return nil, errs.Errorf(errs.LimitExceeded, "%d parts: more than %d", count, maxParts)
	}
	byPath := map[string]entry{}
	for _, e := range entries {
		byPath[e.path] = e
	}
	all := []entry{first}
	for i := 2; i <= count; i++ {
		e, ok := byPath[part(first.path, i)]
		if !ok {
			return nil, errs.Errorf(errs.NotFound, "the repository lacks %s", part(first.path, i))
		}
		all = append(all, e)
	}
	return all, nil
}

// hasWord reports whether word stands in text between marks that end a word. An underscore is none: Q4_K is not in Q4_K_M.
func hasWord(text, word string) bool {
	mark := func(s string, i int) bool { return i < 0 || i >= len(s) || strings.IndexByte("-./", s[i]) >= 0 }
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		at += i
		if mark(text, at-1) && mark(text, at+len(word)) {
			return true
		}
		at++
	}
}

// closest lists what a repository has, those most like the name first.
func closest(n name, found []entry) string {
	const most = 8
	want := cmp.Or(n.file, n.quant)
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(a, b entry) int { return cmp.Compare(likeness(b.path, want), likeness(a.path, want)) })
	var names []string
	for _, e := range found[:min(most, len(found))] {
		names = append(names, e.path)
	}
	text := strings.Join(names, ", ")
	if more := len(found) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// likeness counts the pairs of letters that two texts have in common.
func likeness(a, b string) int {
	pairs := map[string]int{}
	b = strings.ToUpper(b)
	for i := range len(b) - 1 {
		pairs[b[i:i+2]]++
	}
	a = strings.ToUpper(a)
	n := 0
	for i := range len(a) - 1 {
		if p := a[i : i+2]; pairs[p] > 0 {
			pairs[p]--
			n++
		}
	}
	return n
}
