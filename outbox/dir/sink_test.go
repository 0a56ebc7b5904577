package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cmp-batch/spool"
	"cmp-batch/spool/channeltest"
	"cmp-batch/spool/durable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o600))
}

func open(t testing.TB, o Options, fault durable.Fault) *Sink {
	t.Helper()
	o.Channel = "usb"
	s, err := newSink(o, fault)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// names lists a folder with all that is hidden.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	sort.Strings(list)
	return list
}

func deliver(t testing.TB, s *Sink, d ...spool.Delivery) {
	t.Helper()
	for i, err := range s.Deliver(t.Context(), d) {
		if err != nil {
			t.Fatalf("Deliver %.40q: %v", d[i].Name, err)
		}
	}
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestConformance(t *testing.T) {
	channeltest.Sink(t, func(t *testing.T) channeltest.SinkFixture {
		out := t.TempDir()
		return channeltest.SinkFixture{
			Channel: "usb",
			Open: func(t *testing.T) spool.Sink {
				s, err := New(Options{Channel: "usb", Out: out})
				must(t, err)
				return s
			},
			Arrived: func(t *testing.T) (all [][]byte) {
				for _, n := range names(t, out) {
					b, err := os.ReadFile(filepath.Join(out, n))
					must(t, err)
					all = append(all, b)
				}
				return all
			},
			BadName: "../escape.pki",
		}
	})
}

func TestNames(t *testing.T) {
	long := strings.Repeat("n", 251) + ".pki"
	for _, tt := range []struct {
		name string
		ok   bool
	}{
		{"a.pki", true}, {"a", true}, {"with space.pki", true}, {"-rf.pki", true}, {"new\nline.pki", true}, {"\xff\xfe.pki", true},
		{"\x1b[2J.pki", true}, {"%s.pki", true}, {`back\slash.pki`, true}, {long, true}, {"a..pki", true}, {"~", true},
		{"", false}, {".", false}, {"..", false}, {"../a.pki", false}, {"/etc/passwd", false}, {"a/b.pki", false}, {"a\x00.pki", false},
		{".hidden.pki", false}, {".cmp-batch-0123456789abcdef.tmp", false}, {long + "x", false}, {strings.Repeat("x", 100_000), false},
	} {
		t.Run(fmt.Sprintf("%.40q", tt.name), func(t *testing.T) {
			base := t.TempDir()
			out := filepath.Join(base, "out")
			must(t, os.Mkdir(out, 0o700))
			s := open(t, Options{Out: out}, nil)
			errs := s.Deliver(t.Context(), []spool.Delivery{
				{Name: "first.pki", DER: channeltest.Message(1)}, {Name: tt.name, DER: channeltest.Message(2)}, {Name: "last.pki", DER: channeltest.Message(3)},
			})
			want := []string{"first.pki", "last.pki"}
			if tt.ok {
				want = append(want, tt.name)
			}
			sort.Strings(want)
			if errs[0] != nil || errs[2] != nil || (errs[1] == nil) != tt.ok || errs[1] != nil && (!spool.IsPermanent(errs[1]) || len(errs[1].Error()) > 400) {
				t.Errorf("errors %v", errs)
			}
			equal(t, "folder", names(t, out), want)
			equal(t, "around it", names(t, base), []string{"out"})
		})
	}
}

// FuzzNames delivers under any name: exactly one file, or a permanent error.
func FuzzNames(f *testing.F) {
	for _, n := range []string{"a.pki", "", ".", "..", "../x", "/x", "a/b", "a\x00b", ".x", "\xff.pki", "new\nline", strings.Repeat("x", 256)} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, name string) {
		base := t.TempDir()
		out := filepath.Join(base, "out")
		must(t, os.Mkdir(out, 0o700))
		s := open(t, Options{Out: out}, nil)
		err := s.Deliver(t.Context(), []spool.Delivery{{Name: name, DER: channeltest.Message(1)}})[0]
		got := names(t, out)
		if err != nil && (!spool.IsPermanent(err) || len(got) != 0) || err == nil && !slices.Equal(got, []string{name}) {
			t.Fatalf("Deliver(%q): %v, folder %q", name, err, got)
		}
		equal(t, "around it", names(t, base), []string{"out"})
	})
}

func TestTakenNames(t *testing.T) {
	message := channeltest.Message
	out, outside := t.TempDir(), t.TempDir()
	must(t, os.Mkdir(filepath.Join(out, "a.pki"), 0o700))
	write(t, filepath.Join(outside, "b"), message(1))
	must(t, os.Symlink(filepath.Join(outside, "b"), filepath.Join(out, "a-2.pki"))) // the same octets, but not in this folder
	must(t, os.Symlink("nowhere", filepath.Join(out, "a-3.pki")))
	write(t, filepath.Join(out, "a-4.pki"), message(1)[:5])            // a beginning
	write(t, filepath.Join(out, "a-5.pki"), append(message(1), 0))     // and more
	write(t, filepath.Join(out, "a-7.pki"), []byte("somebody else's")) // behind a gap
	s := open(t, Options{Out: out}, nil)
	for range 3 {
		for n := 1; n <= 3; n++ {
			deliver(t, s, spool.Delivery{Name: "a.pki", DER: message(n)})
		}
	}
	equal(t, "folder", names(t, out), []string{"a-2.pki", "a-3.pki", "a-4.pki", "a-5.pki", "a-6.pki", "a-7.pki", "a-8.pki", "a-9.pki", "a.pki"})
	for name, n := range map[string]int{"a-6.pki": 1, "a-8.pki": 2, "a-9.pki": 3} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || !bytes.Equal(got, message(n)) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

func TestTakenLongName(t *testing.T) {
	out := t.TempDir()
	s := open(t, Options{Out: out}, nil)
	name := strings.Repeat("ü", 125) + "x.pki" // 255 octets
	for range 2 {
		for n := range 3 {
			deliver(t, s, spool.Delivery{Name: name, DER: channeltest.Message(n)})
		}
	}
	want := []string{strings.Repeat("ü", 124) + "-2.pki", strings.Repeat("ü", 124) + "-3.pki", name}
	sort.Strings(want)
	equal(t, "folder", names(t, out), want)
}

func TestOneNameForEver(t *testing.T) {
	out := t.TempDir()
	s := open(t, Options{Out: out}, nil)
	const n = 120
	for range 2 {
		var batch []spool.Delivery
		for i := range n {
			batch = append(batch, spool.Delivery{Name: "req.pki", DER: channeltest.Message(i)})
		}
		deliver(t, s, batch...)
		if got := len(names(t, out)); got != n {
			t.Fatalf("%d files, want %d", got, n)
		}
	}
}

func TestPermissions(t *testing.T) {
	for _, perm := range []fs.FileMode{0, 0o600, 0o640, 0o666} {
		for _, batch := range []int{1, 20} {
			out := t.TempDir()
			s := open(t, Options{Out: out, Perm: perm}, nil)
			var d []spool.Delivery
			for i := range batch {
				d = append(d, spool.Delivery{Name: fmt.Sprintf("%d.pki", i), DER: channeltest.Message(i)})
			}
			deliver(t, s, d...)
			fi, err := os.Stat(filepath.Join(out, "0.pki"))
			must(t, err)
			if got := fi.Mode().Perm(); perm != 0 && got != perm || perm == 0 && got&^0o644 != 0 {
				t.Errorf("permissions %v, want %v", got, perm)
			}
		}
	}
	if _, err := New(Options{Out: t.TempDir(), Perm: fs.ModeSetuid | 0o755}); err == nil {
		t.Error("setuid is accepted")
	}
}

func TestStaleTemporaryFiles(t *testing.T) {
	out := t.TempDir()
	start := time.Now()
	for name, age := range map[string]time.Duration{
		".cmp-batch-0123456789abcdef.tmp": time.Second, // ours, of an earlier run
		".cmp-batch-fedcba9876543210.tmp": -time.Hour,  // of another process, now
		".cmp-batch-short.tmp":            time.Second,
		".other.tmp":                      time.Second,
		"a.pki":                           time.Second,
	} {
		path := filepath.Join(out, name)
		write(t, path, []byte("x"))
		must(t, os.Chtimes(path, start.Add(-age), start.Add(-age)))
	}
	must(t, os.Mkdir(filepath.Join(out, ".cmp-batch-00000000000000aa.tmp"), 0o700))
	must(t, os.Chtimes(filepath.Join(out, ".cmp-batch-00000000000000aa.tmp"), start.Add(-time.Hour), start.Add(-time.Hour)))
	open(t, Options{Out: out, Now: func() time.Time { return start }}, nil)
	equal(t, "folder", names(t, out), []string{
		".cmp-batch-00000000000000aa.tmp", ".cmp-batch-fedcba9876543210.tmp", ".cmp-batch-short.tmp", ".other.tmp", "a.pki",
	})
}

func TestFolderExchanged(t *testing.T) {
	base := t.TempDir()
	out := filepath.Join(base, "out")
	must(t, os.Mkdir(out, 0o700))
	s := open(t, Options{Out: out}, nil)
	d := spool.Delivery{Name: "a.pki", DER: channeltest.Message(1)}
	deliver(t, s, d)

	must(t, os.Rename(out, out+".taken"))
	if err := s.Deliver(t.Context(), []spool.Delivery{d})[0]; err == nil || spool.IsPermanent(err) {
		t.Fatalf("error %v, want a temporary one while there is no folder", err)
	}
	must(t, os.Mkdir(out, 0o700))
	deliver(t, s, d)
	equal(t, "new folder", names(t, out), []string{"a.pki"})

	elsewhere := t.TempDir()
	must(t, os.RemoveAll(out))
	must(t, os.Symlink(elsewhere, out))
	deliver(t, s, d)
	equal(t, "behind the link", names(t, elsewhere), []string{"a.pki"})
}

func TestFolderExchangedDuringDelivery(t *testing.T) {
	base := t.TempDir()
	out := filepath.Join(base, "out")
	must(t, os.Mkdir(out, 0o700))
	exchanged := false
	s := open(t, Options{Out: out}, func(op durable.Op, _, _ string) (bool, error) {
		if op == durable.OpDirSync && !exchanged {
			exchanged = true
			must(t, os.Rename(out, out+".taken"))
			must(t, os.Mkdir(out, 0o700))
		}
		return true, nil
	})
	d := spool.Delivery{Name: "a.pki", DER: channeltest.Message(1)}
	if err := s.Deliver(t.Context(), []spool.Delivery{d})[0]; err == nil || spool.IsPermanent(err) {
		t.Fatalf("error %v, want a temporary one", err)
	}
	deliver(t, s, d)
	equal(t, "new folder", names(t, out), []string{"a.pki"})
}

func TestNewWithoutFolder(t *testing.T) {
	for _, out := range []string{"", filepath.Join(t.TempDir(), "nothing")} {
		if _, err := New(Options{Out: out}); err == nil {
			t.Errorf("New(%q) succeeds", out)
		}
	}
}

func TestErrorsAreTemporaryUnlessTheNameIsBad(t *testing.T) {
	for _, tt := range []struct {
		op  durable.Op
		err error
	}{
		{durable.OpCreate, errnoNoSpace}, {durable.OpWrite, errnoNoSpace}, {durable.OpCreate, errnoReadOnly}, {durable.OpCreate, fs.ErrPermission},
		{durable.OpName, errnoNoSpace}, {durable.OpSync, errnoIO}, {durable.OpDirSync, errnoIO},
	} {
		t.Run(fmt.Sprintf("%s: %v", tt.op, tt.err), func(t *testing.T) {
			out := t.TempDir()
			ill := true
			s := open(t, Options{Out: out}, func(op durable.Op, _, name string) (bool, error) {
				if ill && op == tt.op && (name == "b.pki" || name == "") {
					return false, tt.err
				}
				return true, nil
			})
			batch := []spool.Delivery{{Name: "a.pki", DER: channeltest.Message(1)}, {Name: "b.pki", DER: channeltest.Message(2)}, {Name: "c.pki", DER: channeltest.Message(3)}}
			errs := s.Deliver(t.Context(), batch)
			for i, err := range errs {
				if want := i == 1 || tt.op == durable.OpDirSync; (err != nil) != want || want && (!errors.Is(err, tt.err) || spool.IsPermanent(err)) {
					t.Errorf("delivery %d: %v", i, err)
				}
			}
			ill = false
			deliver(t, s, batch...)
			equal(t, "folder", names(t, out), []string{"a.pki", "b.pki", "c.pki"})
		})
	}
}

// TestFaultAtEveryStep makes the n-th step fail, for each n, before or after it
// took effect, once or for ever after. At no time anything is half visible, nothing
// reported delivered is missing, and trying again ends with each answer once.
func TestFaultAtEveryStep(t *testing.T) {
	for _, count := range []int{3, 20} { // synced one by one, and at once
		for _, apply := range []bool{false, true} {
			for _, crash := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d answers, apply %v, crash %v", count, apply, crash), func(t *testing.T) {
					for n := 0; faultAt(t, count, n, apply, crash); n++ {
					}
				})
			}
		}
	}
}

func faultAt(t *testing.T, count, n int, apply, crash bool) (reached bool) {
	out, err := os.MkdirTemp("/dev/shm", "cmp-batch-test-") // where a sync costs nothing
	if err != nil {
		out = t.TempDir()
	}
	defer os.RemoveAll(out)
	var batch []spool.Delivery
	whole := map[string]bool{"older": true}
	for i := range count {
		d := spool.Delivery{Name: fmt.Sprintf("%02d.pki", i), DER: channeltest.Message(i)}
		batch, whole[string(d.DER)] = append(batch, d), true
	}
	write(t, filepath.Join(out, "00.pki"), batch[0].DER)    // delivered before
	write(t, filepath.Join(out, "01.pki"), []byte("older")) // another
	look := func(when string) map[string]int {
		found := map[string]int{}
		for _, name := range names(t, out) {
			if strings.HasPrefix(name, ".") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(out, name))
			must(t, err)
			if !whole[string(b)] {
				t.Fatalf("%s: %q holds %x", when, name, b)
			}
			found[string(b)]++
		}
		return found
	}
	step, quiet := 0, false
	s := open(t, Options{Out: out}, func(op durable.Op, _, name string) (bool, error) {
		if quiet {
			return true, nil
		}
		if step >= n {
			look(fmt.Sprintf("before step %d, %s of %q", step, op, name))
		}
		step++
		if step-1 == n || crash && step > n {
			reached = true
			return apply && step-1 == n, fmt.Errorf("injected fault at step %d, %s of %q", step-1, op, name)
		}
		return true, nil
	})
	defer func() { s.Close() }()
	errs := s.Deliver(context.Background(), batch)
	found := look(fmt.Sprintf("after a fault at step %d", n))
	for i, err := range errs {
		if err == nil && found[string(batch[i].DER)] != 1 {
			t.Fatalf("after a fault at step %d: %q is reported delivered and there %d times", n, batch[i].Name, found[string(batch[i].DER)])
		}
	}
	quiet = true
	if crash {
		s.Close()
		s = open(t, Options{Out: out, Now: func() time.Time { return time.Now().Add(time.Hour) }}, nil)
	}
	deliver(t, s, batch...)
	found = look("at the end")
	for _, d := range batch {
		if found[string(d.DER)] != 1 {
			t.Fatalf("after a fault at step %d: %q is there %d times", n, d.Name, found[string(d.DER)])
		}
	}
	if crash {
		for _, name := range names(t, out) {
			if strings.HasPrefix(name, ".") {
				t.Fatalf("after a crash at step %d: %q is left", n, name)
			}
		}
	}
	return reached
}

func TestAnotherAnswerUnderTheNameIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := open(t, Options{Out: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))}, nil)
	deliver(t, s, spool.Delivery{Name: "a\n.pki", DER: channeltest.Message(1)})
	deliver(t, s, spool.Delivery{Name: "a\n.pki", DER: channeltest.Message(2)})
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "another answer was there") {
		t.Errorf("log:\n%s", got)
	}
}
