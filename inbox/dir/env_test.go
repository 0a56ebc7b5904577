package dir

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cmp-batch/spool"
	"cmp-batch/spool/channeltest"
	"cmp-batch/spool/durable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// env is a channel's folders, and a Source on them.
type env struct {
	*testing.T
	o     Options
	src   *Source
	fault durable.Fault

	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

func newEnv(t *testing.T, change ...func(*Options)) *env {
	t.Helper()
	base := t.TempDir()
	e := &env{T: t, now: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)}
	e.o = Options{
		Channel: "usb", In: filepath.Join(base, "in"), Archive: filepath.Join(base, "archive"), Failed: filepath.Join(base, "failed"),
		MaxBytes: 4096, ScanInterval: time.Hour, Now: e.clock,
		Logger: slog.New(slog.NewTextHandler(&e.log, nil)),
	}
	for _, c := range change {
		c(&e.o)
	}
	for _, d := range []string{e.o.In, e.o.Archive, e.o.Failed} {
		if d != "" {
			mkdir(t, d)
		}
	}
	return e
}

func deletes(o *Options) { o.Delete, o.Archive = true, "" }

// elsewhere puts the folders that receive on another file system.
func elsewhere(t *testing.T) func(*Options) {
	return func(o *Options) {
		base, err := os.MkdirTemp("/dev/shm", "cmp-batch-test-")
		if err != nil {
			t.Fatalf("a second file system is needed at /dev/shm: %v", err)
		}
		t.Cleanup(func() { os.RemoveAll(base) })
		o.Archive, o.Failed = filepath.Join(base, "archive"), filepath.Join(base, "failed")
	}
}

func (e *env) clock() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

func (e *env) pass(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

// open starts, or starts again.
func (e *env) open() *Source {
	e.Helper()
	if e.src != nil {
		e.src.Close()
	}
	s, err := newSource(e.o, e.fault)
	if err != nil {
		e.Fatal(err)
	}
	e.src = s
	e.Cleanup(func() { s.Close() })
	return s
}

func (e *env) put(name string, data []byte) {
	e.Helper()
	put(e.T, filepath.Join(e.o.In, name), data)
}

// put lets a file appear whole, replacing another.
func put(t *testing.T, path string, data []byte) {
	t.Helper()
	tmp := filepath.Join(filepath.Dir(path), ".put")
	write(t, tmp, data)
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// names lists a folder, sorted, without hidden names.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			list = append(list, e.Name())
		}
	}
	sort.Strings(list)
	return list
}

// files counts the regular files in a folder and its hidden ones that are no
// reasons.
func files(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.HasSuffix(path, reasonSuffix) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (e *env) collect(max int) []spool.Item {
	e.Helper()
	items, err := e.src.Collect(e.Context(), max)
	if err != nil {
		e.Fatalf("Collect: %v", err)
	}
	return items
}

func (e *env) one() spool.Item {
	e.Helper()
	items := e.collect(10)
	if len(items) != 1 {
		e.Fatalf("%d items, want 1", len(items))
	}
	return items[0]
}

func (e *env) none() {
	e.Helper()
	if items := e.collect(10); len(items) != 0 {
		e.Fatalf("%d items, want none: %q %s", len(items), items[0].Return.Name, items[0].Bad)
	}
}

func (e *env) settle(a spool.Action, items ...spool.Item) []error {
	e.Helper()
	var s []spool.Settlement
	for _, it := range items {
		reason := it.Bad
		if reason == "" {
			reason = "the test says so"
		}
		s = append(s, spool.Settlement{ID: it.ID, Action: a, Reason: reason})
	}
	return e.src.Settle(e.Context(), s)
}

func (e *env) settled(a spool.Action, items ...spool.Item) {
	e.Helper()
	for i, err := range e.settle(a, items...) {
		if err != nil {
			e.Fatalf("Settle %q: %v", items[i].Return.Name, err)
		}
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestConformance(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T) func(*Options)
	}{
		{"archive", func(*testing.T) func(*Options) { return func(*Options) {} }},
		{"delete", func(*testing.T) func(*Options) { return deletes }},
		{"archive on another file system", elsewhere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			channeltest.Source(t, func(t *testing.T) channeltest.SourceFixture {
				e := newEnv(t, tt.change(t))
				e.o.ScanInterval = 0
				return channeltest.SourceFixture{
					Channel: e.o.Channel,
					Open: func(t *testing.T) spool.Source {
						s, err := New(e.o)
						if err != nil {
							t.Fatal(err)
						}
						return s
					},
					Put:     func(t *testing.T, name string, der []byte) { put(t, filepath.Join(e.o.In, name), der) },
					PutBad:  func(t *testing.T, name string) { put(t, filepath.Join(e.o.In, name), []byte("-----BEGIN")) },
					Waiting: func(t *testing.T) int { return files(t, e.o.In) },
					Settled: func(t *testing.T) int {
						if e.o.Delete {
							return -1
						}
						return files(t, e.o.Archive)
					},
					Aside: func(t *testing.T) int { return files(t, e.o.Failed) },
				}
			})
		})
	}
}
