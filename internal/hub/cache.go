package hub

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/realm-ai/realm/internal/errs"
	"github.com/realm-ai/realm/internal/store"
)

// The cache of models is the folder `models` of the cache folder. A model has a folder there:
//
//	models/STEM-KEY.lock             locked by who downloads or removes it
//	models/STEM-KEY/model.json       the record: which files are the model, and what they are
//	models/STEM-KEY/VERSION/*.gguf   these files, read-only
//	models/STEM-KEY/part/            a download under way, or what an interrupted one left
//
// KEY is of the model's name, VERSION of the contents. The folder `part` becomes VERSION when all files are there and
// were checked, and the record is replaced after that: there is no moment in which a reader could find half a model, or
// parts of two.

const (
	recordFile = "model.json"
	stateFile  = "state.json"
	partFolder = "part"
	lockSuffix = ".lock"
)

// record is what is in the cache of one model. In the folder `part` it is the state of the download.
type record struct {
	Name   string      `json:"name"`
	Asked  []string    `json:"asked,omitempty"`  // names that the hub said are this one
	Folder string      `json:"folder,omitempty"` // VERSION
	Files  []*keptFile `json:"files"`
	Pulled time.Time   `json:"pulled,omitzero"`
}

// keptFile is a file of a model.
type keptFile struct {
	File string `json:"file"`
	fetched
}

// fetched is what is known of a file that came, or of the first bytes of one.
type fetched struct {
	URL      string `json:"url"` // that ETag and Modified are of
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
	Size     int64  `json:"size"` // -1 if not known
	SHA256   string `json:"sha256,omitempty"`
	Done     bool   `json:"done,omitempty"` // it is all there, and SHA256 was computed from it
}

// partSuffix ends the names of files that are not all there.
const partSuffix = ".part"

// Model is a model in the cache, or what an interrupted download left of one.
type Model struct {
	Name   string
	Path   string // of the first file; empty for an interrupted download
	Bytes  int64  // on the disk
	Files  int
	SHA256 string // of the file, empty where there are several
	Pulled time.Time

	folder string
	record *record
}

func modelsDir() (string, error) {
	dir, err := store.CacheDir()
	return filepath.Join(dir, "models"), err
}

// folderOf is the name of a model's folder: something to recognise, and something to be unique.
func folderOf(n name) string {
	file := n.file
	if n.url != nil {
		file = n.url.Path
	}
	readable := strings.Map(func(r rune) rune {
		if r >= 0x80 || !safeFile(string(r)) && r != '.' {
			return '_'
		}
		return r
	}, stem(file))
	sum := sha256.Sum256([]byte(n.String()))
	return readable[:min(len(readable), 80)] + "-" + hex.EncodeToString(sum[:6])
}

// readRecord reads a record and checks that it can be believed.
func readRecord(file string) (*record, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	for _, f := range r.Files {
		if f == nil || !safeFile(f.File) {
			return nil, errors.New("not a file's name")
		}
	}
	if r.Folder != "" && !safeFile(r.Folder) {
		return nil, errors.New("not a folder's name")
	}
	return &r, nil
}

// write replaces a record as a whole.
func (r *record) write(file string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return errs.Errorf(errs.Internal, "%w", err)
	}
	f, err := os.Create(file + ".new")
	if err == nil {
		_, err = f.Write(data)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return errs.Errorf(errs.IO, "%w", err)
	}
	return nil
}

// complete returns the path of the first file, if all files are there.
func (r *record) complete(folder string) (path string, ok bool) {
	for _, f := range r.Files {
		info, err := os.Stat(filepath.Join(folder, r.Folder, f.File))
		if err != nil || !f.Done || info.Size() != f.Size {
			return "", false
		}
	}
	if len(r.Files) == 0 || r.Folder == "" {
		return "", false
	}
	return filepath.Join(folder, r.Folder, r.Files[0].File), true
}

// inspect describes what a folder has, nil for nothing.
func inspect(folder string) *Model {
	if r, err := readRecord(filepath.Join(folder, recordFile)); err == nil {
		if path, ok := r.complete(folder); ok {
			m := &Model{Name: r.Name, Path: path, Files: len(r.Files), Pulled: r.Pulled, folder: folder, record: r}
			for _, f := range r.Files {
				m.Bytes += f.Size
			}
			if len(r.Files) == 1 {
				m.SHA256 = r.Files[0].SHA256
			}
			return m
		}
	}
	part := filepath.Join(folder, partFolder)
	if r, err := readRecord(filepath.Join(part, stateFile)); err == nil {
		return &Model{Name: r.Name, Bytes: folderBytes(part), Files: len(r.Files), folder: folder, record: r}
	}
	return nil
}

// bytesOf is the size of a file, 0 if there is none.
func bytesOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// folderBytes is the size of the GGUF files in a folder, and of what there is of others.
func folderBytes(folder string) int64 {
	entries, _ := os.ReadDir(folder)
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && isGGUF(strings.TrimSuffix(e.Name(), partSuffix)) {
			total += info.Size()
		}
	}
	return total
}

// Models lists the cache, by name.
func Models() ([]Model, error) {
	dir, err := modelsDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errs.Errorf(errs.IO, "hub: %w", err)
	}
	var all []Model
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if m := inspect(filepath.Join(dir, e.Name())); m != nil {
			all = append(all, *m)
		}
	}
	slices.SortFunc(all, func(a, b Model) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// find returns the models that a name stands for: the one that it is known to stand for, else those of the repository that
// it could stand for.
func find(n name, all []Model) (known *Model, likely []*Model) {
	text := n.String()
	for i := range all {
		m := &all[i]
		if m.Name == text || slices.Contains(m.record.Asked, text) {
			// A name that came to stand for another file stands for the one that was pulled last.
			if known == nil || m.Path != "" && (known.Path == "" || m.Pulled.After(known.Pulled)) {
				known = m
			}
		}
		rest, ok := strings.CutPrefix(m.Name, "hf:"+n.repo+"/")
		if ok && n.repo != "" && n.file == "" && (n.quant == "" || hasWord(strings.ToUpper(rest), n.quant)) {
			likely = append(likely, m)
		}
	}
	return known, likely
}

// Remove removes a model, or what an interrupted download left of it, and returns what it was. It is an errs.NotFound
// where there is none, an errs.Conflict where the name stands for several, or while the model is being downloaded. Who has
// the model open keeps it.
func Remove(text string) (*Model, error) {
	n, err := parseHere(text)
	if err != nil {
		return nil, err
	}
	m, err := remove(n)
	if err != nil {
		return nil, n.wrap(err)
	}
	return m, nil
}

func remove(n name) (*Model, error) {
	dir, err := modelsDir()
	if err != nil {
		return nil, err
	}
	all, err := Models()
	if err != nil {
		return nil, err
	}
	m, likely := find(n, all)
	switch {
	case m != nil:
	case len(likely) == 1:
		m = likely[0]
	case len(likely) > 1:
		return nil, errs.Errorf(errs.Conflict, "could be %s", names(likely))
	default:
		return nil, errs.Errorf(errs.NotFound, "not among the models in %s", dir)
	}
	l, err := tryLock(m.folder + lockSuffix)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, errs.Errorf(errs.Conflict, "%s is being downloaded", m.Name)
	}
	defer l.release(true)
	// First that by which others find it.
	err = os.Remove(filepath.Join(m.folder, recordFile))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.RemoveAll(m.folder)
	}
	if err != nil {
		return nil, errs.Errorf(errs.IO, "%w", err)
	}
	return m, nil
}

func names(models []*Model) string {
	var all []string
	for _, m := range models {
		all = append(all, m.Name)
	}
	return strings.Join(all, ", ")
}
