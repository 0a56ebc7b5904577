package sqlite

import (
	"context"
	"fmt"
	"iter"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// Released lists held messages that a person has decided about.
func (s *Store) Released(ctx context.Context, limit int) ([]spool.HeldMessage, error) {
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, s.explain(ctx, "list released messages", err)
	}
	defer s.readers.put(c)
	var list []spool.HeldMessage
	err = c.q(qBegin).exec()
	if err == nil {
		list, err = s.released(c, limit)
		c.rollback()
	}
	if err != nil {
		return nil, s.explain(ctx, "list released messages", err)
	}
	return list, nil
}

func (s *Store) released(c *conn, limit int) (list []spool.HeldMessage, err error) {
	e, err := s.current(c)
	if err != nil {
		return nil, err
	}
	tx := c.q(qReleasable)
	for err == nil && len(list) < limit && tx.next() {
		var t cmpcore.Transaction
		if !readTransaction(&t, tx.copyBlob(0)) {
			err = damaged("transaction", "that was decided")
			break
		}
		var d cmpcore.Disposition
		m := spool.HeldMessage{Hash: t.Request}
		if m.ID, d, err = e.message(c, &t.Request); err != nil || d != cmpcore.Held {
			continue
		}
		if m.DER, err = request(c, m.ID); err != nil || m.DER == nil {
			continue
		}
		m.Returns, err = returnsOf(c, m.ID)
		list = append(list, m)
	}
	if e := tx.done(); err == nil {
		err = e
	}
	return list, err
}

// Expired lists transactions whose time has run out, the oldest first.
func (s *Store) Expired(ctx context.Context, now time.Time, limit int) ([]*cmpcore.Transaction, error) {
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, s.explain(ctx, "list expired transactions", err)
	}
	defer s.readers.put(c)
	var list []*cmpcore.Transaction
	q := c.q(qExpired).int(micros(now)).int(int64(max(limit, 0)))
	for err == nil && q.next() {
		var t *cmpcore.Transaction
		if _, t, err = scanTransaction(q); err == nil {
			list = append(list, t)
		}
	}
	if e := q.done(); err == nil {
		err = e
	}
	if err != nil {
		return nil, s.explain(ctx, "list expired transactions", err)
	}
	return list, nil
}

// Waiting yields the transactions that are AwaitingDecision, those that were
// decided and not acted on and those that are frozen among them.
func (s *Store) Waiting(ctx context.Context) iter.Seq2[*cmpcore.Transaction, error] {
	return func(yield func(*cmpcore.Transaction, error) bool) {
		ids, err := s.waitingIDs(ctx)
		if err != nil {
			yield(nil, s.explain(ctx, "list waiting transactions", err))
			return
		}
		for _, id := range ids {
			t, err := s.transactionByID(ctx, id)
			if err != nil {
				yield(nil, s.explain(ctx, "list waiting transactions", err))
				return
			}
			if t == nil || t.State != cmpcore.AwaitingDecision {
				continue // finished meanwhile
			}
			if !yield(t, nil) {
				return
			}
		}
	}
}

func (s *Store) waitingIDs(ctx context.Context) ([]int64, error) {
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, err
	}
	defer s.readers.put(c)
	var ids []int64
	q := c.q(qWaiting)
	for q.next() {
		ids = append(ids, q.ColumnInt64(0))
	}
	return ids, q.done()
}

func (s *Store) transactionByID(ctx context.Context, id int64) (t *cmpcore.Transaction, err error) {
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, err
	}
	defer s.readers.put(c)
	q := c.q(qTransactionByID).int(id)
	if q.next() {
		_, t, err = scanTransaction(q)
	}
	if e := q.done(); err == nil {
		err = e
	}
	return t, err
}

// Decide records a vote.
func (s *Store) Decide(ctx context.Context, key cmpcore.TransactionKey, version int64, v cmpcore.Vote, audit ...cmpcore.AuditEntry) error {
	return s.changeWaiting(ctx, "decide", key, version, audit, func(t *cmpcore.Transaction) error { return t.Vote(v) })
}

// Freeze sets or clears Frozen.
func (s *Store) Freeze(ctx context.Context, key cmpcore.TransactionKey, version int64, frozen bool, audit ...cmpcore.AuditEntry) error {
	return s.changeWaiting(ctx, "freeze", key, version, audit, func(t *cmpcore.Transaction) error {
		t.Frozen = frozen
		return nil
	})
}

func (s *Store) changeWaiting(ctx context.Context, doing string, key cmpcore.TransactionKey, version int64, audit []cmpcore.AuditEntry,
	change func(*cmpcore.Transaction) error) error {
	return s.write(ctx, doing, true, func(c *conn) error {
		e, err := s.current(c)
		if err != nil {
			return err
		}
		id, t, err := e.transaction(c, &key)
		if err != nil {
			return err
		}
		if t == nil {
			return fmt.Errorf("transaction %x: %w", key, spool.ErrNotFound)
		}
		if t.Version != version {
			return fmt.Errorf("transaction %x has version %d, not %d: %w", key, t.Version, version, spool.ErrConflict)
		}
		if t.State != cmpcore.AwaitingDecision {
			return fmt.Errorf("transaction %x does not wait for a decision: %w", key, spool.ErrConflict)
		}
		if err := change(t); err != nil {
			return fmt.Errorf("transaction %x: %w", key, err)
		}
		b := commit{c: c, found: found{tx: id}}
		if _, err = b.applyTransaction(t); err != nil {
			return err
		}
		return insertAudit(c, spool.AppendAudit(nil, audit))
	})
}
