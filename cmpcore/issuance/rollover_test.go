package issuance

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// The dates and signatures of RFC 9810 section 4.4.1, read by the standard library.
func TestRollOver(t *testing.T) {
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begin.AddDate(9, 0, 0)
	name, err := pkix.ParseDN("CN=Root,O=Example")
	if err != nil {
		t.Fatal(err)
	}
	ten, twenty := Period{years: 10}, Period{years: 20}
	for _, kinds := range [][2]string{{"ecdsa-p256", "ecdsa-p384"}, {"ed25519", "rsa-2048"}} {
		k1, err := alg.GenerateKey(rand.Reader, kinds[0])
		if err != nil {
			t.Fatal(err)
		}
		k2, err := alg.GenerateKey(rand.Reader, kinds[1])
		if err != nil {
			t.Fatal(err)
		}
		old, err := SelfSigned(rand.Reader, k1, "", name, ten, begin)
		if err != nil {
			t.Fatal(err)
		}
		r, err := RollOver(rand.Reader, old, k1, "", k2, "", twenty, now)
		if err != nil {
			t.Fatal(err)
		}
		parse := func(der []byte) *x509.Certificate {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		oldold, newnew, newold, oldnew := parse(old), parse(r.NewWithNew), parse(r.NewWithOld), parse(r.OldWithNew)
		for what, x := range map[string]struct {
			c, key, by *x509.Certificate
			nb, na     time.Time
		}{
			"new with new": {newnew, newnew, newnew, now, now.AddDate(20, 0, 0)},
			"new with old": {newold, newnew, oldold, now, oldold.NotAfter},
			"old with new": {oldnew, oldold, newnew, oldold.NotBefore, oldold.NotAfter},
		} {
			if err := x.c.CheckSignatureFrom(x.by); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if !bytes.Equal(x.c.RawSubjectPublicKeyInfo, x.key.RawSubjectPublicKeyInfo) || !bytes.Equal(x.c.SubjectKeyId, x.key.SubjectKeyId) ||
				!bytes.Equal(x.c.AuthorityKeyId, x.by.SubjectKeyId) || !bytes.Equal(x.c.RawSubject, oldold.RawSubject) || !bytes.Equal(x.c.RawIssuer, oldold.RawSubject) {
				t.Errorf("%s: names and keys are not those of the two roots", what)
			}
			if !x.c.NotBefore.Equal(x.nb) || !x.c.NotAfter.Equal(x.na) {
				t.Errorf("%s: from %s to %s", what, x.c.NotBefore, x.c.NotAfter)
			}
			if !x.c.IsCA || x.c.KeyUsage != oldold.KeyUsage {
				t.Errorf("%s: not a CA like the old one", what)
			}
		}
		for what, c := range map[string]struct {
			validity Period
			at       time.Time
			same     bool
			fault    string
		}{
			"ends before the old": {Period{days: 5}, now, false, "not after the old one"},
			"the old has ended":   {twenty, begin.AddDate(11, 0, 0), false, "it ended"},
			"the same key":        {twenty, now, true, "is the old one"},
		} {
			key := k2
			if c.same {
				key = k1
			}
			if _, err := RollOver(rand.Reader, old, k1, "", key, "", c.validity, c.at); err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := RollOver(rand.Reader, old, k2, "", k1, "", twenty, now); err == nil {
			t.Error("a key that is not the root's made links")
		}
	}
}
