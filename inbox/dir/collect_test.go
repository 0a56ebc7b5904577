package dir

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"cmp-batch/spool"
	"cmp-batch/spool/channeltest"
)

// sequence makes a DER SEQUENCE of n octets in all.
func sequence(t testing.TB, n int) []byte {
	t.Helper()
	for head := 2; head <= 4; head++ {
		length := n - head
		var b []byte
		switch {
		case head == 2 && length < 0x80:
			b = []byte{0x30, byte(length)}
		case head == 3 && length >= 0x80 && length < 0x100:
			b = []byte{0x30, 0x81, byte(length)}
		case head == 4 && length >= 0x100:
			b = []byte{0x30, 0x82, byte(length >> 8), byte(length)}
		default:
			continue
		}
		body := make([]byte, length)
		rand.Read(body)
		return append(b, body...)
	}
	t.Fatalf("no sequence has %d octets", n)
	return nil
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatIsReady(t *testing.T) {
	const limit = 300
	for _, tt := range []struct {
		name string
		data []byte
		want string // "" waits, "ready", or the reason why it is bad
	}{
		{"empty", nil, ""},
		{"tag alone", unhex(t, "30"), ""},
		{"length cut off", unhex(t, "3082"), ""},
		{"length cut off in its last octet", unhex(t, "308201"), ""},
		{"one octet short", sequence(t, 100)[:99], ""},
		{"empty sequence", unhex(t, "3000"), "ready"},
		{"short form", sequence(t, 100), "ready"},
		{"long form", sequence(t, 200), "ready"},
		{"as large as allowed", sequence(t, limit), "ready"},
		{"one octet larger than allowed", sequence(t, limit+1), "301 octets, the limit is 300"},
		{"declared too large, hardly begun", unhex(t, "30830f4240"), "declares 1000005 octets, the limit is 300"},
		{"one octet too many", append(sequence(t, 100), 0), "1 octets follow the 100 of the message"},
		{"two messages", append(sequence(t, 100), sequence(t, 50)...), "50 octets follow the 100 of the message"},
		{"PEM", []byte("-----BEGIN CMP-----"), "the first octet is 0x2d, a DER message begins with 0x30"},
		{"zeros", make([]byte, 10), "the first octet is 0x00, a DER message begins with 0x30"},
		{"a set", unhex(t, "3100"), "the first octet is 0x31, a DER message begins with 0x30"},
		{"indefinite length", unhex(t, "30800000"), "the first octets are no DER: not DER: length of 0 octets"},
		{"length not minimal", unhex(t, "308105"+"0500050005"), "the first octets are no DER: not DER: length not in its shortest form"},
		{"length of five octets", unhex(t, "308501000000ff"), "the first octets are no DER: not DER: length of 5 octets"},
		{"length of 4 GiB", unhex(t, "3084ffffffff"), "the first octets are no DER: not DER: length not in its shortest form"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, func(o *Options) { o.MaxBytes = limit })
			e.put("x.pki", tt.data)
			e.open()
			p, err := e.src.Pending(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			items := e.collect(10)
			switch tt.want {
			case "":
				if len(items) != 0 || p != (Pending{Incomplete: 1}) {
					t.Errorf("items %+v, pending %+v; want it to wait", items, p)
				}
			case "ready":
				if len(items) != 1 || items[0].Bad != "" || !bytes.Equal(items[0].DER, tt.data) || p != (Pending{Ready: 1}) {
					t.Errorf("items %+v, pending %+v; want it ready", items, p)
				}
			default:
				if len(items) != 1 || items[0].Bad != tt.want || len(items[0].DER) != 0 || p != (Pending{Bad: 1}) {
					t.Errorf("items %+v, pending %+v; want it bad: %s", items, p, tt.want)
				}
			}
		})
	}
}

// nodes are the things that are no regular files.
var nodes = []struct {
	name, reason string
	make         func(t *testing.T, path string)
}{
	{"link to a message inside", "it is a symbolic link, not a regular file", func(t *testing.T, path string) {
		write(t, filepath.Join(filepath.Dir(path), "target"), channeltest.Message(7))
		must(t, os.Symlink("target", path))
	}},
	{"link to a message outside", "it is a symbolic link, not a regular file", func(t *testing.T, path string) {
		target := filepath.Join(t.TempDir(), "secret")
		write(t, target, channeltest.Message(7))
		must(t, os.Symlink(target, path))
	}},
	{"link to nothing", "it is a symbolic link, not a regular file", func(t *testing.T, path string) { must(t, os.Symlink("nothing", path)) }},
	{"link to itself", "it is a symbolic link, not a regular file", func(t *testing.T, path string) { must(t, os.Symlink(filepath.Base(path), path)) }},
	{"link to the folder", "it is a symbolic link, not a regular file", func(t *testing.T, path string) { must(t, os.Symlink(".", path)) }},
	{"folder", "it is a folder, not a regular file", func(t *testing.T, path string) {
		mkdir(t, path)
		write(t, filepath.Join(path, "inner.pki"), channeltest.Message(7))
	}},
	{"FIFO", "it is a FIFO, not a regular file", func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) }},
	{"socket", "it is a socket, not a regular file", func(t *testing.T, path string) {
		// Bound elsewhere first: the path of a socket is short.
		short, err := os.MkdirTemp("", "s")
		must(t, err)
		t.Cleanup(func() { os.RemoveAll(short) })
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short + "/s"})
		must(t, err)
		l.SetUnlinkOnClose(false)
		t.Cleanup(func() { l.Close() })
		must(t, os.Rename(short+"/s", path))
	}},
	{"device", "it is a device, not a regular file", func(t *testing.T, path string) {
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|3); err != nil {
			// Only root may make one; a socket is as good then.
			t.Skipf("cannot make a device: %v", err)
		}
	}},
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNotRegularFilesArePutAside(t *testing.T) {
	for _, tt := range nodes {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			path := filepath.Join(e.o.In, "x.pki")
			tt.make(t, path)
			before, err := os.Lstat(path)
			must(t, err)
			e.open()
			it := e.one()
			if it.Bad != tt.reason || len(it.DER) != 0 {
				t.Fatalf("bad %q with %d octets, want %q", it.Bad, len(it.DER), tt.reason)
			}
			e.settled(spool.Quarantine, it)
			e.none()
			after, err := os.Lstat(filepath.Join(e.o.Failed, "x.pki"))
			must(t, err)
			if !os.SameFile(before, after) {
				t.Errorf("put aside is %v, want the thing itself, %v", after.Mode(), before.Mode())
			}
			if r := reasonOf(t, e, "x.pki"); r.Reason != tt.reason || r.SHA256 != "" {
				t.Errorf("reason %+v", r)
			}
		})
	}
}

func TestWhichNamesCount(t *testing.T) {
	const (
		taken = iota
		ignored
		skip
	)
	for _, tt := range []struct {
		name     string
		suffixes []string
		want     int
	}{
		{"a.pki", nil, taken},
		{"A.PKI", nil, taken},
		{"a.PkI", nil, taken},
		{"a.b.pki", nil, taken},
		{"-rf.pki", nil, taken},
		{"a", nil, ignored},
		{"pki", nil, ignored},
		{"a.der", nil, ignored},
		{"a.pki.bak", nil, ignored},
		{"a.pki ", nil, ignored},
		{".pki", nil, skip},
		{".a.pki", nil, skip},
		{"a.pki.tmp", nil, skip},
		{"a.pki.TMP", nil, skip},
		{"a.pki.part", nil, skip},
		{"a.pki~", nil, skip},
		{"a.pki.reason.json", nil, skip},
		{"a.der", []string{".pki", ".der"}, taken},
		{"a.CMP", []string{".cmp"}, taken},
		{"a.pki", []string{".cmp"}, ignored},
		{"a.json", []string{".json"}, taken},
		{"a.reason.json", []string{".json"}, skip},
	} {
		t.Run(fmt.Sprintf("%q of %q", tt.name, tt.suffixes), func(t *testing.T) {
			e := newEnv(t, func(o *Options) { o.Suffixes = tt.suffixes })
			e.put(tt.name, channeltest.Message(1))
			e.open()
			p, err := e.src.Pending(t.Context())
			must(t, err)
			want := [...]Pending{taken: {Ready: 1}, ignored: {Ignored: 1}, skip: {}}[tt.want]
			if p != want {
				t.Errorf("pending %+v, want %+v", p, want)
			}
			for range 2 {
				if n := len(e.collect(10)); n > 0 != (tt.want == taken) {
					t.Errorf("%d items", n)
				}
				e.open()
			}
			if n := strings.Count(e.log.String(), "left alone"); n > 2 || n > 0 != (tt.want == ignored) {
				t.Errorf("%d reports of ignored names in two runs", n)
			}
		})
	}
}

// hostile names are all that a Linux folder can hold.
var hostile = []string{
	"with space.pki", "-rf.pki", "--.pki", "new\nline.pki", "tab\t.pki", "\r.pki", "\x1b[2J.pki", "\xff\xfe.pki", "caf\xe9.pki", "..x.pki"[1:] + ".pki",
	"%s%n.pki", `quo"te'.pki`, `back\slash.pki`, "$(id).pki", "*.pki", "ünï\u202ecode.pki", "CON.pki", strings.Repeat("n", 251) + ".pki",
	strings.Repeat("ü", 125) + ".pki", strings.Repeat("\xbf", 251) + ".pki", "a.reason.json.pki", "<script>.pki", "a;b|c&d.pki", "\x01.pki", "\u2028.pki",
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		t.Run(fmt.Sprintf("%.40q", name), func(t *testing.T) { throughAll(t, name) })
	}
}

// throughAll takes a file of this name through quarantine, requeue and archive.
func throughAll(t *testing.T, name string) {
	if strings.HasPrefix(name, ".") {
		return
	}
	e := newEnv(t)
	e.put(name, channeltest.Message(1))
	e.open()
	it := e.one()
	if it.Return.Name != name {
		t.Fatalf("name %q, want %q", it.Return.Name, name)
	}
	e.settled(spool.Quarantine, it)
	aside := names(t, e.o.Failed)
	if len(aside) != 2 || aside[0]+reasonSuffix != aside[1] {
		t.Fatalf("failed folder: %q", aside)
	}
	r := reasonOf(t, e, aside[0])
	if r.Name() != name {
		t.Fatalf("the reason says %q, want %q", r.Name(), name)
	}
	back, err := Requeue(e.o, aside[0])
	must(t, err)
	if back != name {
		t.Fatalf("requeued as %q, want %q", back, name)
	}
	equal(t, "failed folder", names(t, e.o.Failed), nil)
	it = e.one()
	if it.Return.Name != name || !bytes.Equal(it.DER, channeltest.Message(1)) {
		t.Fatalf("after requeue %+v", it)
	}
	e.settled(spool.Done, it)
	equal(t, "archive", names(t, e.o.Archive), []string{name})
	if strings.ContainsAny(e.log.String(), "\x00\x1b") || !utf8.ValidString(e.log.String()) {
		t.Errorf("raw octets of a name in the log: %q", e.log.String())
	}
}

// FuzzNames gives files names of any octets.
func FuzzNames(f *testing.F) {
	for _, name := range append(hostile, ".hidden.pki", "a.tmp", "a.pki~", "a/b.pki", "..", "") {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) > 255 || strings.ContainsAny(name, "/\x00") || name == "" || name == "." || name == ".." {
			if _, err := Requeue(newEnv(t).o, name); err == nil {
				t.Fatalf("Requeue(%q) did something", name)
			}
			return
		}
		var o Options
		o.Suffixes = []string{".pki"}
		if skipped(name) || !o.matches(name) {
			e := newEnv(t)
			e.put(name, channeltest.Message(1))
			e.open()
			e.none()
			return
		}
		throughAll(t, name)
	})
}

func TestHalfWrittenFileWaits(t *testing.T) {
	e := newEnv(t)
	e.open()
	data := sequence(t, 1000)
	f, err := os.Create(filepath.Join(e.o.In, "slow.pki"))
	must(t, err)
	defer f.Close()
	e.none()
	for at := range data {
		if _, err := f.Write(data[at : at+1]); err != nil {
			t.Fatal(err)
		}
		if at < 8 || at > 990 {
			items := e.collect(10)
			if len(items) > 0 != (at == len(data)-1) {
				t.Fatalf("%d items after %d of %d octets", len(items), at+1, len(data))
			}
			if len(items) > 0 && !bytes.Equal(items[0].DER, data) {
				t.Fatal("other octets")
			}
		}
	}
}

func TestIncompleteFileBecomesStale(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.StaleAfter = time.Hour })
	e.open()
	data := sequence(t, 100)
	path := filepath.Join(e.o.In, "x.pki")
	write(t, path, data[:50])
	e.none()
	e.pass(59 * time.Minute)
	e.none()
	write(t, path, data[:60]) // it grows: the time begins anew
	e.pass(59 * time.Minute)
	e.none()
	e.pass(59 * time.Minute)
	e.none()
	e.pass(time.Minute)
	it := e.one()
	if want := "incomplete: 60 of 100 octets; no change for 1h0m0s"; it.Bad != want {
		t.Fatalf("bad %q, want %q", it.Bad, want)
	}
	e.settled(spool.Quarantine, it)
	if got := read(t, filepath.Join(e.o.Failed, "x.pki")); !bytes.Equal(got, data[:60]) {
		t.Fatalf("put aside: %x", got)
	}
}

func TestStaleFileThatGrewBeforeItIsSettledStays(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.StaleAfter = time.Hour })
	e.open()
	data := sequence(t, 100)
	path := filepath.Join(e.o.In, "x.pki")
	write(t, path, data[:50])
	e.none()
	e.pass(time.Hour)
	it := e.one()
	write(t, path, data)
	e.settled(spool.Quarantine, it)
	equal(t, "failed folder", names(t, e.o.Failed), nil)
	if it := e.one(); it.Bad != "" || !bytes.Equal(it.DER, data) {
		t.Fatalf("item %+v", it)
	}
}

func TestWithoutStaleAfterItWaitsForEver(t *testing.T) {
	e := newEnv(t)
	e.put("x.pki", sequence(t, 100)[:50])
	e.open()
	for range 3 {
		e.none()
		e.pass(10000 * time.Hour)
	}
}

func TestManyIncompleteFilesInBoundedMemory(t *testing.T) {
	const n, room = 250, 100
	e := newEnv(t, func(o *Options) { o.StaleAfter = time.Hour })
	for i := range n {
		write(t, filepath.Join(e.o.In, fmt.Sprintf("%05d.pki", i)), []byte{0x30})
	}
	e.open()
	e.src.scan.room = room
	e.none()
	got := 0
	for range 3 {
		e.pass(time.Hour)
		for {
			items := e.collect(40)
			if len(items) == 0 {
				break
			}
			if len(e.src.scan.tracked) > room || len(e.src.scan.names) > listChunk {
				t.Fatalf("%d tracked, %d listed", len(e.src.scan.tracked), len(e.src.scan.names))
			}
			got += len(items)
			e.settled(spool.Quarantine, items...)
		}
	}
	if got != n {
		t.Fatalf("%d of %d became stale", got, n)
	}
	if len(e.src.scan.tracked) != 0 {
		t.Fatalf("%d are still tracked", len(e.src.scan.tracked))
	}
}

func TestMinAge(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.MinAge = time.Minute })
	e.put("x.pki", channeltest.Message(1))
	e.put("y.pki", []byte("no message, so far"))
	fi, err := os.Stat(filepath.Join(e.o.In, "y.pki"))
	must(t, err)
	e.now = fi.ModTime().Add(59 * time.Second)
	e.open()
	e.none()
	e.none()
	if p, err := e.src.Pending(t.Context()); err != nil || p != (Pending{Incomplete: 2}) {
		t.Errorf("pending %+v, %v", p, err)
	}
	e.pass(2 * time.Second)
	if items := e.collect(10); len(items) != 2 || items[0].Bad != "" || items[1].Bad == "" {
		t.Fatalf("items %+v", items)
	}
}

func TestSparseFileOf3GiB(t *testing.T) {
	e := newEnv(t)
	const size = 3 << 30
	path := filepath.Join(e.o.In, "huge.pki")
	must(t, os.WriteFile(path, unhex(t, "3084bffffffa"), 0o600))
	must(t, os.Truncate(path, size))
	e.put("zz.pki", channeltest.Message(1))
	e.open()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	items := e.collect(10)
	if len(items) != 2 || items[0].Bad != "3221225472 octets, the limit is 4096" || items[1].Bad != "" {
		t.Fatalf("items %+v", items)
	}
	e.settled(spool.Quarantine, items[0])
	e.settled(spool.Done, items[1])
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d octets allocated", used)
	}
	if r := reasonOf(t, e, "huge.pki"); r.Size != size || r.SHA256 != "" {
		t.Errorf("reason %+v", r)
	}
}

func TestChangedWhileBeingRead(t *testing.T) {
	first, second := sequence(t, 100), sequence(t, 100)
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, path string)
		want   []byte
	}{
		{"rewritten in place", func(t *testing.T, path string) { write(t, path, second) }, second},
		{"rewritten in place with its old time", func(t *testing.T, path string) {
			fi, err := os.Stat(path)
			must(t, err)
			write(t, path, second)
			must(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		}, second},
		{"longer", func(t *testing.T, path string) { write(t, path, second[:50]); write(t, path, second) }, second},
		{"shorter", func(t *testing.T, path string) { write(t, path, second[:50]) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			e.put("x.pki", first)
			once := false
			e.o.afterRead = func(name string) {
				if !once {
					once = true
					tt.change(t, filepath.Join(e.o.In, name))
				}
			}
			e.open()
			e.none()
			if tt.want == nil {
				e.none()
			} else if it := e.one(); !bytes.Equal(it.DER, tt.want) {
				t.Fatalf("octets %x, want %x", it.DER, tt.want)
			}
		})
	}
}

func TestTenThousandFiles(t *testing.T) {
	const n = 10_000
	e := newEnv(t, inMemory(t))
	for i := range n {
		write(t, filepath.Join(e.o.In, fmt.Sprintf("%05d.pki", (i*7919)%n)), channeltest.Message(i))
	}
	e.open()
	seen := make(map[string]bool, n)
	for {
		items := e.collect(512)
		if len(items) == 0 {
			break
		}
		for _, it := range items {
			if seen[it.Return.Name] {
				t.Fatalf("%q twice", it.Return.Name)
			}
			seen[it.Return.Name] = true
		}
		if len(e.src.scan.names) > listChunk {
			t.Fatalf("%d names in memory", len(e.src.scan.names))
		}
		e.settled(spool.Done, items...)
	}
	if len(seen) != n {
		t.Fatalf("%d of %d", len(seen), n)
	}
	if files(t, e.o.In) != 0 || files(t, e.o.Archive) != n || len(e.src.claims) != 0 {
		t.Fatalf("%d left, %d archived, %d claimed", files(t, e.o.In), files(t, e.o.Archive), len(e.src.claims))
	}
}

func TestSmallFolderInOrderOfNames(t *testing.T) {
	e := newEnv(t)
	var want []string
	for i := range 300 {
		name := fmt.Sprintf("%03d.pki", i)
		want = append(want, name)
		e.put(fmt.Sprintf("%03d.pki", (i*77)%300), channeltest.Message(i))
	}
	e.open()
	var got []string
	for range 3 {
		for _, it := range e.collect(100) {
			got = append(got, it.Return.Name)
		}
	}
	equal(t, "order", got, want)
}

func TestPending(t *testing.T) {
	e := newEnv(t)
	e.put("a.pki", channeltest.Message(1))
	e.open()
	e.one()
	for _, n := range []string{"b.pki", "c.pki"} {
		e.put(n, channeltest.Message(2))
	}
	e.put("d.pki", []byte{0x30, 0x50})
	e.put("e.pki", []byte("text"))
	e.put("README", nil)
	e.put("f.tmp", nil)
	mkdir(t, filepath.Join(e.o.In, "sub.pki"))
	p, err := e.src.Pending(t.Context())
	if want := (Pending{Ready: 2, Bad: 2, Claimed: 1, Incomplete: 1, Ignored: 1}); err != nil || p != want {
		t.Fatalf("pending %+v, %v; want %+v", p, err, want)
	}
}
