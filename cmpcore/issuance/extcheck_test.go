package issuance

import (
	"reflect"
	"strings"
	"testing"
)

// The syntax of RFC 5280 section 4.2, RFC 6960 and RFC 7633 by example, encoded
// by hand from the ASN.1 there.
func TestSyntaxOfExtensions(t *testing.T) {
	for _, x := range []struct {
		id        string
		critical  bool
		good, bad []string
	}{
		{"2.5.29.9", false, []string{"3012 3010 06082b06010505070904 3104 13024445"}, []string{"3000", "3005 3003 06012a"}},
		{"2.5.29.18", false, []string{"3003 820161"}, []string{"3000", "3003 890161", "820161"}},
		{"2.5.29.30", true, []string{"3007 a005 3003 820161", "3009 a107 3005 8203612e62"}, []string{"3000", "3002 a000", "300a a008 3006 820161 800105", "3007 a205 3003 820161"}},
		{"2.5.29.31", false, []string{"3009 3007 a005 a003 860161", "300d 300b a005 a003 860161 81020640", "3007 3005 a203 820161"}, []string{"3000", "3002 3000", "3006 3004 81020640", "3004 3002 a000", "300b 3009 a007 a003860161 a100"}},
		{"2.5.29.32", false, []string{"3006 3004 06022a03", "3008 3006 0604551d2000"}, []string{"3000", "300c 3004 06022a03 3004 06022a03", "3008 3006 06022a03 3000"}},
		{"2.5.29.33", true, []string{"300a 3008 06022a03 06022a04"}, []string{"3000", "300c 300a 0604551d2000 06022a04", "3006 3004 06022a03"}},
		{"2.5.29.36", true, []string{"3003 800100", "3006 800100 810102"}, []string{"3000", "3003 8001ff", "3006 810102 800100"}},
		{"2.5.29.54", true, []string{"020100", "02020080"}, []string{"0201ff", "0203010000", "0500"}},
		{"1.3.6.1.5.5.7.1.1", false, []string{"300f 300d 06082b06010505073001 860161"}, []string{"3000", "300c 300a 06082b06010505073001"}},
		{"1.3.6.1.5.5.7.1.24", false, []string{"3003 020105", "3006 020105 020111"}, []string{"3000", "020105", "3003 0201ff"}},
		{"1.3.6.1.5.5.7.48.1.5", false, []string{"0500"}, []string{"3000", "040100"}},
		{"1.2.3.4", false, []string{"0500", "3000", "040100"}, []string{"", "05", "050000", "0501", "3080"}},
	} {
		for _, v := range x.good {
			if err := checkExtension(ext(x.id, x.critical, v)); err != nil {
				t.Errorf("%s: %s is refused: %v", x.id, v, err)
			}
		}
		for _, v := range x.bad {
			if checkExtension(ext(x.id, x.critical, v)) == nil {
				t.Errorf("%s: %s passes", x.id, v)
			}
		}
		if want, ok := criticality[ext(x.id, false, "").ID]; ok && len(x.good) > 0 && checkExtension(ext(x.id, !want, x.good[0])) == nil {
			t.Errorf("%s: the wrong criticality passes", x.id)
		}
	}
}

func TestAProfileTellsItsKeyTypes(t *testing.T) {
	cfg := plain()
	cfg.Keys = []string{"rsa-3072+", "ed25519"}
	if got := mustCompile(t, cfg).KeyTypes(); !reflect.DeepEqual(got, []string{"rsa-3072", "rsa-4096", "ed25519"}) {
		t.Errorf("%q", got)
	}
}

func TestTextOfOthersIsBounded(t *testing.T) {
	if s := clip(strings.Repeat("ü", 1000)); len(s) > 90 || !strings.HasSuffix(s, "ü...") {
		t.Errorf("%q", s)
	}
	if BadAlg.String() != "bad algorithm" || Kind(99).String() != "kind 99" {
		t.Error(BadAlg, Kind(99))
	}
}
