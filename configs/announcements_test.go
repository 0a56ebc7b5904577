package configs

import (
	"strings"
	"testing"
)

func TestAnnouncements(t *testing.T) {
	channel := "channels:\n  - {name: partners, dir: {in: i, out: o, archive: a, failed: f}}\n"
	c, err := Parse([]byte(valid+channel+"announcements:\n  - {to: partners, what: [crlann, ckuann]}\n"), "/d")
	if err != nil || len(c.Announcements) != 1 || c.Announcements[0].Prefix != "announcement-" || len(c.Announcements[0].What) != 2 {
		t.Fatalf("%+v %v", c, err)
	}
	for line, fault := range map[string]string{
		"{to: partner, what: [cann]}":               "did you mean partners",
		"{what: [cann]}":                            "announcements[0].to: it is missing",
		"{to: partners}":                            "announcements[0].what: it is missing",
		"{to: partners, what: [crl]}":               "is not an announcement",
		"{to: partners, what: [cann, cann]}":        "is there twice",
		"{to: partners, what: [cann], prefix: a/b}": "cannot begin the name of a file",
		"{to: partners, what: [cann], prefix: .a}":  "cannot begin the name of a file",
	} {
		if _, err := Parse([]byte(valid+channel+"announcements:\n  - "+line+"\n"), "/d"); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v, want %q", line, err, fault)
		}
	}
}
