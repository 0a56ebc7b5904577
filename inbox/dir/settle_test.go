package dir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cmp-batch/spool"
	"cmp-batch/spool/channeltest"
	"cmp-batch/spool/durable"
)

var message, other = channeltest.Message(1), channeltest.Message(2)

// Whatever is at the name when it is settled, only what was read is moved.
func TestReplacedAfterItWasRead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, path string)
	}{
		{"another file moved over it", func(t *testing.T, path string) { put(t, path, other) }},
		{"rewritten in place", func(t *testing.T, path string) { write(t, path, other) }},
		{"rewritten in place with its old time", func(t *testing.T, path string) {
			fi, err := os.Stat(path)
			must(t, err)
			write(t, path, other)
			must(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		}},
		{"deleted and made anew", func(t *testing.T, path string) { must(t, os.Remove(path)); write(t, path, other) }},
		{"now a link", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			write(t, path+".target", other)
			must(t, os.Symlink(path+".target", path))
		}},
	} {
		for _, action := range []spool.Action{spool.Done, spool.Quarantine} {
			for kind, change := range kinds(t) {
				t.Run(fmt.Sprintf("%s, action %d, %s", tt.name, action, kind), func(t *testing.T) {
					e := newEnv(t, change)
					e.put("x.pki", message)
					e.open()
					it := e.one()
					tt.change(t, filepath.Join(e.o.In, "x.pki"))
					e.settled(action, it)
					if n := files(t, e.o.Failed); n != 0 {
						t.Errorf("%d files in quarantine", n)
					}
					again := e.one()
					if strings.Contains(tt.name, "link") {
						if again.Bad == "" {
							t.Errorf("item %+v", again)
						}
					} else if !bytes.Equal(again.DER, other) {
						t.Errorf("shown again: %x, want %x", again.DER, other)
					}
				})
			}
		}
	}
}

func kinds(t *testing.T) map[string]func(*Options) {
	return map[string]func(*Options){
		"archive": func(*Options) {}, "delete": deletes, "another file system": elsewhere(t),
	}
}

// The sender is faster than the system call: between the look and the move.
func TestReplacedBetweenLookAndMove(t *testing.T) {
	for _, action := range []spool.Action{spool.Done, spool.Quarantine} {
		for kind, change := range kinds(t) {
			t.Run(fmt.Sprintf("action %d, %s", action, kind), func(t *testing.T) {
				e := newEnv(t, change)
				replaced := false
				e.fault = func(op durable.Op, dir, name string) (bool, error) {
					if op == durable.OpMove && dir == e.o.In && !replaced {
						replaced = true
						put(t, filepath.Join(e.o.In, "x.pki"), other)
					}
					return true, nil
				}
				e.put("x.pki", message)
				e.open()
				e.settled(action, e.one())
				if !replaced {
					t.Fatal("nothing was moved")
				}
				it := e.one()
				if !bytes.Equal(it.DER, other) || it.Return.Name != "x.pki" {
					t.Fatalf("shown again: %q %x, want %x", it.Return.Name, it.DER, other)
				}
				equal(t, "failed folder", names(t, e.o.Failed), nil)
				e.settled(spool.Done, it)
				if files(t, e.o.In) != 0 {
					t.Error("something is left")
				}
			})
		}
	}
}

func TestArchiveReplacesNothing(t *testing.T) {
	for kind, change := range kinds(t) {
		if kind == "delete" {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t, change)
			mkdir(t, filepath.Join(e.o.Archive, "x-2.pki"))
			must(t, os.Symlink("/nowhere", filepath.Join(e.o.Archive, "x-3.pki")))
			e.open()
			for i := range 5 {
				// Each one twice: what is there already is not stored again.
				for range 2 {
					e.put("x.pki", channeltest.Message(i))
					e.settled(spool.Done, e.one())
				}
			}
			equal(t, "archive", names(t, e.o.Archive), []string{"x-2.pki", "x-3.pki", "x-4.pki", "x-5.pki", "x-6.pki", "x-7.pki", "x.pki"})
			for i, n := range []string{"x.pki", "x-4.pki", "x-5.pki", "x-6.pki", "x-7.pki"} {
				if got := read(t, filepath.Join(e.o.Archive, n)); !bytes.Equal(got, channeltest.Message(i)) {
					t.Errorf("%s: %x, want %x", n, got, channeltest.Message(i))
				}
			}
			if files(t, e.o.In) != 0 {
				t.Error("something is left")
			}
		})
	}
}

func TestOneNameForEver(t *testing.T) {
	e := newEnv(t)
	e.open()
	const n = 110
	for i := range n {
		e.put("req.pki", channeltest.Message(i))
		e.settled(spool.Done, e.one())
	}
	e.put("req.pki", channeltest.Message(n-1))
	e.settled(spool.Done, e.one())
	if got := files(t, e.o.Archive); got != n {
		t.Fatalf("%d archived, want %d", got, n)
	}
}

func TestVanishedFileIsSettled(t *testing.T) {
	for _, action := range []spool.Action{spool.Done, spool.Quarantine, spool.Retry} {
		for kind, change := range kinds(t) {
			t.Run(fmt.Sprintf("action %d, %s", action, kind), func(t *testing.T) {
				e := newEnv(t, change)
				e.put("x.pki", message)
				e.open()
				it := e.one()
				must(t, os.Remove(filepath.Join(e.o.In, "x.pki")))
				e.settled(action, it)
				e.none()
				if len(names(t, e.o.Failed)) != 0 || len(e.src.claims) != 0 {
					t.Errorf("failed folder %q, claims %v", names(t, e.o.Failed), e.src.claims)
				}
			})
		}
	}
}

func TestUnknownAction(t *testing.T) {
	e := newEnv(t)
	e.put("x.pki", message)
	e.open()
	if errs := e.settle(9, e.one()); !spool.IsPermanent(errs[0]) {
		t.Errorf("error %v", errs[0])
	}
}

func TestWhatCannotBeCopiedStays(t *testing.T) {
	for _, node := range nodes[:7] {
		t.Run(node.name, func(t *testing.T) {
			e := newEnv(t, elsewhere(t))
			node.make(t, filepath.Join(e.o.In, "x.pki"))
			e.put("y.pki", []byte("bad"))
			e.open()
			errs := e.settle(spool.Quarantine, e.collect(10)...)
			if !spool.IsPermanent(errs[0]) || !errors.Is(errs[0], durable.ErrCrossDevice) || errs[1] != nil {
				t.Errorf("errors %v", errs)
			}
			equal(t, "failed folder", names(t, e.o.Failed), []string{"y.pki", "y.pki.reason.json"})
			if _, err := os.Lstat(filepath.Join(e.o.In, "x.pki")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A crash between the move into the hold and the deletion.
func TestHeldFilesComeBack(t *testing.T) {
	e := newEnv(t, deletes)
	hold := filepath.Join(e.o.In, holdName)
	mkdir(t, hold)
	write(t, filepath.Join(hold, "x.pki"), message)
	write(t, filepath.Join(hold, "y.pki"), message)
	e.put("y.pki", other)
	e.open()
	items := e.collect(10)
	var got []string
	for _, it := range items {
		got = append(got, it.Return.Name)
	}
	equal(t, "items", got, []string{"x.pki", "y-2.pki", "y.pki"})
	e.settled(spool.Done, items...)
	e.src.Close()
	entries, err := os.ReadDir(e.o.In)
	if err != nil || len(entries) != 0 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestHoldThatIsALinkIsNotFollowed(t *testing.T) {
	e := newEnv(t, deletes)
	outside := t.TempDir()
	write(t, filepath.Join(outside, "x.pki"), other)
	must(t, os.Symlink(outside, filepath.Join(e.o.In, holdName)))
	e.put("a.pki", message)
	e.open()
	it := e.one()
	if errs := e.settle(spool.Done, it); errs[0] == nil {
		t.Error("settled through a link")
	}
	equal(t, "outside", names(t, outside), []string{"x.pki"})
	must(t, os.Remove(filepath.Join(e.o.In, holdName)))
	e.settled(spool.Done, it)
	e.none()
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"no folder", func(o *Options) { o.In = "" }, "no folder for messages is given"},
		{"no failed folder", func(o *Options) { o.Failed = "" }, "no folder for bad messages is given"},
		{"neither archive nor delete", func(o *Options) { o.Archive = "" }, "neither an archive folder nor deletion is given"},
		{"both", func(o *Options) { o.Delete = true }, "both an archive folder and deletion are given"},
		{"negative size", func(o *Options) { o.MaxBytes = -1 }, "must not be negative"},
		{"negative time", func(o *Options) { o.StaleAfter = -1 }, "must not be negative"},
		{"suffix without a dot", func(o *Options) { o.Suffixes = []string{"pki"} }, `suffix "pki"`},
		{"empty suffix", func(o *Options) { o.Suffixes = []string{"."} }, `suffix "."`},
		{"suffix of unfinished files", func(o *Options) { o.Suffixes = []string{".pki", ".tmp"} }, `suffix ".tmp"`},
		{"archive is in", func(o *Options) { o.Archive = o.In }, "is also another folder of the channel"},
		{"archive is failed", func(o *Options) { o.Archive = o.Failed }, "is also another folder of the channel"},
		{"failed is in by another path", func(o *Options) {
			link := filepath.Join(t.TempDir(), "link")
			must(t, os.Symlink(o.In, link))
			o.Failed = link
		}, "are the same"},
		{"folder is not there", func(o *Options) { o.In += "/nothing" }, "no such file or directory"},
		{"archive is a file", func(o *Options) { o.Archive += "/file" }, "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			write(t, filepath.Join(e.o.Archive, "file"), nil)
			tt.change(&e.o)
			s, err := New(e.o)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestUnreadableFileWaitsAndCanBePutAside(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.StaleAfter = time.Hour })
	e.put("x.pki", message)
	path := filepath.Join(e.o.In, "x.pki")
	must(t, os.Chmod(path, 0))
	asNobody(t, e)
	e.open()
	e.none()
	e.none()
	if n := strings.Count(e.log.String(), "cannot be read"); n != 1 {
		t.Errorf("%d reports, want 1", n)
	}
	must(t, os.Chmod(path, 0o600))
	it := e.one() // permissions that come later
	e.settled(spool.Retry, it)
	must(t, os.Chmod(path, 0))
	e.none()
	e.pass(time.Hour)
	it = e.one()
	if !strings.Contains(it.Bad, "permission denied; no change for 1h0m0s") {
		t.Fatalf("bad %q", it.Bad)
	}
	e.settled(spool.Quarantine, it)
	if r := reasonOf(t, e, "x.pki"); r.SHA256 != "" || r.Size != int64(len(message)) {
		t.Errorf("reason %+v", r)
	}
}

func TestFolderWithoutPermission(t *testing.T) {
	e := newEnv(t)
	e.put("x.pki", message)
	e.put("y.pki", []byte("bad"))
	asNobody(t, e)
	e.open()
	items := e.collect(10)
	for _, d := range []string{e.o.In, e.o.Archive, e.o.Failed} {
		must(t, os.Chmod(d, 0o500))
	}
	for i, action := range []spool.Action{spool.Done, spool.Quarantine} {
		if errs := e.settle(action, items[i]); !errors.Is(errs[0], os.ErrPermission) || spool.IsPermanent(errs[0]) {
			t.Errorf("error %v, want a temporary one", errs[0])
		}
	}
	for _, d := range []string{e.o.In, e.o.Archive, e.o.Failed} {
		must(t, os.Chmod(d, 0o700))
	}
	e.settled(spool.Done, items[0])
	e.settled(spool.Quarantine, items[1])
	if files(t, e.o.Archive) != 1 || files(t, e.o.Failed) != 1 || files(t, e.o.In) != 0 {
		t.Error("not settled")
	}
}
