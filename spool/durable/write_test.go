package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func write(t testing.TB, path, data string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(data), 0o600))
}

func names(t testing.TB, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// ways are the ways in which WriteAll can work, for the same result.
func ways(t *testing.T, test func(t *testing.T, d *Dir, files int)) {
	for _, tt := range []struct {
		name  string
		files int
		limit func(d *Dir)
	}{
		{"few files", 3, func(*Dir) {}},
		{"many files", 3 * syncFrom, func(*Dir) {}},
		{"more than a chunk", chunk + 3, func(*Dir) {}},
		{"no syncfs", 3 * syncFrom, func(d *Dir) { d.h.syncFS = false }},
		{"no nameless files, few", 3, withoutTmpfile},
		{"no nameless files, many", 3 * syncFrom, withoutTmpfile},
		{"no privilege to link", 3 * syncFrom, withoutEmptyPath},
		{"as on a file system with nothing", 3 * syncFrom, func(d *Dir) { withoutTmpfile(d); d.h.syncFS = false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, t.TempDir())
			tt.limit(d)
			test(t, d, tt.files)
		})
	}
}

func batch(n int) (files []NewFile) {
	for i := range n {
		files = append(files, NewFile{Name: fmt.Sprintf("%04d.pki", i), Data: []byte(fmt.Sprintf("contents of %d", i))})
	}
	return files
}

func TestWriteAll(t *testing.T) {
	ways(t, func(t *testing.T, d *Dir, n int) {
		files := batch(n)
		files[1].Data = nil // empty is a file, too
		for range 2 {
			for i, p := range d.WriteAll(t.Context(), files, WriteOptions{}) {
				if p.Err != nil || p.Name != files[i].Name {
					t.Fatalf("file %d: %+v", i, p)
				}
			}
			if got := names(t, d.Path()); len(got) != n {
				t.Fatalf("%d names, want %d", len(got), n)
			}
			for _, f := range files {
				if b, err := os.ReadFile(filepath.Join(d.Path(), f.Name)); err != nil || !bytes.Equal(b, f.Data) {
					t.Fatalf("%s: %q, %v", f.Name, b, err)
				}
			}
		}
	})
}

// TestOrderOfSteps holds WriteAll to what the package comment says.
func TestOrderOfSteps(t *testing.T) {
	ways(t, func(t *testing.T, d *Dir, n int) {
		var written, synced, named, made int
		d.Inject(func(op Op, _, name string) (bool, error) {
			for _, x := range names(t, d.Path()) {
				if b, err := os.ReadFile(filepath.Join(d.Path(), x)); err == nil && !strings.HasPrefix(x, ".") && !strings.HasPrefix(string(b), "contents of") {
					t.Errorf("before %s of %q: %q is visible with %q", op, name, x, b)
				}
			}
			switch op {
			case OpCreate:
			case OpWrite:
				written++
			case OpSync:
				synced++
			case OpSyncFS:
				synced = written
			case OpName:
				if named++; synced != written {
					t.Errorf("%q is named when %d of %d files are synced", name, synced, written)
				}
			case OpDirSync:
				if made = named; written != named {
					t.Errorf("directory synced when %d of %d files are named", named, written)
				}
			default:
				t.Errorf("step %s of %q", op, name)
			}
			return true, nil
		})
		d.WriteAll(t.Context(), batch(n), WriteOptions{})
		if made != n {
			t.Errorf("%d files are durable, want %d", made, n)
		}
	})
}

func TestTakenName(t *testing.T) {
	ways(t, func(t *testing.T, d *Dir, n int) {
		files := batch(n)
		write(t, filepath.Join(d.Path(), files[0].Name), "other")
		for i, p := range d.WriteAll(t.Context(), files, WriteOptions{}) {
			if (i == 0) != errors.Is(p.Err, fs.ErrExist) {
				t.Errorf("file %d: %+v", i, p)
			}
		}
		for i, p := range d.WriteAll(t.Context(), files, WriteOptions{Rename: true}) {
			want := files[i].Name
			if i == 0 {
				want = "0000-2.pki"
			}
			if p.Err != nil || p.Name != want {
				t.Errorf("file %d: %+v, want %q", i, p, want)
			}
		}
		if b, _ := os.ReadFile(filepath.Join(d.Path(), files[0].Name)); string(b) != "other" {
			t.Errorf("what was there is now %q", b)
		}
	})
}

// Another process takes the name between the look and the link.
func TestNameTakenAtTheLastMoment(t *testing.T) {
	for _, tt := range []struct {
		name, there, want string
		rename            bool
		err               error
	}{
		{"by the same contents", "contents of 0", "0000.pki", true, nil},
		{"by others", "other", "0000-2.pki", true, nil},
		{"by others, and no other name is allowed", "other", "", false, fs.ErrExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ways(t, func(t *testing.T, d *Dir, n int) {
				d.Inject(func(op Op, _, name string) (bool, error) {
					if op == OpName && name == "0000.pki" {
						write(t, filepath.Join(d.Path(), name), tt.there)
					}
					return true, nil
				})
				got := d.WriteAll(t.Context(), batch(n), WriteOptions{Rename: tt.rename})
				if !errors.Is(got[0].Err, tt.err) || tt.err == nil && got[0] != (Placed{Name: tt.want}) {
					t.Errorf("%+v", got[0])
				}
				if b, _ := os.ReadFile(filepath.Join(d.Path(), "0000.pki")); string(b) != tt.there {
					t.Errorf("what was there is now %q", b)
				}
				for _, x := range names(t, d.Path()) {
					if strings.HasPrefix(x, ".") {
						t.Errorf("%q is left", x)
					}
				}
			})
		})
	}
}

// Another process believes a temporary file to be left by a crash.
func TestTemporaryFileTakenAway(t *testing.T) {
	for _, n := range []int{3, 3 * syncFrom} {
		for _, times := range []int{1, 100} {
			d := open(t, t.TempDir())
			withoutTmpfile(d)
			left := times
			d.Inject(func(op Op, _, name string) (bool, error) {
				if op == OpName && name == "0001.pki" && left > 0 {
					left--
					if k, err := open(t, d.Path()).RemoveStale(time.Now().Add(time.Hour)); k == 0 || err != nil {
						t.Errorf("%d removed, %v", k, err)
					}
				}
				return true, nil
			})
			for i, p := range d.WriteAll(t.Context(), batch(n), WriteOptions{}) {
				if (p.Err != nil) != (i == 1 && times > 3) {
					t.Errorf("file %d of %d, taken away %d times: %v", i, n, times, p.Err)
				}
			}
		}
	}
}

// A failed syncfs may be the fault of somebody else's file: each is tried alone.
func TestSyncfsFails(t *testing.T) {
	d := open(t, t.TempDir())
	if !d.h.syncFS {
		t.Skip("syncfs is not used here")
	}
	io := errors.New("input/output error")
	d.Inject(func(op Op, _, name string) (bool, error) {
		if op == OpSyncFS || op == OpSync && name == "0005.pki" {
			return true, io
		}
		return true, nil
	})
	for i, p := range d.WriteAll(t.Context(), batch(3*syncFrom), WriteOptions{}) {
		if (i == 5) != errors.Is(p.Err, io) {
			t.Errorf("file %d: %v", i, p.Err)
		}
	}
	if slices.Contains(names(t, d.Path()), "0005.pki") {
		t.Error("a file that is not durable is visible")
	}
}

func TestBadNames(t *testing.T) {
	d := open(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "a/b", "/a", "../a", "a\x00", strings.Repeat("a", 256)} {
		if p := d.WriteAll(t.Context(), []NewFile{{Name: name}}, WriteOptions{}); !errors.Is(p[0].Err, ErrName) {
			t.Errorf("WriteAll(%.20q): %v", name, p[0].Err)
		}
		_, err1 := d.Stat(name)
		_, _, err2 := d.Open(name)
		_, err3 := d.Sub(name, true)
		for _, err := range []error{err1, err2, err3, d.Remove(name), d.RemoveSub(name), RenameNoReplace(d, name, d, "x"), RenameNoReplace(d, "x", d, name)} {
			if !errors.Is(err, ErrName) {
				t.Errorf("%.20q: %v", name, err)
			}
		}
	}
	if got := names(t, d.Path()); len(got) != 0 {
		t.Errorf("folder %q", got)
	}
}

func TestVariant(t *testing.T) {
	none := func() ([]byte, error) { t.Error("contents were asked for"); return nil, nil }
	long := strings.Repeat("x", 251) + ".pki"
	for _, tt := range []struct {
		name  string
		k     int
		limit int
		want  string
	}{
		{"a.pki", 0, 255, "a.pki"},
		{"a.pki", 1, 255, "a-2.pki"},
		{"a.pki", 98, 255, "a-99.pki"},
		{"a", 1, 255, "a-2"},
		{"a.b.pki", 2, 255, "a.b-3.pki"},
		{".pki", 1, 255, ".pki-2"},
		{"a.", 1, 255, "a-2."},
		{"a." + strings.Repeat("e", 100), 1, 255, "a." + strings.Repeat("e", 100) + "-2"},
		{long, 0, 255, long},
		{long, 1, 255, long[:249] + "-2.pki"},
		{long, 0, 243, long[:239] + ".pki"},
	} {
		if got, ok, err := Variant(tt.name, tt.k, tt.limit, none); got != tt.want || !ok || err != nil {
			t.Errorf("Variant(%.20q, %d, %d) = %q, %v, %v; want %q", tt.name, tt.k, tt.limit, got, ok, err, tt.want)
		}
	}
	abc := func() ([]byte, error) { return []byte("abc"), nil } // its SHA-256 is in FIPS 180-4
	if got, ok, _ := Variant("a.pki", 99, 255, abc); got != "a-ba7816bf8f01cfea.pki" || !ok {
		t.Errorf("the last variant is %q", got)
	}
	if _, ok, _ := Variant("a.pki", 100, 255, none); ok {
		t.Error("there is no end")
	}
}

// FuzzVariant: variants are usable names of the same kind, all different.
func FuzzVariant(f *testing.F) {
	for _, s := range []string{"a.pki", "a", ".pki", "..pki", "\xff\xff.pki", strings.Repeat("ü", 127), strings.Repeat("\xbf", 255), strings.Repeat("a.", 127), "x." + strings.Repeat("y", 253)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) != nil {
			return
		}
		for _, limit := range []int{243, 255} {
			seen := map[string]bool{}
			for k := 0; ; k++ {
				v, ok, err := Variant(name, k, limit, func() ([]byte, error) { return []byte(name), nil })
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if err := CheckName(v); err != nil || len(v) > limit || seen[v] {
					t.Fatalf("variant %d of %q is %q: %v", k, name, v, err)
				}
				if utf8.ValidString(name) && !utf8.ValidString(v) {
					t.Fatalf("variant %d of %q breaks a character: %q", k, name, v)
				}
				if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 16 && !strings.HasSuffix(v, name[i:]) {
					t.Fatalf("variant %d of %q has lost its end: %q", k, name, v)
				}
				seen[v] = true
			}
			if len(seen) != numbered+1 {
				t.Fatalf("%d variants", len(seen))
			}
		}
	})
}
