//go:build unix

package dir

import "syscall"

const (
	errnoNoSpace  = syscall.ENOSPC
	errnoReadOnly = syscall.EROFS
	errnoIO       = syscall.EIO
)
