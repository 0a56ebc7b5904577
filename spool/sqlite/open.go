package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"cmp-batch/spool"
)

// Options tune a Store. The zero value is good.
type Options struct {
	// BusyTimeout is how long a call waits for another process that writes;
	// 0: 30 seconds.
	BusyTimeout time.Duration
	// Readers is the number of connections for reading; 0: twice the number of
	// processors, at least 4. Each takes up to 8 MiB of page cache.
	Readers int
	// CacheMiB is the page cache of the writing connection in MiB; 0: 64. More
	// than 160 is cut.
	CacheMiB int
}

func (o Options) withDefaults() Options {
	if o.BusyTimeout <= 0 {
		o.BusyTimeout = 30 * time.Second
	}
	if o.Readers <= 0 {
		o.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	if o.CacheMiB <= 0 {
		o.CacheMiB = 64
	}
	o.CacheMiB = min(o.CacheMiB, 160) // a connection has 256 MiB in all
	return o
}

// vfsName is what SQLite uses to reach files; tests put faults in between.
var vfsName = "os"

const (
	pageSize    = 4096
	readerCache = 8 // MiB
)

// Store is a [spool.Store] in one SQLite file.
type Store struct {
	path    string
	options Options
	writer  writer
	readers pool
	eras    eras
}

var _ spool.Store = (*Store)(nil)

// Create makes a new database with mode 0600 and opens it. A file that exists
// already is an error ([fs.ErrExist]).
func Create(ctx context.Context, path string, o Options) (*Store, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	s, err := open(ctx, path, o, true)
	if err != nil {
		os.Remove(path)
		os.Remove(path + "-wal")
		os.Remove(path + "-shm")
		return nil, err
	}
	return s, nil
}

// Open opens a database that [Create] made, on a local disk: its write-ahead
// log does not work over a network file system. A schema of an older version
// is upgraded, one of a newer version is refused.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open database: %w: make a new one with cmp-batch init", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open database: %s is not a regular file: %w", path, ErrNotOurs)
	}
	if err := checkHeader(path); err != nil {
		return nil, fmt.Errorf("open database: %s: %w", path, err)
	}
	return open(ctx, path, o, false)
}

func open(ctx context.Context, path string, o Options, fresh bool) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	o = o.withDefaults()
	s := &Store{path: path, options: o}
	// SQLite would make it with the mode that the umask leaves.
	if f, err := os.OpenFile(path+"-shm", os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		f.Close()
	}
	c, err := s.connectWith(ctx, o.CacheMiB)
	if err == nil {
		err = prepareFile(c.Conn, fresh)
		if err != nil {
			c.close()
		}
	}
	if err != nil {
		return nil, s.explain(ctx, "open", err)
	}
	s.writer.init(c)
	s.readers.init(o.Readers, s.connect)
	return s, nil
}

// connect opens a connection that does not write.
func (s *Store) connect(ctx context.Context) (*conn, error) {
	c, err := s.connectWith(ctx, readerCache)
	if err != nil {
		return nil, err
	}
	if err := c.Exec("PRAGMA query_only=ON"); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (s *Store) connectWith(ctx context.Context, cacheMiB int) (*conn, error) {
	query := url.Values{"modeof": {s.path}, "mode": {"rw"}, "vfs": {vfsName}}.Encode()
	name := url.URL{Scheme: "file", OmitHost: true, Path: s.path,
		RawQuery: strings.ReplaceAll(query, "+", "%20")} // SQLite takes a plus for a plus
	c, err := sqlite3.OpenContext(ctx, name.String())
	if err != nil {
		return nil, err
	}
	if err = c.BusyTimeout(s.options.BusyTimeout); err == nil {
		err = c.Exec(fmt.Sprintf("PRAGMA cache_size=-%d; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0",
			cacheMiB<<10))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// prepareFile brings the file to our schema. It looks before it changes
// anything, so that another program's database stays as it is.
func prepareFile(c *sqlite3.Conn, fresh bool) error {
	if fresh {
		// Before the first page is written.
		if err := c.Exec(fmt.Sprintf("PRAGMA page_size=%d; PRAGMA journal_mode=WAL", pageSize)); err != nil {
			return err
		}
	} else if version, err := schemaVersion(c, false); err != nil {
		return err
	} else if version > len(migrations) {
		return fmt.Errorf("it was written by a newer cmp-batch (schema %d, this program knows up to %d): use the newer program", version, len(migrations))
	}
	if err := c.Exec(fmt.Sprintf("PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=%d", 2*walPages*pageSize)); err != nil {
		return err
	}
	if err := migrate(c, migrations, fresh); err != nil || !fresh {
		return err
	}
	// So that the file can be known by its header.
	_, _, err := c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	return err
}

// checkHeader looks at a file before SQLite does, which would make files beside
// it and speak of damage.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var h [100]byte // https://sqlite.org/fileformat2.html section 1.3
	if _, err := io.ReadFull(f, h[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if string(h[:16]) != "SQLite format 3\x00" || binary.BigEndian.Uint32(h[68:]) != applicationID {
		return ErrNotOurs
	}
	return nil
}

// Close copies the log into the database, where no other process is using it,
// and closes. Calls that run meanwhile end first.
func (s *Store) Close() error {
	s.readers.close()
	err := s.writer.close()
	if err != nil {
		return s.explain(context.Background(), "close", err)
	}
	return nil
}

// Check looks for damage: it reads the whole file, and the audit log. It takes
// long where the file is large.
func (s *Store) Check(ctx context.Context) error {
	c, err := s.readers.get(ctx)
	if err != nil {
		return s.explain(ctx, "check", err)
	}
	defer s.readers.put(c)
	st, _, err := c.Prepare("PRAGMA integrity_check(5)")
	if err != nil {
		return s.explain(ctx, "check", err)
	}
	defer st.Close()
	for st.Step() {
		if line := st.ColumnText(0); line != "ok" {
			return spool.Permanent(fmt.Errorf("check: database %s is damaged: %s: restore a backup", s.path, line))
		}
	}
	if err := st.Err(); err != nil {
		return s.explain(ctx, "check", err)
	}
	return nil
}
