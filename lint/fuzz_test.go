package lint

import (
	"crypto/rand"
	"strings"
	"testing"
	"unicode/utf8"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// Whatever octets come, a look ends, with findings that can be printed.
func FuzzLook(f *testing.F) {
	look := mustCompile(f, issuance.LintConfig{Sources: Sources(), Refuse: "notice"})
	n := 0
	for _, keyType := range []string{"ecdsa-p256", "rsa-2048", "ml-dsa-44"} {
		is := ca(f, keyType)
		f.Add(is.Certificate())
		f.Add(trial(f, is, server(), "ecdsa-p256", "CN=www.example.com", dnsNames(f, "www.example.com")))
		f.Add(trial(f, is, issuance.DefaultProfile(), "ed25519", "CN=x,emailAddress=x@example.com"))
		n += 3
	}
	if n == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, x := range look(der) {
			checkFinding(t, x)
		}
	})
}

func checkFinding(t *testing.T, x issuance.Finding) {
	t.Helper()
	if x.Lint == "" || x.Text == "" || len(x.Text) > 4000 || !utf8.ValidString(x.Text) || strings.ContainsAny(x.Text, "\n\x1b") || !x.Refuse {
		t.Errorf("%+v", x)
	}
}

// Certificates of our own with names of a stranger: whatever zlint makes of what
// a profile lets through, it is findings.
func FuzzNames(f *testing.F) {
	look := mustCompile(f, issuance.LintConfig{Sources: Sources(), Refuse: "notice"})
	is := ca(f, "ecdsa-p256")
	p, err := issuance.Compile(issuance.DefaultProfile())
	if err != nil {
		f.Fatal(err)
	}
	spki, err := alg.MarshalPublicKey(key(f, "ed25519").Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("www.example.com", "O=Example", "www.example.com", "a@example.com", "https://example.com/a?b=c")
	f.Add("d\u00fcse", "C=DE,serialNumber=1", "*.xn--dse-hoa.example", "x@xn--a.example", "urn:dev:ops:32473-1")
	f.Add("", "emailAddress=a@b.c", "a_b.example", "@", "http://[::1]:80/")
	f.Fuzz(func(t *testing.T, cn, dn, host, mail, uri string) {
		subject, err := pkix.ParseDN(dn)
		if err != nil {
			return
		}
		if cn != "" && !strings.ContainsAny(cn, "+,=\\\"<>;#") {
			if with, err := pkix.ParseDN("CN=" + cn); err == nil && subject.IsEmpty() {
				subject = with
			}
		}
		var names []pkix.GeneralName
		if n, err := pkix.NewDNSName(host); err == nil {
			names = append(names, n)
		}
		if n, err := pkix.NewRFC822Name(mail); err == nil {
			names = append(names, n)
		}
		if n, err := pkix.NewURI(uri); err == nil {
			names = append(names, n)
		}
		san, err := pkix.SubjectAltNameExtension(names, false)
		if err != nil {
			return
		}
		prepared, err := p.Prepare(issuance.Request{Subject: subject, PublicKey: spki, Extensions: []pkix.Extension{san}}, is, now)
		if err != nil {
			return
		}
		der, err := is.Rehearse(rand.Reader, prepared, []byte{1})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range look(der) {
			checkFinding(t, x)
		}
	})
}
