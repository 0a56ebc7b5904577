package dir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"cmp-batch/spool"
	"cmp-batch/spool/channeltest"
)

// mount mounts a small file system of its own. Where that is not allowed, the
// faults of the other tests stand for it.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFullFileSystem(t *testing.T) {
	for _, count := range []int{4, 30} {
		t.Run(fmt.Sprintf("%d answers", count), func(t *testing.T) {
			out := mount(t, "size=64k")
			ballast := filepath.Join(out, "ballast")
			write(t, ballast, make([]byte, 56<<10)) // room for two pages
			s := open(t, Options{Out: out}, nil)
			var batch []spool.Delivery
			for i := range count {
				batch = append(batch, spool.Delivery{Name: fmt.Sprintf("%02d.pki", i), DER: channeltest.Message(i)})
			}
			delivered := 0
			for i, err := range s.Deliver(t.Context(), batch) {
				switch {
				case err == nil:
					delivered++
				case !errors.Is(err, unix.ENOSPC) || spool.IsPermanent(err):
					t.Errorf("delivery %d: %v", i, err)
				}
			}
			if got := names(t, out); delivered == 0 || delivered == count || len(got) != delivered+1 {
				t.Errorf("%d delivered, folder %q", delivered, got)
			}
			must(t, os.Remove(ballast))
			batch = batch[:min(count, 12)]
			deliver(t, s, batch...)
			for _, d := range batch {
				if b, err := os.ReadFile(filepath.Join(out, d.Name)); err != nil || string(b) != string(d.DER) {
					t.Errorf("%s: %x, %v", d.Name, b, err)
				}
			}
		})
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	out := mount(t, "size=1m")
	s := open(t, Options{Out: out}, nil)
	d := spool.Delivery{Name: "a.pki", DER: channeltest.Message(1)}
	deliver(t, s, d)
	must(t, unix.Mount("none", out, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	e := spool.Delivery{Name: "b.pki", DER: channeltest.Message(2)}
	errs := s.Deliver(t.Context(), []spool.Delivery{d, e})
	if errs[0] != nil || !errors.Is(errs[1], unix.EROFS) || spool.IsPermanent(errs[1]) {
		t.Errorf("errors %v; want none for what is there, and a temporary one", errs)
	}
	must(t, unix.Mount("none", out, "tmpfs", unix.MS_REMOUNT, ""))
	deliver(t, s, d, e)
}

// Media are mounted over the folder, and go again.
func TestFileSystemMountedOverTheFolder(t *testing.T) {
	out := mount(t, "size=1m")
	s := open(t, Options{Out: out}, nil)
	d := spool.Delivery{Name: "a.pki", DER: channeltest.Message(1)}
	deliver(t, s, d)
	must(t, unix.Mount("none", out, "tmpfs", 0, "size=1m"))
	deliver(t, s, d)
	equal(t, "what is mounted", names(t, out), []string{"a.pki"})
	must(t, s.Close())
	must(t, unix.Unmount(out, 0))
	equal(t, "beneath", names(t, out), []string{"a.pki"})
}
