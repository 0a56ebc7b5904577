package dir

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cmp-batch/spool"
)

func TestFolderRenamedAndMadeAnew(t *testing.T) {
	e := newEnv(t)
	e.put("x.pki", message)
	e.put("half.pki", message[:4])
	e.open()
	old := e.one()
	must(t, os.Rename(e.o.In, e.o.In+".old"))
	if _, err := e.src.Collect(t.Context(), 1); err == nil {
		t.Fatal("no error while there is no folder")
	}
	mkdir(t, e.o.In)
	e.put("x.pki", other)
	fresh := e.one()
	if !bytes.Equal(fresh.DER, other) || fresh.ID == old.ID {
		t.Fatalf("item %+v; the old one has ID %q", fresh, old.ID)
	}
	// The claim on the old file is no claim on the new one.
	e.settled(spool.Done, old)
	equal(t, "archive", names(t, e.o.Archive), nil)
	e.settled(spool.Done, fresh)
	equal(t, "archive", names(t, e.o.Archive), []string{"x.pki"})
	equal(t, "old folder", names(t, e.o.In+".old"), []string{"half.pki", "x.pki"})
}

// Renamed, but not yet noticed: the claims follow the folder.
func TestFolderRenamedWhileClaimed(t *testing.T) {
	e := newEnv(t)
	e.put("x.pki", message)
	e.open()
	it := e.one()
	must(t, os.Rename(e.o.In, e.o.In+".old"))
	mkdir(t, e.o.In)
	e.put("x.pki", other)
	e.settled(spool.Done, it)
	if got := read(t, filepath.Join(e.o.Archive, "x.pki")); !bytes.Equal(got, message) {
		t.Errorf("archived %x, want what was read", got)
	}
	if it := e.one(); !bytes.Equal(it.DER, other) {
		t.Errorf("item %+v", it)
	}
}

func TestFolderReplacedByALink(t *testing.T) {
	e := newEnv(t)
	e.open()
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "x.pki"), message)
	must(t, os.Remove(e.o.In))
	must(t, os.Symlink(elsewhere, e.o.In))
	// The path is the operator's: it leads where it leads.
	e.settled(spool.Done, e.one())
	equal(t, "behind the link", names(t, elsewhere), nil)
	equal(t, "archive", names(t, e.o.Archive), []string{"x.pki"})
}

func TestFolderReplacedByAFile(t *testing.T) {
	e := newEnv(t)
	e.open()
	must(t, os.Remove(e.o.In))
	write(t, e.o.In, nil)
	if _, err := e.src.Collect(t.Context(), 1); err == nil || spool.IsPermanent(err) {
		t.Fatalf("error %v, want a temporary one", err)
	}
	must(t, os.Remove(e.o.In))
	mkdir(t, e.o.In)
	e.put("x.pki", message)
	e.one()
}

func TestReceivingFoldersMadeAnew(t *testing.T) {
	for _, tt := range []struct {
		name   string
		action spool.Action
		folder func(o Options) string
	}{
		{"archive", spool.Done, func(o Options) string { return o.Archive }},
		{"failed", spool.Quarantine, func(o Options) string { return o.Failed }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			e.put("x.pki", message)
			e.open()
			it := e.one()
			must(t, os.Remove(tt.folder(e.o)))
			if errs := e.settle(tt.action, it); errs[0] == nil || spool.IsPermanent(errs[0]) {
				t.Fatalf("error %v, want a temporary one", errs[0])
			}
			e.none() // still claimed
			mkdir(t, tt.folder(e.o))
			e.settled(tt.action, it)
			if n := files(t, tt.folder(e.o)); n != 1 {
				t.Errorf("%d files", n)
			}
		})
	}
}

// waits calls Wait until a message can be collected. Only events end the
// waits: the interval is an hour.
func (e *env) waits() spool.Item {
	e.Helper()
	for {
		if items := e.collect(1); len(items) == 1 {
			return items[0]
		}
		if err := e.src.Wait(e.Context(), 24*time.Hour); err != nil {
			e.Fatal(err)
		}
	}
}

func TestEventsEndTheWait(t *testing.T) {
	path := func(e *env, n string) string { return filepath.Join(e.o.In, n) }
	for _, tt := range []struct {
		name   string
		arrive func(t *testing.T, e *env)
	}{
		{"moved in", func(t *testing.T, e *env) { e.put("x.pki", message) }},
		{"written in place, slowly", func(t *testing.T, e *env) {
			f, err := os.Create(path(e, "x.pki"))
			must(t, err)
			defer f.Close()
			for i := range message {
				if _, err := f.Write(message[i : i+1]); err != nil {
					t.Error(err)
				}
			}
		}},
		{"linked", func(t *testing.T, e *env) {
			write(t, path(e, "x.tmp"), message)
			must(t, os.Link(path(e, "x.tmp"), path(e, "x.pki")))
		}},
		{"after other names", func(t *testing.T, e *env) {
			for range 100 {
				write(t, path(e, "other.txt"), message)
			}
			e.put("x.pki", message)
		}},
		{"into a folder made anew", func(t *testing.T, e *env) {
			must(t, os.Rename(e.o.In, e.o.In+".old"))
			mkdir(t, e.o.In+".new")
			write(t, e.o.In+".new/x.pki", message)
			must(t, os.Rename(e.o.In+".new", e.o.In))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			e.open()
			e.none()
			done := make(chan struct{})
			go func() { defer close(done); tt.arrive(t, e) }()
			if tt.name == "into a folder made anew" {
				<-done // between the two renames, Collect would rightly fail
			}
			if it := e.waits(); !bytes.Equal(it.DER, message) {
				t.Errorf("item %+v", it)
			}
			<-done
		})
	}
}

func TestEventsAfterTheFolderWasMadeAnew(t *testing.T) {
	e := newEnv(t)
	e.open()
	for range 3 {
		must(t, os.RemoveAll(e.o.In))
		mkdir(t, e.o.In)
		e.none()
		done := make(chan struct{})
		go func() { defer close(done); e.put("x.pki", message) }()
		e.settled(spool.Done, e.waits())
		<-done
	}
}

func TestLostEventsLeadToALook(t *testing.T) {
	e := newEnv(t)
	e.open()
	e.none()
	for range 3 {
		e.src.watch.loseAndWake() // as an overflow does
		if err := e.src.Wait(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
}
