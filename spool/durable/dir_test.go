package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestRenameNoReplace(t *testing.T) {
	for name, rename := range renames {
		t.Run(name, func(t *testing.T) {
			from, to := open(t, t.TempDir()), open(t, t.TempDir())
			in := func(d *Dir, n string) string { return filepath.Join(d.Path(), n) }
			move := func(old, new string) error { return rename(from.h, old, to.h, new) }
			write(t, in(from, "a"), "A")
			write(t, in(from, "b"), "B")
			must(t, os.Mkdir(in(from, "folder"), 0o700))
			write(t, in(from, "folder/inner"), "inner")
			must(t, os.Symlink("a", in(from, "link")))
			must(t, os.Symlink("nowhere", in(from, "dangling")))
			must(t, os.Symlink("nowhere", in(to, "taken-link")))
			must(t, os.Mkdir(in(to, "taken-folder"), 0o700))

			must(t, move("a", "a"))
			for _, taken := range []string{"a", "taken-link", "taken-folder"} {
				for _, old := range []string{"b", "folder", "link"} {
					if err := move(old, taken); !errors.Is(err, fs.ErrExist) {
						t.Errorf("%s to %s: %v, want that it exists", old, taken, err)
					}
				}
			}
			if err := move("nothing", "x"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v", err)
			}
			for _, n := range []string{"b", "folder", "link", "dangling"} {
				before, err := os.Lstat(in(from, n))
				must(t, err)
				must(t, move(n, n))
				after, err := os.Lstat(in(to, n))
				must(t, err)
				if before.Mode() != after.Mode() {
					t.Errorf("%s is now %v, was %v", n, after.Mode(), before.Mode())
				}
			}
			if got := names(t, from.Path()); len(got) != 0 {
				t.Errorf("left: %q", got)
			}
			if got, want := names(t, to.Path()), []string{"a", "b", "dangling", "folder", "link", "taken-folder", "taken-link"}; !slices.Equal(got, want) {
				t.Errorf("arrived: %q, want %q", got, want)
			}
		})
	}
}

func TestMoveBetweenFileSystems(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "cmp-batch-test-")
	if err != nil {
		t.Skipf("no second file system: %v", err)
	}
	defer os.RemoveAll(other)
	from, to := open(t, t.TempDir()), open(t, other)
	write(t, filepath.Join(from.Path(), "a"), "A")
	if err := RenameNoReplace(from, "a", to, "a"); !errors.Is(err, ErrCrossDevice) {
		t.Errorf("error %v", err)
	}
}

func TestOpenTakesRegularFilesOnly(t *testing.T) {
	base := t.TempDir()
	d := open(t, base)
	write(t, filepath.Join(base, "file"), "contents")
	must(t, os.Symlink("file", filepath.Join(base, "link")))
	must(t, os.Mkdir(filepath.Join(base, "folder"), 0o700))
	makeFIFO(t, filepath.Join(base, "fifo")) // without a writer: opening it could wait for ever
	for _, n := range []string{"link", "folder", "fifo"} {
		if _, info, err := d.Open(n); !errors.Is(err, ErrNotRegular) || info.Regular() {
			t.Errorf("Open(%q): %+v, %v", n, info, err)
		}
		if same, err := d.Holds(n, []byte("contents")); same || err != nil {
			t.Errorf("Holds(%q) = %v, %v", n, same, err)
		}
	}
	b, info, err := d.Read("file", 8)
	if string(b) != "contents" || info.Size != 8 || err != nil {
		t.Errorf("Read: %q, %+v, %v", b, info, err)
	}
	if _, _, err := d.Read("file", 7); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	if _, _, err := d.Read("nothing", 7); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestInfoTellsChanges(t *testing.T) {
	base := t.TempDir()
	d := open(t, base)
	path := filepath.Join(base, "a")
	write(t, path, "1")
	before, err := d.Stat("a")
	must(t, err)
	if again, _ := d.Stat("a"); again != before {
		t.Error("it changed by itself")
	}
	must(t, os.Rename(path, filepath.Join(base, "b")))
	moved, err := d.Stat("b")
	must(t, err)
	if !moved.SameContent(before) || !moved.SameFile(before) {
		t.Error("a rename changes the contents")
	}
	must(t, os.Chtimes(filepath.Join(base, "b"), time.Time{}, time.Unix(1, 0)))
	touched, err := d.Stat("b")
	must(t, err)
	if touched.SameContent(before) || !touched.SameFile(before) {
		t.Error("another time is not seen")
	}
	write(t, path, "1")
	other, err := d.Stat("a")
	must(t, err)
	if other.SameFile(before) {
		t.Error("another file is not seen")
	}
}

func TestCurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder")
	must(t, os.Mkdir(path, 0o700))
	d := open(t, path)
	if ok, err := d.Current(); !ok || err != nil {
		t.Errorf("Current = %v, %v", ok, err)
	}
	must(t, os.Rename(path, path+".old"))
	if ok, err := d.Current(); ok || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Current = %v, %v", ok, err)
	}
	must(t, os.Mkdir(path, 0o700))
	if ok, err := d.Current(); ok || err != nil {
		t.Errorf("Current = %v, %v", ok, err)
	}
}

func TestSubIsNoLink(t *testing.T) {
	base := t.TempDir()
	d := open(t, base)
	must(t, os.Symlink(t.TempDir(), filepath.Join(base, "link")))
	if s, err := d.Sub("link", true); err == nil {
		s.Close()
		t.Error("a link was followed")
	}
	for range 2 {
		s, err := d.Sub("sub", true)
		must(t, err)
		s.Close()
	}
	must(t, d.RemoveSub("sub"))
	if _, err := d.Sub("sub", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
