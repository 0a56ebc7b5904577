package dir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/spool"
	"cmp-batch/spool/channeltest"
)

func reasonOf(t *testing.T, e *env, name string) Reason {
	t.Helper()
	var r Reason
	must(t, json.Unmarshal(read(t, filepath.Join(e.o.Failed, name+reasonSuffix)), &r))
	return r
}

func TestReasonFile(t *testing.T) {
	e := newEnv(t)
	data := []byte("not DER at all")
	e.put("x.pki", data)
	e.open()
	e.settled(spool.Quarantine, e.one())
	sum := sha256.Sum256(data)
	want := `{
  "file": "x.pki",
  "reason": "the first octet is 0x6e, a DER message begins with 0x30",
  "time": "2026-11-03T12:00:00Z",
  "size": 14,
  "sha256": "` + hex.EncodeToString(sum[:]) + `",
  "channel": "usb"
}
`
	if got := string(read(t, filepath.Join(e.o.Failed, "x.pki.reason.json"))); got != want {
		t.Errorf("reason file:\n%swant:\n%s", got, want)
	}
	if got := read(t, filepath.Join(e.o.Failed, "x.pki")); string(got) != string(data) {
		t.Errorf("put aside: %q", got)
	}
}

func TestLongAndBrokenReasonIsCut(t *testing.T) {
	e := newEnv(t)
	e.put("x.pki", channeltest.Message(1))
	e.open()
	it := e.one()
	it.Bad = "\xff" + strings.Repeat("\x00", 100_000)
	e.settled(spool.Quarantine, it)
	if r := reasonOf(t, e, "x.pki"); len(r.Reason) > maxReason+3 || !strings.HasPrefix(r.Reason, "\uFFFD\x00") {
		t.Errorf("reason of %d octets: %.10q", len(r.Reason), r.Reason)
	}
	if back, err := Requeue(e.o, "x.pki"); err != nil || back != "x.pki" {
		t.Errorf("Requeue = %q, %v", back, err)
	}
}

func TestQuarantineReplacesNothing(t *testing.T) {
	e := newEnv(t)
	write(t, filepath.Join(e.o.Failed, "x.pki"), []byte("an operator's"))
	write(t, filepath.Join(e.o.Failed, "x-2.pki.reason.json"), []byte("{}"))
	mkdir(t, filepath.Join(e.o.Failed, "x-3.pki.reason.json"))
	must(t, os.Symlink("/nowhere", filepath.Join(e.o.Failed, "x-4.pki")))
	must(t, os.Symlink("/nowhere", filepath.Join(e.o.Failed, "x-5.pki.reason.json")))
	e.put("x.pki", []byte("bad"))
	e.put("x-6.pki", []byte("bad, too"))
	e.open()
	e.settled(spool.Quarantine, e.collect(10)...)
	equal(t, "failed folder", names(t, e.o.Failed), []string{
		"x-2.pki.reason.json", "x-3.pki.reason.json", "x-4.pki", "x-5.pki.reason.json",
		"x-6.pki", "x-6.pki.reason.json", "x-7.pki", "x-7.pki.reason.json", "x.pki",
	})
	got := map[string]string{}
	for _, n := range []string{"x-6.pki", "x-7.pki"} {
		got[reasonOf(t, e, n).File] = string(read(t, filepath.Join(e.o.Failed, n)))
	}
	if got["x.pki"] != "bad" || got["x-6.pki"] != "bad, too" {
		t.Errorf("reasons and files do not belong together: %q", got)
	}
}

func TestRequeue(t *testing.T) {
	message := channeltest.Message(1)
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, e *env) string // what to requeue
		want    string                            // "" is an error
	}{
		{"with its reason", func(t *testing.T, e *env) string {
			e.put("x.pki", message)
			e.open()
			e.settled(spool.Quarantine, e.one())
			return "x.pki"
		}, "x.pki"},
		{"put aside under another name", func(t *testing.T, e *env) string {
			write(t, filepath.Join(e.o.Failed, "x.pki"), nil)
			e.put("x.pki", message)
			e.open()
			e.settled(spool.Quarantine, e.one())
			return "x-2.pki"
		}, "x.pki"},
		{"name taken by a new message", func(t *testing.T, e *env) string {
			e.put("x.pki", message)
			e.open()
			e.settled(spool.Quarantine, e.one())
			e.put("x.pki", channeltest.Message(2))
			return "x.pki"
		}, "x-2.pki"},
		{"no reason", func(t *testing.T, e *env) string {
			write(t, filepath.Join(e.o.Failed, "x.pki"), message)
			return "x.pki"
		}, "x.pki"},
		{"a reason that would lead elsewhere", func(t *testing.T, e *env) string {
			write(t, filepath.Join(e.o.Failed, "x.pki"), message)
			write(t, filepath.Join(e.o.Failed, "x.pki.reason.json"), []byte(`{"file":"../../etc/cron.d/x.pki"}`))
			return "x.pki"
		}, "x.pki"},
		{"a reason that would hide it", func(t *testing.T, e *env) string {
			write(t, filepath.Join(e.o.Failed, "x.pki"), message)
			write(t, filepath.Join(e.o.Failed, "x.pki.reason.json"), []byte(`{"file":".x.pki"}`))
			return "x.pki"
		}, "x.pki"},
		{"other suffix", func(t *testing.T, e *env) string {
			write(t, filepath.Join(e.o.Failed, "x.txt"), message)
			return "x.txt"
		}, ""},
		{"the reason itself", func(t *testing.T, e *env) string {
			write(t, filepath.Join(e.o.Failed, "x.pki.reason.json"), message)
			return "x.pki.reason.json"
		}, ""},
		{"not there", func(t *testing.T, e *env) string { return "x.pki" }, ""},
		{"outside", func(t *testing.T, e *env) string { return "../in/x.pki" }, ""},
		{"up", func(t *testing.T, e *env) string { return ".." }, ""},
	} {
		for _, where := range []string{"same", "another"} {
			t.Run(tt.name+", "+where+" file system", func(t *testing.T) {
				e := newEnv(t)
				if where == "another" {
					e = newEnv(t, elsewhere(t))
				}
				name := tt.prepare(t, e)
				got, err := Requeue(e.o, name)
				if got != tt.want || (err == nil) != (tt.want != "") {
					t.Fatalf("Requeue(%q) = %q, %v; want %q", name, got, err, tt.want)
				}
				if err != nil {
					return
				}
				if b := read(t, filepath.Join(e.o.In, got)); string(b) != string(message) {
					t.Errorf("octets %x", b)
				}
				for _, n := range names(t, e.o.Failed) {
					if strings.HasPrefix(n, name) {
						t.Errorf("%q is still in the failed folder", n)
					}
				}
			})
		}
	}
}
