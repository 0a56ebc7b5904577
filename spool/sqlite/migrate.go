package sqlite

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/ncruces/go-sqlite3"
)

// applicationID marks the file as ours in its header ("CMPB"), so that another
// program's database is not taken for one.
const applicationID = 0x434d5042

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations are the numbered files in order: applying entry n-1 makes schema
// version n. A file that was released is never changed.
var migrations = readMigrations(migrationFiles)

func readMigrations(files fs.ReadDirFS) []string {
	entries, err := files.ReadDir("migrations")
	if err != nil {
		panic(err) // embedded
	}
	var list []string
	for i, e := range entries {
		if want := fmt.Sprintf("%03d_", i+1); len(e.Name()) < 4 || e.Name()[:4] != want {
			panic("migrations: " + e.Name() + " is out of order")
		}
		text, err := fs.ReadFile(files, "migrations/"+e.Name())
		if err != nil {
			panic(err)
		}
		list = append(list, string(text))
	}
	return list
}

// migrate brings the database up to the newest version of list in one
// transaction: after a crash, or an error, it is at its old version. fresh
// allows a file without any tables.
func migrate(c *sqlite3.Conn, list []string, fresh bool) error {
	version, err := schemaVersion(c, fresh)
	if err != nil {
		return err
	}
	if version == len(list) {
		return nil
	}
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err = upgrade(c, list, fresh)
	if err == nil {
		err = c.Exec("COMMIT")
	}
	if err != nil && !c.GetAutocommit() {
		c.Exec("ROLLBACK")
	}
	return err
}

// upgrade runs inside the transaction, and reads the version again: another
// process may have been faster.
func upgrade(c *sqlite3.Conn, list []string, fresh bool) error {
	version, err := schemaVersion(c, fresh)
	if err != nil {
		return err
	}
	if version > len(list) {
		return fmt.Errorf("written by a newer cmp-batch (schema %d, this program knows up to %d): use the newer program", version, len(list))
	}
	for ; version < len(list); version++ {
		if err := c.Exec(list[version]); err != nil {
			return fmt.Errorf("upgrade to schema %d, nothing was changed: %w", version+1, err)
		}
	}
	return c.Exec(fmt.Sprintf("PRAGMA user_version=%d; PRAGMA application_id=%d", version, applicationID))
}

func schemaVersion(c *sqlite3.Conn, fresh bool) (int, error) {
	id, err := queryInt(c, "PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	version, err := queryInt(c, "PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	tables, err := queryInt(c, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return 0, err
	}
	if fresh && id == 0 && version == 0 && tables == 0 {
		return 0, nil
	}
	if id != applicationID || version < 1 {
		return 0, ErrNotOurs
	}
	return int(version), nil
}

func queryInt(c *sqlite3.Conn, sql string) (int64, error) {
	s, _, err := c.Prepare(sql)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var n int64
	if s.Step() {
		n = s.ColumnInt64(0)
	}
	return n, s.Reset()
}
