//go:build unix && !linux

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

const nonblock = syscall.O_NONBLOCK

func inode(fi fs.FileInfo) (dev, ino uint64) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino)
	}
	return 0, 0
}

func crossDevice(err error) error {
	if errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%w: %w", ErrCrossDevice, err)
	}
	return err
}
