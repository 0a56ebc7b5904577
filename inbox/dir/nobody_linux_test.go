package dir

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody makes permissions count for the rest of the test, also for root.
func asNobody(t *testing.T, e *env) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	const nobody = 65534
	for d := filepath.Dir(e.o.In); d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o755))
	}
	for _, d := range []string{e.o.In, e.o.Archive, e.o.Failed} {
		must(t, filepath.WalkDir(d, func(path string, _ os.DirEntry, err error) error {
			must(t, err)
			return os.Lchown(path, nobody, nobody)
		}))
	}
	// Of this thread alone, so it must stay ours.
	runtime.LockOSThread()
	unix.Setfsuid(nobody)
	t.Cleanup(func() {
		unix.Setfsuid(0)
		runtime.UnlockOSThread()
	})
}
