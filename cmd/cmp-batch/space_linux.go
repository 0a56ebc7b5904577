package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// writableFolder tells why this user cannot read, write or enter a folder,
// without a try that others could see.
func writableFolder(path string) error {
	for _, right := range []struct {
		mode uint32
		what string
	}{{unix.R_OK, "listed"}, {unix.X_OK, "entered"}, {unix.W_OK, "written to"}} {
		if err := unix.Faccessat(unix.AT_FDCWD, path, right.mode, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("%s cannot be %s: %w", path, right.what, err)
		}
	}
	return nil
}

// freeSpace gives what this user may still fill, in octets.
func freeSpace(path string) (octets uint64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil || s.Bsize <= 0 {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
