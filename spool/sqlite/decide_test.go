package sqlite_test

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// Every step of a second approval fails once, and the process ends there: the
// vote is there with its line in the audit log, or neither is, and said again it
// does not count twice.
func TestEveryStepOfAnApprovalMayFail(t *testing.T) {
	v := newFaultVFS(t)
	s, path := create(t)
	for n := range int64(100) {
		e := spool.Entry{Hash: cmpcore.Hash{byte(n), 1}, DER: []byte("q"), Outcome: &cmpcore.Outcome{
			Disposition: cmpcore.Held, KeepRequest: true, Transaction: &cmpcore.Transaction{
				Key: cmpcore.TransactionKey{byte(n), 1}, State: cmpcore.AwaitingDecision, Held: true, Approvals: 2, Request: cmpcore.Hash{byte(n), 1}},
		}}
		store(t, s, e)
		key := e.Outcome.Transaction.Key
		say := func(version int64, by string) error {
			return s.Decide(ctx, key, version, cmpcore.Vote{By: by, Decision: cmpcore.Approved, At: time.Unix(1, 0).UTC()}, cmpcore.AuditEntry{Event: "decided-approved"})
		}
		if err := say(1, "alice"); err != nil {
			t.Fatal(err)
		}
		records := counted(t, s)
		left := atomic.Int64{}
		left.Store(n)
		eio := func(string) error {
			if left.Add(-1) == -1 {
				return vfs.SystemError(syscall.EIO, sqlite3.IOERR_WRITE)
			}
			return nil
		}
		v.before.Store(&eio)
		err := say(2, "bob")
		v.before.Store(nil)
		if err == nil {
			if n < 3 {
				t.Fatalf("step %d did not fail", n)
			}
			break
		}
		s.Close()
		s = open(t, path)
		tx, viewErr := s.View().Transaction(ctx, key)
		if viewErr != nil {
			t.Fatal(viewErr)
		}
		there := tx.VoteOf("bob") != nil
		if there && !errors.Is(err, spool.ErrAmbiguous) || there != (counted(t, s) == records+1) || there != (tx.Decision == cmpcore.Approved) {
			t.Fatalf("step %d: error %v, vote %v, %d records after %d", n, err, there, counted(t, s), records)
		}
		if err := say(tx.Version, "bob"); err != nil {
			t.Fatal(err)
		}
		if tx, err := s.View().Transaction(ctx, key); err != nil || tx.Decision != cmpcore.Approved || tx.Approved() != 2 {
			t.Fatalf("step %d, again: %+v %v", n, tx, err)
		}
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
	if _, _, err := s.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
}

func counted(t *testing.T, s spool.Store) int64 {
	t.Helper()
	c, err := s.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c.AuditRecords
}
