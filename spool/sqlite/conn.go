package sqlite

import (
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// conn is one connection with its prepared statements. It is used by one
// goroutine at a time.
type conn struct {
	*sqlite3.Conn
	stmts [queryCount]*stmt
}

// stmt is a prepared statement that takes its parameters in order and keeps the
// first error until the end, so that callers check once.
type stmt struct {
	*sqlite3.Stmt
	n   int
	err error
}

// q gives the statement, prepared at its first use.
func (c *conn) q(i query) *stmt {
	s := c.stmts[i]
	if s == nil {
		s = new(stmt)
		p, tail, err := c.PrepareFlags(queries[i], sqlite3.PREPARE_PERSISTENT)
		if err != nil || tail != "" {
			return &stmt{err: fmt.Errorf("prepare %q: %w", queries[i], err)}
		}
		s.Stmt = p
		c.stmts[i] = s
	}
	return s
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		if s != nil {
			s.Stmt.Close()
		}
	}
	return c.Conn.Close()
}

func (s *stmt) keep(err error) *stmt {
	if s.err == nil {
		s.err = err
	}
	return s
}

func (s *stmt) int(v int64) *stmt {
	if s.n++; s.err != nil {
		return s
	}
	return s.keep(s.BindInt64(s.n, v))
}

// intOrNull binds v, or NULL where set is false.
func (s *stmt) intOrNull(v int64, set bool) *stmt {
	if set {
		return s.int(v)
	}
	if s.n++; s.err != nil {
		return s
	}
	return s.keep(s.BindNull(s.n))
}

func (s *stmt) text(v string) *stmt {
	if s.n++; s.err != nil {
		return s
	}
	return s.keep(s.BindText(s.n, v))
}

// textOrNull binds NULL for the empty string.
func (s *stmt) textOrNull(v string) *stmt {
	if v == "" {
		return s.intOrNull(0, false)
	}
	return s.text(v)
}

func (s *stmt) blob(v []byte) *stmt {
	if s.n++; s.err != nil {
		return s
	}
	if v == nil {
		return s.keep(s.BindZeroBlob(s.n, 0))
	}
	return s.keep(s.BindBlob(s.n, v))
}

// blobOrNull binds NULL for an empty one.
func (s *stmt) blobOrNull(v []byte) *stmt {
	if len(v) == 0 {
		return s.intOrNull(0, false)
	}
	return s.blob(v)
}

// exec runs the statement, which has no rows.
func (s *stmt) exec() error {
	if s.err != nil {
		return s.done()
	}
	s.n = 0
	return s.Exec()
}

// next steps to the next row. Errors are told by done.
func (s *stmt) next() bool { return s.err == nil && s.Step() }

// done ends the statement and gives the first error since its start.
func (s *stmt) done() error {
	err := s.err
	s.err, s.n = nil, 0
	if s.Stmt != nil {
		// After an interrupt SQLite knows nothing of it, only Err does.
		step := s.Stmt.Err()
		if reset := s.Reset(); err == nil {
			err = reset
		}
		if err == nil {
			err = step
		}
	}
	return err
}

// copyBlob gives a copy of a column: what the statement shows is gone at its
// next step.
func (s *stmt) copyBlob(col int) []byte {
	raw := s.ColumnRawBlob(col)
	if len(raw) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(raw)), raw...)
}

func (s *stmt) isNull(col int) bool { return s.ColumnType(col) == sqlite3.NULL }
