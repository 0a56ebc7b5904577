package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"
)

func TestAllFilesAreForTheOwnerOnly(t *testing.T) {
	s, path := create(t)
	store(t, s, entry(1))
	if has(t, s, 1, 1) != 1 {
		t.Fatal("not stored")
	}
	for _, side := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + side)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", info.Name(), info.Mode())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// After a clean end the database is the one file, to be copied away.
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 1 {
		t.Errorf("files %v %v, want one", left, err)
	}
	if has(t, open(t, path), 1, 1) != 1 {
		t.Error("not stored")
	}
}

func TestAnyPathWillDo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b+c%20d?e#f&g=h;ü'\"")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Create(ctx, filepath.Join(dir, "state.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store(t, s, entry(1))
	s.Close()
	if has(t, open(t, filepath.Join(dir, "state.db")), 1, 1) != 1 {
		t.Error("not stored")
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 1 {
		t.Errorf("files %v %v, want one directory", left, err)
	}
	t.Chdir(dir)
	if has(t, open(t, "state.db"), 1, 1) != 1 {
		t.Error("not found by a relative path")
	}
}

func TestCreateDoesNotOverwrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Create(ctx, path, sqlite.Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want %v", err, fs.ErrExist)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Errorf("the file is now %q", b)
	}
}

func TestOpenRefusesWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	c, err := sqlite3.Open(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec("CREATE TABLE tx (id INTEGER PRIMARY KEY); PRAGMA user_version=1"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none.db"), "cmp-batch init"},
		{dir, "not a regular file"},
		{foreign, "not a database of cmp-batch"},
		{write("empty.db", ""), "not a database of cmp-batch"},
		{write("short.db", "SQLite"), "not a database of cmp-batch"},
		{write("text.db", strings.Repeat("text ", 1000)), "not a database of cmp-batch"},
	} {
		before, _ := os.ReadFile(c.path)
		_, err := sqlite.Open(ctx, c.path, sqlite.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.path, err, c.want)
		}
		if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", c.path)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*-*")); len(left) != 0 {
		t.Errorf("files were made: %v", left)
	}
	if _, err := sqlite.Open(ctx, filepath.Join(dir, "none.db"), sqlite.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want %v", err, fs.ErrNotExist)
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	s, path := create(t)
	s.Close()
	raw(t, path, "PRAGMA user_version=1000")
	_, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err == nil || !strings.Contains(err.Error(), "newer cmp-batch (schema 1000") {
		t.Errorf("error %v, want one that names the newer version", err)
	}
}

// raw changes a database behind the Store's back.
func raw(t *testing.T, path, sql string) {
	t.Helper()
	c, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec(sql); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyAuditFindsEveryChange(t *testing.T) {
	for _, c := range []struct{ name, sql string }{
		{"an entry is changed", `UPDATE audit SET entries = CAST(replace(CAST(entries AS TEXT), 'issued', 'refuse') AS BLOB) WHERE seq=3`},
		{"a head is changed", `UPDATE audit SET head = zeroblob(32) WHERE seq=3`},
		{"the last head is changed", `UPDATE audit SET head = zeroblob(32) WHERE seq=5`},
		{"a head is too short", `UPDATE audit SET head = zeroblob(31) WHERE seq=3`},
		{"a record is removed", `DELETE FROM audit WHERE seq=3`},
		{"the first record is removed", `DELETE FROM audit WHERE seq=1`},
		{"two records change places", `UPDATE audit SET seq=100 WHERE seq=2; UPDATE audit SET seq=2 WHERE seq=3; UPDATE audit SET seq=3 WHERE seq=100`},
	} {
		s, path := create(t)
		for i := range uint64(5) {
			store(t, s, entry(i))
		}
		if n, _, err := s.VerifyAudit(ctx); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		raw(t, path, c.sql)
		if _, _, err := s.VerifyAudit(ctx); err == nil || !spool.IsPermanent(err) {
			t.Errorf("%s: error %v, want a permanent one", c.name, err)
		}
	}
	// What was cut off at the end can only be known by the number and the head
	// that somebody has kept.
	s, path := create(t)
	for i := range uint64(2) {
		store(t, s, entry(i))
	}
	_, kept, _ := s.VerifyAudit(ctx)
	raw(t, path, `DELETE FROM audit WHERE seq=2`)
	if n, head, err := s.VerifyAudit(ctx); err != nil || n != 1 || head == kept {
		t.Errorf("%d %x %v", n, head, err)
	}
}

// flip changes octets of the file that follow a text.
func flip(t *testing.T, path, after string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte(after))
	if i < 0 {
		t.Fatalf("%q is not in the file", after)
	}
	b[i] ^= 0x20
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyAuditFindsAFlippedBitInTheFile(t *testing.T) {
	s, path := create(t)
	store(t, s, entry(1))
	s.Close()
	flip(t, path, `issued"`)
	s = open(t, path)
	if _, _, err := s.VerifyAudit(ctx); err == nil || !strings.Contains(err.Error(), "record 1 was changed") {
		t.Errorf("error %v, want one that names the record", err)
	}
}

func TestDamageIsPermanentAndSaysSo(t *testing.T) {
	s, path := create(t)
	for i := range uint64(50) {
		store(t, s, entry(i))
	}
	s.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for off := 4096; off < len(b); off += 4096 {
		copy(b[off:], bytes.Repeat([]byte{0xee}, 512)) // all pages but the first
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = sqlite.Open(ctx, path, sqlite.Options{})
	if err == nil {
		_, _, err = s.Commit(ctx, entries(100, 1))
		if cerr := s.Check(ctx); cerr == nil || !spool.IsPermanent(cerr) {
			t.Errorf("check: error %v, want a permanent one", cerr)
		}
		s.Close()
	}
	if err == nil || !spool.IsPermanent(err) || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("error %v, want a permanent one that says what to do", err)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s, _ := create(t)
	s.Close()
	if _, _, err := s.Commit(ctx, entries(1, 1)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("commit: error %v", err)
	}
	if _, err := s.View().Secret(ctx, "a"); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("view: error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestACallThatWaitsForTheWriterEndsWithItsContext(t *testing.T) {
	s, path := create(t)
	// Another process is in the middle of a change.
	c, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { _, _, err := s.Commit(gone, entries(1, 1)); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	// Reading does not wait.
	if has(t, s, 1, 1) != 0 {
		t.Error("stored")
	}
	if err := c.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	store(t, s, entry(1))
}
