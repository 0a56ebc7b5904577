package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// errLocked is what lockFile gives where another has the lock.
var errLocked = errors.New("locked")

// ErrInUse is in the error of [LockRun] where another process has the lock.
var ErrInUse = errors.New("in use by another run")

// LockRun makes sure that one process at a time moves messages with a database:
// two would both be right, but would undo each other's work. The lock is on the
// file path + ".lock", which stays, and ends with the process that has it, by
// whatever cause. Commands that only change the database do not take it.
func LockRun(path string) (release func(), err error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	if err := lockFile(f); err != nil {
		defer f.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("database %s is %w%s: wait for it, or stop it", path, ErrInUse, holder(f))
		}
		return nil, fmt.Errorf("lock database: %s: %w", name, err)
	}
	// For the message above, in another process. Not worth failing for.
	if f.Truncate(0) == nil {
		f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	return func() {
		f.Truncate(0)
		f.Close()
	}, nil
}

// holder tells who has the lock, as far as is known.
func holder(f *os.File) string {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, 20))
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
