//go:build !(darwin || linux || windows)

package hub

import (
	"errors"
	"os"
)

// lockFile fails: without a lock, two processes would write to one file.
func lockFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }
