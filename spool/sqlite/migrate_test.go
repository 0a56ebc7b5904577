package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ncruces/go-sqlite3"
)

func connectRaw(t *testing.T, path string) *sqlite3.Conn {
	t.Helper()
	c, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func version(t *testing.T, c *sqlite3.Conn) int64 {
	t.Helper()
	n, err := queryInt(c, "PRAGMA user_version")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A list that grows as ours will.
var growing = []string{
	`CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1), (2)`,
	`ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7`,
	`CREATE TABLE b AS SELECT sum(x * y) AS total FROM a; DROP TABLE a`,
}

func TestMigrateTakesEveryOlderVersionToTheNewest(t *testing.T) {
	for from := range len(growing) + 1 {
		c := connectRaw(t, filepath.Join(t.TempDir(), "a.db"))
		if from > 0 {
			if err := migrate(c, growing[:from], true); err != nil {
				t.Fatal(err)
			}
			if n := version(t, c); n != int64(from) {
				t.Fatalf("version %d, want %d", n, from)
			}
		}
		if err := migrate(c, growing, from == 0); err != nil {
			t.Fatalf("from %d: %v", from, err)
		}
		if n := version(t, c); n != int64(len(growing)) {
			t.Errorf("from %d: version %d", from, n)
		}
		if n, err := queryInt(c, "SELECT total FROM b"); n != 21 || err != nil {
			t.Errorf("from %d: total %d %v, want 21", from, n, err)
		}
		if err := migrate(c, growing, false); err != nil {
			t.Errorf("from %d, again: %v", from, err)
		}
	}
}

func TestMigrateThatFailsChangesNothing(t *testing.T) {
	c := connectRaw(t, filepath.Join(t.TempDir(), "a.db"))
	if err := migrate(c, growing[:1], true); err != nil {
		t.Fatal(err)
	}
	bad := []string{growing[0], growing[1], `CREATE TABLE c (x); INSERT INTO nowhere VALUES (1)`}
	if err := migrate(c, bad, false); err == nil || !strings.Contains(err.Error(), "upgrade to schema 3, nothing was changed") {
		t.Errorf("error %v", err)
	}
	if n := version(t, c); n != 1 {
		t.Errorf("version %d, want 1", n)
	}
	if n, err := queryInt(c, "SELECT count(*) FROM sqlite_schema"); n != 1 || err != nil {
		t.Errorf("%d tables %v, want 1", n, err)
	}
	if !c.GetAutocommit() {
		t.Error("a transaction was left open")
	}
	if err := migrate(c, growing, false); err != nil {
		t.Error(err)
	}
}

func TestMigrateRefusesWhatIsNewerOrNotOurs(t *testing.T) {
	c := connectRaw(t, filepath.Join(t.TempDir(), "a.db"))
	if err := migrate(c, growing, false); err == nil {
		t.Error("an empty file was taken for a database")
	}
	if err := migrate(c, growing, true); err != nil {
		t.Fatal(err)
	}
	if err := migrate(c, growing[:2], false); err == nil || !strings.Contains(err.Error(), "newer cmp-batch (schema 3, this program knows up to 2)") {
		t.Errorf("error %v", err)
	}
	if n := version(t, c); n != 3 {
		t.Errorf("version %d, want 3", n)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	if len(migrations) == 0 || !strings.Contains(migrations[0], "CREATE TABLE message") {
		t.Fatal("the base is missing")
	}
	defer func() {
		if recover() == nil {
			t.Error("a gap in the numbers was not seen")
		}
	}()
	readMigrations(fstest.MapFS{"migrations/001_a.sql": {}, "migrations/003_b.sql": {}})
}

// No statement of the hot paths may read a whole large table, or sort one.
func TestEveryQueryHasItsIndex(t *testing.T) {
	s, err := Create(t.Context(), filepath.Join(t.TempDir(), "a.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	small := map[string]bool{"SCAN current": true, "SCAN crl": true,
		"SCAN batch": true, "SCAN audit": true, // by rowid from the end, one row
	}
	sorted := map[query]bool{qAlsoReturns: true, qExpired: true, qWaiting: true} // few rows
	for i, sql := range queries {
		if sql == "" {
			t.Fatalf("query %d is empty", i)
		}
		st, tail, err := s.writer.c.Prepare("EXPLAIN QUERY PLAN " + sql)
		if err != nil || tail != "" {
			t.Fatalf("%s: %v %q", sql, err, tail)
		}
		for st.Step() {
			step := st.ColumnText(3)
			if strings.HasPrefix(step, "SCAN") && !small[step] || strings.Contains(step, "TEMP B-TREE") && !sorted[query(i)] {
				t.Errorf("%s: %s", sql, step)
			}
		}
		st.Close()
	}
}
