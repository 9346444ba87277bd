package hub

import (
	"errors"
	"os"
	"syscall"
)

// lockFile opens a file that nobody else may open meanwhile.
func lockFile(path string) (*os.File, error) {
	const sharingViolation = syscall.Errno(32)
	p, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const sharing = 4 // FILE_SHARE_DELETE, so that who has the lock can remove the file
	h, err := syscall.CreateFile(p, syscall.GENERIC_READ, sharing, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}
