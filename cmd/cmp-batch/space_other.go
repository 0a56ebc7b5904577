//go:build !linux

package main

import (
	"fmt"
	"os"
)

// writableFolder tells why this user cannot write to a folder, by a try.
func writableFolder(path string) error {
	f, err := os.CreateTemp(path, ".cmp-batch-*.tmp")
	if err != nil {
		return fmt.Errorf("%s cannot be written to: %w", path, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// freeSpace is not known here.
func freeSpace(string) (octets uint64, ok bool) { return 0, false }
