package configs

import (
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/pkix"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, yes, no string // texts, parted by blanks
	}{
		{"*", "x ref-1 ä", ""},
		{"ref-*", "ref- ref-1 ref-*", "ref Ref-1 xref-1"},
		{"*-7", "a-7 -7 7-7-7", "a-77 7"},
		{"a*b*c", "abc aXbYc abcbc", "ab acb abcd"},
		{"r?f", "ref r?f räf", "rf reef"},
		{"**", "x", ""},
		{"ref", "ref", "REF refx"},
	} {
		g, err := newGlob(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range strings.Fields(c.yes) {
			if !g.Match(s) {
				t.Errorf("%q does not match %q", c.pattern, s)
			}
		}
		for _, s := range strings.Fields(c.no) {
			if g.Match(s) {
				t.Errorf("%q matches %q", c.pattern, s)
			}
		}
	}
	if g, _ := newGlob("*"); !g.Match("") || !g.Match("\xff\x00") {
		t.Error("* does not match everything; references are octets")
	}
	if g, _ := newGlob("\ufffd"); g.Match("\xff") {
		t.Error("an octet that is no text equals the replacement character")
	}
	if _, err := newGlob(strings.Repeat("x", maxPattern+1)); err == nil {
		t.Error("a long pattern is taken")
	}
}

// The cost of a hostile pair is the product of the lengths, not a power.
func TestGlobIsNotExponential(t *testing.T) {
	g, err := newGlob(strings.Repeat("a*", maxPattern/2-1) + "b")
	if err != nil {
		t.Fatal(err)
	}
	if g.Match(strings.Repeat("a", 20_000)) {
		t.Error("no b")
	}
}

func TestSubject(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"*", []string{"", "CN=x", "CN=x,O=y,C=DE"}, nil},
		{"CN=*", []string{"CN=x", "cn=X y"}, []string{"", "O=x", "CN=x,O=y", "CN=x+CN=y"}},
		{"CN=sensor-*,O=Example", []string{"CN=sensor-7,O=Example", "O=Example,CN=sensor-7", "CN=Sensor-7,O=EXAMPLE",
			"CN=sensor-7+O=Example"},
			[]string{"CN=sensor-7", "CN=sensor-7,O=Evil", "CN=sensor-7\\,O=Example", "CN=sensor-7\\,O=Example,O=Evil",
				"CN=sensor-7,O=Example,OU=x", "CN=sensor-7,O=Example,O=Example"}},
		{"O=Example,*", []string{"O=Example", "CN=x,O=Example", "OU=a,OU=b,O=Example,C=DE"}, []string{"", "CN=x", "CN=Example"}},
		// Each element needs an attribute of its own, whatever the order.
		{"OU=*,OU=a*", []string{"OU=ab,OU=x", "OU=x,OU=ab", "OU=ab,OU=ac"}, []string{"OU=ab", "OU=x,OU=y"}},
		{"OU=a*,OU=*b,OU=ab", []string{"OU=ab,OU=ax,OU=xb", "OU=xb,OU=ab,OU=ax"}, []string{"OU=ab,OU=ax,OU=ay"}},
		{`CN=a\*b`, []string{`CN=a*b`}, []string{"CN=axb"}},
		{`CN=a\,b,O=x`, []string{`CN=a\,b,O=x`}, []string{"CN=a,O=x"}},
		{"/O=Example/CN=a,*", []string{`O=Example,CN=a\,b`}, []string{"O=Example,CN=ab"}},
		{"2.5.4.3=x", []string{"CN=x"}, []string{"O=x"}},
		{" CN = x , O = y ", []string{"CN=x,O=y"}, nil},
		{"serialNumber=EX-*", []string{"serialNumber=EX-1"}, []string{"CN=EX-1"}},
		{"C=*", []string{"C=DE"}, nil},
		{"CN=*", nil, []string{"CN=#0403010203"}}, // no text
	} {
		s, err := newSubject(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if s.String() != c.pattern {
			t.Errorf("%q is written as %q", c.pattern, s)
		}
		check := func(dn string, want bool) {
			n, err := pkix.ParseDN(dn)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Match(n); got != want {
				t.Errorf("%q and %q: %v", c.pattern, dn, got)
			}
		}
		for _, dn := range c.yes {
			check(dn, true)
		}
		for _, dn := range c.no {
			check(dn, false)
		}
	}
	if s, _ := newSubject("*"); s.Match(pkix.Name{0x30, 0x01}) {
		t.Error("a malformed name matches")
	}
}

func TestSubjectFaults(t *testing.T) {
	for pattern, want := range map[string]string{
		"":            "there is nothing between two commas",
		"CN":          `"CN" is no attribute; write it as CN=sensor-*`,
		"CN=":         "CN= has no value; write CN=* for any",
		"=x":          "is no attribute type",
		"a/b=x":       "is no attribute type",
		"1.2.x=y":     "is no attribute type",
		`CN=x\`:       `CN=x\: nothing follows the last \`,
		`CN=x\41`:     "octets in hex are not for patterns",
		"CN=x,,O=y":   "there is nothing between two commas",
		"/CN=x/":      "there is nothing between two commas",
		"CN=x;O=y=#;": "",
	} {
		_, err := newSubject(pattern)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", pattern, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

// A name of many attributes must not cost more than one of few.
func TestSubjectWithManyAttributes(t *testing.T) {
	n, err := pkix.ParseDN(strings.Repeat("CN=x,", 20_000) + "O=y")
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := newSubject("CN=*,CN=*,O=y,*"); s.Match(n) {
		t.Error("a name beyond the limit matches")
	}
	n, err = pkix.ParseDN(strings.Repeat("CN=x,", maxAttributes-1) + "O=y")
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := newSubject("CN=*,CN=*,O=y,*"); !s.Match(n) {
		t.Error("a name at the limit does not match")
	}
}

func TestLengths(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90m": 90 * time.Minute, "1d12h": 36 * time.Hour, "30d": 720 * time.Hour,
		"1y": 8760 * time.Hour, "100y": 100 * 8760 * time.Hour, "1y2d3h4m5s": 8760*time.Hour + 51*time.Hour + 4*time.Minute + 5*time.Second,
	} {
		if d, why := parseLength(s); why != "" || d != want {
			t.Errorf("%s is %v, %s", s, d, why)
		}
	}
	for _, s := range []string{"", "d", "1", "1D", "1d1", "1d1d", "1h1d", "1 d", "+1d", "1.5d", "100y1s", "99999999999999999999d", "36501d"} {
		if d, why := parseLength(s); why == "" {
			t.Errorf("%q is taken as %v", s, d)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"ir", "cr", "certificate", "passphrase_file", "level"}
	for got, want := range map[string]string{
		"irr": "ir", "certficate": "certificate", "Certificate": "certificate", "passphrase-file": "passphrase_file",
		"passphrasefile": "passphrase_file", "leevl": "level", "xx": "", "certified": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if s := nearest(got, known); s != want {
			t.Errorf("%q: %q, want %q", got, s, want)
		}
	}
}
