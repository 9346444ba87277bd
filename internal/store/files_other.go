//go:build !(darwin || linux)

package store

import (
	"errors"
	"io/fs"
	"os"
)

// mapShared is not to be had here, so that there are no images.
func mapShared(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmap([]byte) error { return nil }

// lock fails, so that no image is begun.
func lock(*os.File) error { return errors.ErrUnsupported }

func trusted(fs.FileInfo) bool { return false }

func FreeDisk(string) (int64, bool) { return 0, false }
