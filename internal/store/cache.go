package store

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

// CacheDir is the folder for what Realm remembers between runs: $REALM_CACHE, or `realm` in the user's cache folder. It is
// an errs.NotFound where REALM_CACHE is "off".
func CacheDir() (string, error) {
	switch dir := os.Getenv("REALM_CACHE"); dir {
	case "":
	case "off":
		return "", errs.Errorf(errs.NotFound, "store: cache folder: REALM_CACHE is off")
	default:
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", errs.Errorf(errs.IO, "store: cache folder: %w", err)
	}
	return filepath.Join(dir, "realm"), nil
}

const imageSuffix = ".packed"

// imagesDir is the folder of images.
func imagesDir() (string, error) {
	dir, err := CacheDir()
	return filepath.Join(dir, "packed"), err
}

// Image is a file of packed weights in the cache folder.
type Image struct {
	Name   string // of the model
	Digest Digest // of the model
	Bytes  int64
	Used   time.Time // when it was last opened or made

	file string // its name in the folder
}

// Images lists the images, those used last first.
func Images() ([]Image, error) {
	dir, err := imagesDir()
	if err != nil {
		return nil, err
	}
	images, err := listImages(dir)
	if err != nil {
		return nil, errs.Errorf(errs.IO, "store: cache folder: %w", err)
	}
	return images, nil
}

func listImages(dir string) ([]Image, error) {
	files, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var images []Image
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), imageSuffix) {
			continue
		}
		info, err := f.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // it was removed meanwhile
		}
		if d, name, ok := readImageName(filepath.Join(dir, f.Name())); ok {
			images = append(images, Image{Name: name, Digest: d, Bytes: info.Size(), Used: info.ModTime(), file: f.Name()})
		}
	}
	slices.SortStableFunc(images, func(a, b Image) int { return b.Used.Compare(a.Used) })
	return images, nil
}

// RemoveImages removes the images of the model whose digest begins with prefix, in hexadecimal, and returns them. It is an
// errs.NotFound where there is none, an errs.Conflict where several models match. A process that has an image open keeps it.
func RemoveImages(prefix string) ([]Image, error) {
	all, err := Images()
	if err != nil {
		return nil, err
	}
	prefix = strings.ToLower(prefix)
	matching := slices.DeleteFunc(all, func(i Image) bool { return !strings.HasPrefix(i.Digest.String(), prefix) })
	if prefix == "" || len(matching) == 0 {
		return nil, errs.Errorf(errs.NotFound, "store: cache: no packed weights of a model with digest %q", prefix)
	}
	for _, i := range matching {
		if i.Digest != matching[0].Digest {
			return nil, errs.Errorf(errs.Conflict, "store: cache: digest %q: %s and %s begin so", prefix, matching[0].Digest, i.Digest)
		}
	}
	return matching, removeImages(matching)
}

// ClearCache removes all images, what is left of unfinished ones, and what is remembered of digests. It returns the images.
func ClearCache() ([]Image, error) {
	all, err := Images()
	if err == nil {
		err = removeImages(all)
	}
	if err != nil {
		return nil, err
	}
	if dir, err := imagesDir(); err == nil {
		sweep(dir)
	}
	name, err := digestsFile()
	if err != nil {
		return nil, err
	}
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return nil, errs.Errorf(errs.IO, "store: cache: %w", err)
	}
	return all, nil
}

func removeImages(images []Image) error {
	dir, err := imagesDir()
	if err != nil {
		return err
	}
	for _, i := range images {
		if err := os.Remove(filepath.Join(dir, i.file)); err != nil && !os.IsNotExist(err) {
			return errs.Errorf(errs.IO, "store: cache: %w", err)
		}
	}
	return nil
}

// evict removes the images that were not used for the longest time until the others take no more than limit. It spares the
// file keep.
func evict(dir string, limit int64, keep string) {
	sweep(dir)
	images, _ := listImages(dir)
	for _, i := range images {
		if limit -= i.Bytes; limit < 0 && i.file != keep {
			_ = os.Remove(filepath.Join(dir, i.file))
			limit += i.Bytes
		}
	}
}
