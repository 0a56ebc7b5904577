package main

import (
	"errors"
	"io"
	"testing"
)

func TestNoRoomForTheDatabaseIsSaid(t *testing.T) {
	for _, e := range []struct {
		free  uint64
		known bool
		want  string
	}{
		{3 << 10, true, "3 KiB are free on the file system of the database: make room and run again; nothing is lost"},
		{noSpace, true, ""},
		{0, false, ""},
	} {
		err := withSpace(io.ErrShortWrite, e.free, e.known)
		var h hinted
		if errors.As(err, &h); h.hint != e.want || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%d octets free: %v, hint %q", e.free, err, h.hint)
		}
	}
}
