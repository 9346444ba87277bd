package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/realm-ai/realm/internal/errs"
)

// lock is a lock of a file's name that one process has, and within it one goroutine. The system gives it back when the
// process ends, however it ends.
type lock struct{ f *os.File }

// errLocked is what lockFile returns where somebody else has the lock.
var errLocked = errors.New("locked")

// tryLock takes a lock, or returns nil if somebody has it.
func tryLock(path string) (*lock, error) {
	for {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, errs.Errorf(errs.IO, "%w", err)
		}
		f, err := lockFile(path)
		if errors.Is(err, errLocked) {
			return nil, nil
		}
		if err != nil {
			return nil, errs.Errorf(errs.IO, "lock: %w", err)
		}
		// Whoever had it may have removed the file meanwhile; the lock of a file without a name is nobody's.
		mine, err := f.Stat()
		if there, failed := os.Stat(path); err == nil && failed == nil && os.SameFile(mine, there) {
			return &lock{f}, nil
		}
		_ = f.Close()
	}
}

// waitLock takes a lock, if need be after others gave it back. waiting is called now and then.
func waitLock(ctx context.Context, path string, waiting func()) (*lock, error) {
	for {
		l, err := tryLock(path)
		if l != nil || err != nil {
			return l, err
		}
		waiting()
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, contextError(ctx)
		}
	}
}

// release gives the lock back. With remove the file goes too.
func (l *lock) release(remove bool) {
	if remove {
		_ = os.Remove(l.f.Name())
	}
	_ = l.f.Close()
}

func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errs.Errorf(errs.DeadlineExceeded, "%w", ctx.Err())
	}
	return errs.Errorf(errs.Canceled, "%w", ctx.Err())
}
