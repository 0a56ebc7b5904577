package sqlite

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// version1 gives a copy of testdata/version1.db.gz, which the program of schema
// 1 has written: two enrolments that were delivered, the first with two uses of
// the secret "dev"; then one commit of a held request, an enrolment that awaits
// certConf, a failure, and CRL 7.
func version1(t *testing.T) string { return fixture(t, "version1") }

func fixture(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADatabaseOfSchema1IsUpgraded(t *testing.T) {
	path := version1(t)
	if n := version(t, connectRaw(t, path)); n != 1 {
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
	if n, _, err := s.VerifyAudit(ctx); n != 2 || err != nil {
		t.Errorf("audit log: %d records, %v", n, err)
	}
	c, err := s.Counts(ctx)
	if want := (spool.Counts{Messages: 5, Undelivered: 1, Held: 1, Failed: 1, Waiting: 1, AwaitingConfirm: 1,
		Certificates: 3, Valid: 3, Secrets: 1, AuditRecords: 2}); c != want || err != nil {
		t.Errorf("counts %+v %v", c, err)
	}
	open, err := s.Undelivered(ctx, 0, 9)
	if err != nil || len(open) != 1 || open[0].ID != 4 || open[0].Batch != 2 || len(open[0].Reply) != 1032 {
		t.Errorf("undelivered %+v %v", open, err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key := cmpcore.TransactionKey{3}
	v := s.View()
	tx, err := v.Transaction(ctx, key)
	if err != nil || tx == nil || tx.State != cmpcore.AwaitingDecision || !tx.Held || tx.Channel != "usb" || !tx.Expires.Equal(at.Add(time.Hour)) {
		t.Fatalf("transaction %+v %v", tx, err)
	}
	if der, err := v.Message(ctx, tx.Request); string(der) != "request 3" || err != nil {
		t.Errorf("kept %q %v", der, err)
	}
	if a, err := v.Answer(ctx, tx.Request); err != nil || a == nil || a.Disposition != cmpcore.Held {
		t.Errorf("answer %+v %v", a, err)
	}
	if crl, err := v.CRL(ctx); err != nil || crl.Number != 7 {
		t.Errorf("CRL %+v %v", crl, err)
	}
	if sec, err := v.Secret(ctx, "dev"); err != nil || sec.Used != 2 || sec.MaxUses != 9 {
		t.Errorf("secret %+v %v", sec, err)
	}
	if list, err := s.Expired(ctx, at, 9); err != nil || len(list) != 1 || list[0].State != cmpcore.AwaitingConfirm {
		t.Errorf("expired %+v %v", list, err)
	}

	// It goes on: a decision, and an outcome with all that is new.
	if err := s.Decide(ctx, key, 1, cmpcore.Vote{By: "alice", Decision: cmpcore.Approved}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Released(ctx, 9)
	if err != nil || len(list) != 1 || string(list[0].DER) != "request 3" {
		t.Fatalf("released %+v %v", list, err)
	}
	answered := *tx
	answered.Version, answered.State = 2, cmpcore.Finished
	_, verdicts, err := s.Commit(ctx, []spool.Entry{
		{Hash: list[0].Hash, Release: true, Outcome: &cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: []byte("a"), Transaction: &answered}},
		{Hash: cmpcore.Hash{1}, Outcome: &cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: []byte("b"),
			Outgoing: []cmpcore.Outgoing{{Channel: "usb", Name: "ann", DER: []byte("c")}},
			Archive:  []*cmpcore.ArchivedKey{{Requester: "r"}}, Passphrases: []*cmpcore.Passphrase{{Owner: "r", Sealed: []byte("s")}},
			Parts: []cmpcore.Part{{Hash: cmpcore.Hash{2}, Outcome: &cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: []byte("d")}}}}},
	})
	if err != nil || verdicts[0].Conflict || verdicts[1].Conflict {
		t.Fatalf("commit: %+v %v", verdicts, err)
	}
	if open, err = s.Undelivered(ctx, 0, 9); err != nil || len(open) != 4 || string(open[3].Reply) != "c" {
		t.Errorf("undelivered %+v %v", open, err)
	}
}
