package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"
)

// faultVFS is the way to files on which steps can fail.
type faultVFS struct {
	vfs.VFS
	// before is asked before a write or a sync, after when it has happened.
	before, after atomic.Pointer[func(step string) error]
	steps         atomic.Int64
}

type faultFile struct {
	vfs.File
	shm  vfs.SharedMemory
	v    *faultVFS
	name string // "db" or "wal"
}

var faults atomic.Int64

func newFaultVFS(t *testing.T) *faultVFS {
	v := &faultVFS{VFS: vfs.Find("os")}
	name := fmt.Sprint("fault ", faults.Add(1)) // it stays for as long as a Store is open
	vfs.Register(name, v)
	sqlite.SetVFS(t, name)
	return v
}

func (v *faultVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil {
		return nil, flags, err
	}
	w := &faultFile{File: f, v: v, name: "db"}
	switch {
	case flags&vfs.OPEN_MAIN_DB != 0:
		w.shm = vfsutil.WrapSharedMemory(f)
	case flags&vfs.OPEN_WAL != 0:
		w.name = "wal"
	default:
		w.name = "other"
	}
	return w, flags, nil
}

func (f *faultFile) SharedMemory() vfs.SharedMemory { return f.shm }
func (f *faultFile) Unwrap() vfs.File               { return f.File }

func (f *faultFile) step(name string, do func() error) error {
	f.v.steps.Add(1)
	if b := f.v.before.Load(); b != nil {
		if err := (*b)(f.name + " " + name); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if a := f.v.after.Load(); a != nil {
		return (*a)(f.name + " " + name)
	}
	return nil
}

func (f *faultFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.step("write", func() error { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *faultFile) Sync(flags vfs.SyncFlag) error {
	return f.step("sync", func() error { return f.File.Sync(flags) })
}

// fail makes all steps of that name fail from now on, until err is nil.
func fail(at *atomic.Pointer[func(string) error], step string, err error) {
	if err == nil {
		at.Store(nil)
		return
	}
	f := func(s string) error {
		if s == step {
			return err
		}
		return nil
	}
	at.Store(&f)
}

// The disk is full in the middle of a commit: nothing is stored, and the same
// batch is stored when there is room.
func TestFullDiskIsTemporaryAndStoresNothing(t *testing.T) {
	v := newFaultVFS(t)
	s, path := create(t)
	store(t, s, entries(0, 10)...)
	for _, full := range []error{sqlite3.FULL, vfs.SystemError(syscall.ENOSPC, sqlite3.FULL)} {
		fail(&v.before, "wal write", full)
		_, _, err := s.Commit(ctx, entries(100, 10))
		if !errors.Is(err, sqlite3.FULL) || errors.Is(err, spool.ErrAmbiguous) || spool.IsPermanent(err) {
			t.Fatalf("error %v, want a temporary one of a full disk", err)
		}
		if !strings.Contains(err.Error(), "make room") {
			t.Errorf("error %q says not what to do", err)
		}
		fail(&v.before, "", nil)
		if n := has(t, s, 100, 10); n != 0 {
			t.Fatalf("%d entries were stored", n)
		}
		if n := has(t, open(t, path), 100, 10); n != 0 {
			t.Fatalf("another process sees %d entries", n)
		}
	}
	store(t, s, entries(100, 10)...)
	sound(t, s)
}

// A sync that fails leaves the commit in the file: it may be there after a
// crash, or not. Nobody may go on as if it were known.
func TestFailedSyncIsAmbiguousAndStopsTheStore(t *testing.T) {
	for _, happened := range []bool{false, true} {
		v := newFaultVFS(t)
		s, path := create(t)
		store(t, s, entries(0, 10)...)
		at := &v.before
		if happened {
			at = &v.after
		}
		fail(at, "wal sync", vfs.SystemError(syscall.EIO, sqlite3.IOERR_FSYNC))
		_, _, err := s.Commit(ctx, entries(100, 10))
		if !errors.Is(err, spool.ErrAmbiguous) {
			t.Fatalf("error %v, want %v", err, spool.ErrAmbiguous)
		}
		fail(at, "", nil)
		// From here on this Store must not write over what may be true.
		if _, _, err := s.Commit(ctx, entries(200, 1)); !errors.Is(err, spool.ErrAmbiguous) {
			t.Errorf("next commit: error %v, want %v", err, spool.ErrAmbiguous)
		}
		if err := s.SetMeta(ctx, "k", nil); !errors.Is(err, spool.ErrAmbiguous) {
			t.Errorf("next write: error %v, want %v", err, spool.ErrAmbiguous)
		}
		s.Close()
		next := open(t, path)
		if n := has(t, next, 100, 10); n != 0 && n != 10 {
			t.Errorf("%d of 10 entries were stored", n)
		}
		sound(t, next)
		if n := has(t, next, 100, 10); n == 0 {
			store(t, next, entries(100, 10)...)
		}
	}
}

// Every step of a commit fails once: the entries are there or not, all or none,
// as the error says.
func TestEveryStepOfACommitMayFail(t *testing.T) {
	v := newFaultVFS(t)
	s, path := create(t)
	store(t, s, entries(0, 4)...)
	before := v.steps.Load()
	store(t, s, entries(50, 4)...)
	steps := v.steps.Load() - before
	if steps < 5 {
		t.Fatalf("only %d steps in a commit", steps)
	}
	for n := range steps {
		left := atomic.Int64{}
		left.Store(n)
		eio := func(string) error {
			if left.Add(-1) == -1 {
				return vfs.SystemError(syscall.EIO, sqlite3.IOERR_WRITE)
			}
			return nil
		}
		first := uint64(1000 + 10*n)
		v.before.Store(&eio)
		_, _, err := s.Commit(ctx, entries(first, 4))
		v.before.Store(nil)
		if err == nil && n < steps/2 {
			t.Fatalf("step %d of about %d did not fail", n, steps)
		}
		if err == nil {
			break // a commit less long than the one that was counted
		}
		s.Close()
		s = open(t, path)
		if found := has(t, s, first, 4); found != 0 && (found != 4 || !errors.Is(err, spool.ErrAmbiguous)) {
			t.Fatalf("step %d: error %v, and %d of 4 are stored", n, err, found)
		}
		if has(t, s, first, 4) == 0 {
			store(t, s, entries(first, 4)...)
		}
	}
	sound(t, s)
}

// The log is copied into the file while commits go on, and begins anew.
func TestLogDoesNotGrowWithoutEnd(t *testing.T) {
	const pages = 64
	sqlite.SetWALPages(t, pages)
	s, path := create(t)
	for i := range uint64(300) {
		store(t, s, entries(10*i, 10)...)
		if i%7 == 0 {
			if has(t, s, 10*i, 10) != 10 {
				t.Fatal("a commit cannot be read")
			}
		}
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(4 * 8 * pages * 4120); info.Size() > limit {
		t.Errorf("the log has %d octets, want at most %d", info.Size(), limit)
	}
	if db, err := os.Stat(path); err != nil || db.Size() < 1<<20 {
		t.Errorf("nothing was copied into the database: %v %v", db, err)
	}
	sound(t, s)
}
