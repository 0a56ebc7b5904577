package sqlite_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"path/filepath"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"
)

var ctx = context.Background()

func create(t testing.TB) (*sqlite.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := sqlite.Create(ctx, path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func hashOf(n uint64) cmpcore.Hash {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
}

// entry is an enrolment that is known by a number.
func entry(n uint64) spool.Entry {
	h := hashOf(n)
	key := cmpcore.TransactionKey(h[16:])
	serial := append([]byte{0x40}, h[:15]...)
	return spool.Entry{
		Hash: h, Return: spool.Return{Channel: "usb", Name: "a.pki"},
		Outcome: &cmpcore.Outcome{
			Disposition: cmpcore.Answered, Reply: append(h[:], make([]byte, 1000)...),
			Transaction:  &cmpcore.Transaction{Key: key, State: cmpcore.Finished, TransactionID: h[:16]},
			Certificates: []*cmpcore.Certificate{{Serial: serial, DER: make([]byte, 600), Status: cmpcore.Valid, KeyID: [20]byte(h[:20])}},
			Audit:        []cmpcore.AuditEntry{{Event: "issued"}},
		},
	}
}

func entries(first, n uint64) (batch []spool.Entry) {
	for i := range n {
		batch = append(batch, entry(first+i))
	}
	return batch
}

// store commits a batch.
func store(t testing.TB, s *sqlite.Store, batch ...spool.Entry) int64 {
	t.Helper()
	id, verdicts, err := s.Commit(ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range verdicts {
		if v.Conflict {
			t.Fatalf("entry %d is a conflict", i)
		}
	}
	return id
}

// has tells how many of the entries are stored, and fails unless every part of
// each is.
func has(t testing.TB, s *sqlite.Store, first, n uint64) (found int) {
	t.Helper()
	var hashes []cmpcore.Hash
	for i := range n {
		hashes = append(hashes, hashOf(first+i))
	}
	m, err := s.Lookup(ctx, hashes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := entry(first + i)
		_, want := m[e.Hash]
		tx, err := s.View().Transaction(ctx, e.Outcome.Transaction.Key)
		if err != nil || (tx != nil) != want {
			t.Fatalf("entry %d: message %v, transaction %v %v", first+i, want, tx, err)
		}
		cert, err := s.View().Certificate(ctx, e.Outcome.Certificates[0].Serial)
		if err != nil || (cert != nil) != want {
			t.Fatalf("entry %d: message %v, certificate %v %v", first+i, want, cert, err)
		}
	}
	return len(m)
}

// sound checks the file, the audit log and that the parts fit each other.
func sound(t testing.TB, s *sqlite.Store) {
	t.Helper()
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
	if _, _, err := s.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
	c, err := s.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if c.Messages != c.Certificates {
		t.Errorf("counts %+v: every message brought a certificate", c)
	}
	var lines int64
	for r, err := range s.Audit(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range r.Entries {
			if b == '\n' {
				lines++
			}
		}
	}
	if lines != c.Messages {
		t.Errorf("%d audit entries for %d messages", lines, c.Messages)
	}
}
