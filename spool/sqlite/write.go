package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"cmp-batch/spool"
)

// errNothing ends a write in which nothing has changed.
var errNothing = errors.New("nothing to store")

func isBusy(err error) bool { return errors.Is(err, sqlite3.BUSY) }

// rollback ends the open transaction, if one is open, whatever ctx says.
func (c *conn) rollback() {
	if c.GetAutocommit() {
		return
	}
	old := c.SetInterrupt(context.Background())
	c.q(qRollback).exec()
	c.SetInterrupt(old)
}

// write runs change in a transaction of the writing connection. A durable one
// has reached the disk on return; one that is not may be lost in a power cut,
// and then is lost as a whole, with no durable one after it kept.
//
// On error nothing was stored, unless the error is [spool.ErrAmbiguous]: then
// nobody knows, and every further write fails until the Store is opened anew.
func (s *Store) write(ctx context.Context, doing string, durable bool, change func(*conn) error) error {
	w := &s.writer
	select {
	case <-w.turn:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	defer func() { w.turn <- struct{}{} }()
	if w.c == nil {
		return s.explain(ctx, doing, errClosed)
	}
	if w.lost != nil {
		return w.lost
	}
	c := w.c
	c.SetInterrupt(ctx)
	defer c.SetInterrupt(context.Background())
	if err := w.setDurable(durable); err != nil {
		return s.explain(ctx, doing, err)
	}
	err := c.q(qBeginWrite).exec()
	if err == nil {
		err = change(c)
	}
	if err != nil {
		c.rollback()
		if err == errNothing {
			return nil
		}
		return s.explain(ctx, doing, err)
	}
	// From here on the context must not stop it half way.
	c.SetInterrupt(context.Background())
	if err := c.q(qCommit).exec(); err != nil {
		c.rollback()
		if certain(err) {
			return s.explain(ctx, doing, err)
		}
		w.lost = fmt.Errorf("%s: %w: database %s: %w: start again to read what is true", doing, spool.ErrAmbiguous, s.path, err)
		return w.lost
	}
	s.tidyLog()
	return nil
}

// setDurable chooses whether commits wait for the disk. A pragma acts when it
// is prepared, so it cannot be kept prepared.
func (w *writer) setDurable(full bool) error {
	if w.full == full {
		return nil
	}
	mode := "NORMAL"
	if full {
		mode = "FULL"
	}
	if err := w.c.Exec("PRAGMA synchronous=" + mode); err != nil {
		return err
	}
	w.full = full
	return nil
}
