package realm

import (
	"time"

	"github.com/realm-ai/realm/internal/store"
)

// CachedModel is a model whose packed weights are in the cache folder: see Model.Prepare.
type CachedModel struct {
	Name     string // as its file says, else the name of the file
	Digest   string // SHA-256 of its file, in hexadecimal
	Bytes    int64  // of the cache folder
	LastUsed time.Time
}

// CacheDir returns the folder for what is remembered between runs, packed weights and digests of files: $REALM_CACHE, or
// `realm` in the user's cache folder. It is a CodeNotFound where REALM_CACHE is "off": nothing is remembered then.
func CacheDir() (string, error) { return store.CacheDir() }

// CachedModels lists the models whose packed weights are in the cache folder, those used last first.
func CachedModels() ([]CachedModel, error) { return cachedModels(store.Images()) }

// RemoveCached removes from the cache folder the packed weights of the model whose digest begins with prefix, and returns
// what it removed. It is a CodeNotFound where there is none, a CodeConflict where several models match. Whoever has the
// model open is not disturbed; the disk is free when the last of them has closed it.
func RemoveCached(prefix string) ([]CachedModel, error) {
	return cachedModels(store.RemoveImages(prefix))
}

// ClearCache removes all packed weights from the cache folder, and the digests, and returns what it removed.
func ClearCache() ([]CachedModel, error) { return cachedModels(store.ClearCache()) }

func cachedModels(images []store.Image, err error) ([]CachedModel, error) {
	if err != nil {
		return nil, err
	}
	var models []CachedModel
	for _, i := range images {
		models = append(models, CachedModel{Name: i.Name, Digest: i.Digest.String(), Bytes: i.Bytes, LastUsed: i.Used})
	}
	return models, nil
}
