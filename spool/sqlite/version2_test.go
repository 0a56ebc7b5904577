package sqlite

import (
	"context"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// The program of schema 2 has written testdata/version2.db.gz: five requests
// that wait. The first, held, was rejected by alice, and has an archived key; the
// second, held, was approved by bob; the third, held, was withdrawn by its
// requester and stayed held; the fourth, polled, was approved by bob and frozen;
// the fifth, held, was approved, and the approval taken back.
func TestADatabaseOfSchema2IsUpgraded(t *testing.T) {
	path := fixture(t, "version2")
	if n := version(t, connectRaw(t, path)); n != 2 {
		t.Fatalf("the fixture has schema %d", n)
	}
	ctx := context.Background()
	s, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := version(t, connectRaw(t, path)); n != int64(len(migrations)) {
		t.Errorf("schema %d", n)
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
	c, err := s.Counts(ctx)
	if want := (spool.Counts{Messages: 6, Undelivered: 1, Held: 3, Waiting: 4, ArchivedKeys: 1, AuditRecords: 1}); c != want || err != nil {
		t.Errorf("counts %+v %v", c, err)
	}
	if st, err := s.Lookup(ctx, []cmpcore.Hash{{3}}); err != nil || st[cmpcore.Hash{3}].Disposition != cmpcore.Silent || st[cmpcore.Hash{3}].Reason != spool.Withdrawn {
		t.Errorf("the withdrawn one: %+v %v", st, err)
	}
	for n, want := range map[byte]struct {
		d        cmpcore.Decision
		by, told string
	}{
		1: {cmpcore.Rejected, "alice", "unknown device"}, 2: {cmpcore.Approved, "bob", ""},
		4: {cmpcore.Approved, "bob", ""}, 5: {cmpcore.Undecided, "", ""},
	} {
		tx, err := s.View().Transaction(ctx, cmpcore.TransactionKey{n})
		if err != nil || tx.Decision != want.d || tx.DecidedBy() != want.by || tx.Reason() != want.told || tx.Needed() != 1 {
			t.Errorf("%d: %+v %v", n, tx, err)
		}
	}
	if list, err := s.Released(ctx, 9); err != nil || len(list) != 2 {
		t.Errorf("%d released %v", len(list), err)
	}
	// What was said before counts with what is said now.
	if err := s.Decide(ctx, cmpcore.TransactionKey{2}, 2, cmpcore.Vote{By: "carol", Decision: cmpcore.Rejected, Note: "no"}); err != nil {
		t.Fatal(err)
	}
	tx, err := s.View().Transaction(ctx, cmpcore.TransactionKey{2})
	if err != nil || tx.Decision != cmpcore.Rejected || len(tx.Votes) != 2 || tx.Votes[0].By != "bob" {
		t.Errorf("%+v %v", tx, err)
	}
}
