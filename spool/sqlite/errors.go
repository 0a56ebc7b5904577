package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"cmp-batch/spool"
)

var (
	ErrNotOurs = spool.Permanent(errors.New("this is not a database of cmp-batch"))
	errClosed  = errors.New("the database is closed")
)

// explain says what a person can do about err, and marks what repeating will
// not mend. Where nothing is marked, nothing was stored and the call may be
// repeated.
func (s *Store) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	// Waiting for another process ends with the context too, as BUSY.
	if ctx.Err() != nil && (errors.Is(err, sqlite3.INTERRUPT) || isBusy(err)) {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	hint := ""
	switch code {
	case sqlite3.BUSY, sqlite3.LOCKED:
		hint = ": another process is using it for long: wait or stop it"
	case sqlite3.FULL:
		hint = ": nothing was stored: make room on the disk"
	case sqlite3.CORRUPT, sqlite3.NOTADB:
		hint = ": the file is damaged: stop all programs that use it and restore a backup"
	case sqlite3.READONLY, sqlite3.PERM, sqlite3.AUTH, sqlite3.CANTOPEN:
		hint = ": it must be writable, and its directory too"
	}
	err = fmt.Errorf("%s: database %s: %w%s", doing, s.path, err, hint)
	if code == sqlite3.CORRUPT || code == sqlite3.NOTADB {
		return spool.Permanent(err)
	}
	return err
}

// certain tells whether a failed COMMIT is known to have stored nothing. A
// write that did not complete leaves no valid commit frame; but where the sync
// failed, or a write in an unknown place, the frame may be on the disk.
func certain(err error) bool {
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) {
		return false
	}
	switch code {
	case sqlite3.BUSY, sqlite3.FULL, sqlite3.INTERRUPT, sqlite3.CONSTRAINT:
		return true
	}
	return false
}

func damaged(what string, id any) error {
	return spool.Permanent(fmt.Errorf("record of %s %v is damaged: restore a backup of the database", what, id))
}
