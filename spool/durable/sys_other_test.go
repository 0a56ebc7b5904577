//go:build unix && !linux

package durable

import (
	"syscall"
	"testing"
)

func withoutTmpfile(*Dir)   {}
func withoutEmptyPath(*Dir) {}

var renames = map[string]func(from handle, old string, dir handle, to string) error{"link and unlink": renameNoReplace}

func makeFIFO(t *testing.T, path string) {
	t.Helper()
	must(t, syscall.Mkfifo(path, 0o600))
}
