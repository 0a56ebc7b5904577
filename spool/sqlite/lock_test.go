package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/spool/sqlite"
)

func TestLockRunLetsOneRunAndNamesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	release, err := sqlite.LockRun(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.LockRun(path); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("second lock: error %v, want one that names process %d", err, os.Getpid())
	}
	release()
	release, err = sqlite.LockRun(path)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if info, err := os.Stat(path + ".lock"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("lock file: %v %v", info, err)
	}
}

func TestLockRunNeedsTheDirectory(t *testing.T) {
	if _, err := sqlite.LockRun(filepath.Join(t.TempDir(), "none", "state.db")); err == nil {
		t.Error("locked a database in a directory that is not there")
	}
}
