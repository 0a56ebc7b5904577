package configs

import (
	"slices"
	"strings"
	"testing"
)

const partners = `  - name: partners
    who: {certificate: {issued_by: [self, partner.pem, other.pem]}}
    may: [genm]
`

func TestTrust(t *testing.T) {
	at := strings.Index(valid, "rules:\n") + len("rules:\n")
	with := valid[:at] + partners + valid[at:] + "trust:\n"
	c, err := Parse([]byte(with+"  - {name: p, anchors: partner.pem, crls: [crls, /a/b.crl]}\n  - {name: q, anchors: [other.pem], crls: o.crl, revocation: prefer}\n"), "/d")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Trust) != 2 || c.Trust[0].Revocation != "require" || !slices.Equal(c.Trust[0].CRLs, []string{"/d/crls", "/a/b.crl"}) ||
		!slices.Equal(c.Trust[0].Anchors, []string{"/d/partner.pem"}) || c.Trust[1].Revocation != "prefer" {
		t.Errorf("read %+v", c.Trust)
	}
	for line, fault := range map[string]string{
		"{anchors: partner.pem, crls: a}":                                                          "trust[0].name: it is missing",
		"{name: p, crls: a}":                                                                       "trust[0].anchors: it is missing",
		"{name: p, anchors: partner.pem}":                                                          "trust[0].crls: it is missing",
		"{name: p, anchors: self, crls: a}":                                                        "no rule trusts this file",
		"{name: p, anchors: third.pem, crls: a}":                                                   "no rule trusts this file",
		"{name: p, anchors: [partner.pem, partner.pem], crls: a}":                                  "trust[0].anchors[1]: trust[0].anchors[0] has it already",
		"{name: p, anchors: partner.pem, crls: a}\n  - {name: p, anchors: other.pem, crls: a}":     "the name of trust[0] already",
		"{name: p, anchors: partner.pem, crls: a}\n  - {name: q, anchors: ./partner.pem, crls: a}": "has it already",
		"{name: p, anchors: partner.pem, crls: a, revocation: maybe}":                              "trust[0].revocation",
		"{name: p, anchors: partner.pem, crls: ''}":                                                "trust[0].crls",
		"{name: p, anchors: partner.pem, crl: a}":                                                  "there is no such key",
	} {
		if _, err := Parse([]byte(with+"  - "+line+"\n"), "/d"); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
