package spool

import "errors"

// ErrConflict is in the error of an administrative change that met another
// change; read again and repeat.
var ErrConflict = errors.New("changed meanwhile by another process")

// ErrNotFound is in the error of an administrative change to what is not there.
var ErrNotFound = errors.New("not found")

// ErrAmbiguous is in the error of a commit of which nobody knows whether it
// happened. The pump stops at it: the next start reads what is true.
var ErrAmbiguous = errors.New("it is not known whether this was made durable")

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that repeating will not mend.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent tells whether err was marked by [Permanent].
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}
