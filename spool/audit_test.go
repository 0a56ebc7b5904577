package spool

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cmp-batch/cmpcore"
)

func TestAuditEntriesReadBackWithEncodingJSON(t *testing.T) {
	entries := []cmpcore.AuditEntry{
		{Time: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), Event: "issued", Requester: "secret:Münze", Transaction: "00ff",
			Serial: "0a", Rule: "factory", Profile: "device", Channel: "medium:red", Detail: "CN=\"a\\b\",\r\nO=\x00\x1f\x7f\u0085\u2028<&>\U0001f600"},
		{Time: time.Date(2026, 3, 1, 14, 0, 0, 0, time.FixedZone("", 7200)), Event: "refused"},
	}
	lines := bytes.SplitAfter(AppendAudit(nil, entries), []byte("\n"))
	if len(lines) != 3 || len(lines[2]) != 0 {
		t.Fatalf("%d pieces, want two lines", len(lines))
	}
	for i, line := range lines[:2] {
		var got cmpcore.AuditEntry
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !got.Time.Equal(entries[i].Time) {
			t.Errorf("time %v, want %v", got.Time, entries[i].Time)
		}
		want := entries[i]
		got.Time, want.Time = time.Time{}, time.Time{}
		if got != want {
			t.Errorf("read back %+v, want %+v", got, want)
		}
	}
	if want := `{"time":"2026-03-01T12:00:00Z","event":"refused"}` + "\n"; string(lines[1]) != want {
		t.Errorf("empty members: got %s, want %s", lines[1], want)
	}
}

func TestAuditHeadIsSHA256OfHeadAndEntries(t *testing.T) {
	prev := sha256.Sum256([]byte("previous"))
	if got, want := AuditHead(prev, []byte("abc")), sha256.Sum256(append(prev[:], "abc"...)); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

func FuzzAuditLineIsOneLineOfJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "\xff\xfe", "a\nb\r\x00", "\u2028\u0085", `"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendAudit(nil, []cmpcore.AuditEntry{{Event: s, Detail: s}})
		if bytes.Count(b, []byte("\n")) != 1 || !utf8.Valid(b) {
			t.Fatalf("%q is not one line of UTF-8", b)
		}
		var got cmpcore.AuditEntry
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && (got.Event != want || got.Detail != want) {
			t.Fatalf("got %q, want %q", got.Event, want)
		}
	})
}
