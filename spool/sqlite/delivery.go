package sqlite

import (
	"context"
	"fmt"
	"slices"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// The normal case costs one row: a batch is open, then delivered. Only what was
// not delivered with its batch, or was released from being held, has a row of
// its own in the table undelivered. A batch whose answers are reported one by
// one is first spread out into such rows.

// Delivered closes a batch. The mark need not survive a power cut: the answers
// would be delivered again, which changes nothing.
func (s *Store) Delivered(ctx context.Context, batch int64, except []int64) error {
	if batch == 0 {
		return nil // a commit that stored nothing
	}
	return s.write(ctx, "report delivery", false, func(c *conn) error {
		var first, last int64
		found, open := false, false
		q := c.q(qBatch).int(batch)
		if q.next() {
			found, first, last, open = true, q.ColumnInt64(0), q.ColumnInt64(1), q.ColumnInt64(2) == 0
		}
		if err := q.done(); err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("batch %d: %w", batch, spool.ErrNotFound)
		}
		var listed []int64
		q = c.q(qUndeliveredOfBatch).int(batch)
		for q.next() {
			listed = append(listed, q.ColumnInt64(0))
		}
		if err := q.done(); err != nil {
			return err
		}
		if !open && len(listed) == 0 {
			return errNothing
		}
		for _, id := range listed {
			if !slices.Contains(except, id) {
				if err := dropUndelivered(c, id); err != nil {
					return err
				}
			}
		}
		if !open {
			return nil
		}
		for _, id := range except {
			if id < first || id > last {
				continue
			}
			// Only those with a reply can be undelivered.
			if err := c.q(qListBatch).int(batch).int(id).int(id).exec(); err != nil {
				return err
			}
		}
		return c.q(qBatchDelivered).int(batch).exec()
	})
}

// DeliveredOne reports one answer.
func (s *Store) DeliveredOne(ctx context.Context, id int64) error {
	return s.write(ctx, "report delivery", false, func(c *conn) error {
		if err := listBatchOf(c, id); err != nil {
			return err
		}
		return dropUndelivered(c, id)
	})
}

// dropUndelivered: a message that nobody asked for is needed no more.
func dropUndelivered(c *conn, id int64) error {
	if err := c.q(qDropUndelivered).int(id).exec(); err != nil {
		return err
	}
	return c.q(qDropOutgoing).int(id).exec()
}

// listBatchOf closes the open batch that a message came with, and lists its
// undelivered messages one by one instead.
func listBatchOf(c *conn, message int64) error {
	var batch, first, last int64
	q := c.q(qBatchOfMessage).int(message)
	if q.next() {
		batch, first, last = q.ColumnInt64(0), q.ColumnInt64(1), q.ColumnInt64(2)
	}
	if err := q.done(); err != nil || batch == 0 {
		return err
	}
	if err := c.q(qListBatch).int(batch).int(first).int(last).exec(); err != nil {
		return err
	}
	return c.q(qBatchDelivered).int(batch).exec()
}

// Undelivered merges the messages of open batches with those listed one by one.
func (s *Store) Undelivered(ctx context.Context, after int64, limit int) ([]spool.Undelivered, error) {
	if limit <= 0 {
		return nil, nil
	}
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, s.explain(ctx, "list undelivered answers", err)
	}
	defer s.readers.put(c)
	var list []spool.Undelivered
	err = c.q(qBegin).exec()
	if err == nil {
		list, err = undelivered(c, after, limit)
		c.rollback()
	}
	if err != nil {
		return nil, s.explain(ctx, "list undelivered answers", err)
	}
	return list, nil
}

func undelivered(c *conn, after int64, limit int) ([]spool.Undelivered, error) {
	type key struct{ message, batch int64 }
	var keys []key
	q := c.q(qUndelivered).int(after).int(int64(limit))
	for q.next() {
		keys = append(keys, key{q.ColumnInt64(0), q.ColumnInt64(1)})
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	type batch struct{ id, first, last int64 }
	var open []batch
	q = c.q(qOpenBatches)
	for q.next() {
		if b := (batch{q.ColumnInt64(0), q.ColumnInt64(1), q.ColumnInt64(2)}); b.last > after {
			open = append(open, b)
		}
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	// Message numbers rise with batch numbers.
	for n := 0; len(open) > 0 && n < limit; open = open[1:] {
		b := open[0]
		q := c.q(qOpenMessages).int(max(b.first, after+1)).int(b.last).int(int64(limit - n))
		for q.next() {
			keys = append(keys, key{q.ColumnInt64(0), b.id})
			n++
		}
		if err := q.done(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return int(a.message - b.message) })
	var list []spool.Undelivered
	for _, k := range keys {
		if len(list) >= limit {
			break
		}
		u := spool.Undelivered{ID: k.message, Batch: k.batch}
		found := false
		for _, from := range []query{qAnswer, qOutgoing} {
			q := c.q(from).int(k.message)
			if found = q.next(); found {
				u.Return = spool.Return{Channel: q.ColumnText(0), Name: q.ColumnText(1)}
				u.Reply = q.copyBlob(2)
			}
			if err := q.done(); err != nil {
				return nil, err
			}
			if found {
				break
			}
		}
		list = append(list, u)
		q = c.q(qAlsoReturns).int(k.message)
		for q.next() {
			u.Return = spool.Return{Channel: q.ColumnText(0), Name: q.ColumnText(1)}
			list = append(list, u)
		}
		if err := q.done(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// AddReturn lets the answer of a held message go to one more place.
func (s *Store) AddReturn(ctx context.Context, id int64, r spool.Return) error {
	return s.write(ctx, "add a place for an answer", true, func(c *conn) error {
		var d cmpcore.Disposition
		var first spool.Return
		q := c.q(qMessageReturn).int(id)
		if q.next() {
			d, first = cmpcore.Disposition(q.ColumnInt64(0)), spool.Return{Channel: q.ColumnText(1), Name: q.ColumnText(2)}
		}
		if err := q.done(); err != nil {
			return err
		}
		switch {
		case d == 0:
			return fmt.Errorf("message %d: %w", id, spool.ErrNotFound)
		case d != cmpcore.Held:
			return fmt.Errorf("message %d is %s: %w", id, d, spool.ErrConflict)
		case first == r:
			return errNothing
		}
		return c.q(qInsertReturn).int(id).text(r.Channel).text(r.Name).exec()
	})
}

// returnsOf lists every place an answer goes to, in the order they came.
func returnsOf(c *conn, message int64) ([]spool.Return, error) {
	var list []spool.Return
	q := c.q(qAnswer).int(message)
	if q.next() {
		list = append(list, spool.Return{Channel: q.ColumnText(0), Name: q.ColumnText(1)})
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	q = c.q(qAlsoReturns).int(message)
	for q.next() {
		list = append(list, spool.Return{Channel: q.ColumnText(0), Name: q.ColumnText(1)})
	}
	return list, q.done()
}
