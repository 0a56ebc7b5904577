package issuance

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestACRLSaysWhatItWasGiven(t *testing.T) {
	is := testCA(t, "ecdsa-p384", "")
	ca, err := x509.ParseCertificate(is.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	when := testNow.Add(-time.Hour)
	entries := []CRLEntry{
		{Serial: []byte{1}, RevokedAt: when},
		{Serial: []byte{0, 0x80}, RevokedAt: when, Reason: 1, InvalidityDate: when.AddDate(0, -1, 0)},
		{Serial: bytes.Repeat([]byte{0x7f}, 20), RevokedAt: when, Reason: 6},
		{Serial: []byte{9}, RevokedAt: time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC), Reason: 10},
		{Serial: []byte{10}, RevokedAt: when, InvalidityDate: when},
	}
	der, err := is.SignCRL(rand.Reader, 1<<40, testNow, testNow.AddDate(30, 0, 0), entriesOf(entries...))
	if err != nil {
		t.Fatal(err)
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CheckSignatureFrom(ca); err != nil {
		t.Error(err)
	}
	if l.Number.Int64() != 1<<40 || !l.ThisUpdate.Equal(testNow) || !l.NextUpdate.Equal(testNow.AddDate(30, 0, 0)) ||
		!bytes.Equal(l.AuthorityKeyId, ca.SubjectKeyId) || !bytes.Equal(l.RawIssuer, ca.RawSubject) || len(l.Extensions) != 2 {
		t.Errorf("%+v", l)
	}
	if len(l.RevokedCertificateEntries) != len(entries) {
		t.Fatalf("%d entries", len(l.RevokedCertificateEntries))
	}
	for i, e := range l.RevokedCertificateEntries {
		want := entries[i]
		n := 0
		if want.Reason != 0 {
			n++
		}
		if !want.InvalidityDate.IsZero() {
			n++
		}
		if e.SerialNumber.Cmp(new(big.Int).SetBytes(want.Serial)) != 0 || !e.RevocationTime.Equal(want.RevokedAt) || e.ReasonCode != want.Reason || len(e.Extensions) != n {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	out, err := openssl(t, "crl", "-noout", "-text", "-CAfile", pemFile(t, t.TempDir(), "root.pem", "CERTIFICATE", is.Certificate()),
		"-in", pemFile(t, t.TempDir(), "crl.pem", "X509 CRL", der))
	if err != nil {
		t.Fatal(out)
	}
	out = strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"verify OK", "Version 2", "Certificate Hold", "Key Compromise", "Invalidity Date: Apr 17 11:30:15 2030 GMT", "Jan 1 00:00:00 2051 GMT", "X509v3 CRL Number: 1099511627776"} {
		if !strings.Contains(out, want) {
			t.Errorf("openssl does not show %q:\n%s", want, out)
		}
	}
}

func TestAnEmptyCRLHasNoListAtAll(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	for _, entries := range []func(func(CRLEntry, error) bool){nil, entriesOf()} {
		der, err := is.SignCRL(rand.Reader, 0, testNow, testNow.Add(time.Hour), entries)
		if err != nil {
			t.Fatal(err)
		}
		l, err := x509.ParseRevocationList(der)
		if err != nil || len(l.RevokedCertificateEntries) != 0 || l.Number.Sign() != 0 {
			t.Errorf("%+v, %v", l, err)
		}
		out, err := openssl(t, "crl", "-noout", "-text", "-in", pemFile(t, t.TempDir(), "crl.pem", "X509 CRL", der))
		if err != nil || !strings.Contains(out, "No Revoked Certificates") {
			t.Error(out)
		}
	}
}

func TestACRLIsNotSignedWithWhatItMustNotHave(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	ok := CRLEntry{Serial: []byte{1}, RevokedAt: testNow}
	with := func(f func(*CRLEntry)) []CRLEntry { e := ok; f(&e); return []CRLEntry{ok, e} }
	for _, x := range []struct {
		name       string
		number     int64
		this, next time.Time
		entries    []CRLEntry
		want       string
	}{
		{"a negative number", -1, testNow, testNow.Add(time.Hour), nil, "sign CRL: number -1 is negative"},
		{"an end before its beginning", 3, testNow, testNow, nil, "sign CRL 3: next update 2030-05-17T12:30:15Z is not after this update 2030-05-17T12:30:15Z"},
		{"no dates", 3, time.Time{}, testNow, nil, "sign CRL 3: a date is not between 1950 and 9999"},
		{"removeFromCRL", 3, testNow, testNow.Add(time.Hour), with(func(e *CRLEntry) { e.Reason = 8 }), "sign CRL 3: entry 2, serial 01: removeFromCRL has no place in a full CRL"},
		{"reason 7", 3, testNow, testNow.Add(time.Hour), with(func(e *CRLEntry) { e.Reason = 7 }), "sign CRL 3: entry 2, serial 01: reason 7 is none of RFC 5280"},
		{"reason 11", 3, testNow, testNow.Add(time.Hour), with(func(e *CRLEntry) { e.Reason = 11 }), "sign CRL 3: entry 2, serial 01: reason 11 is none of RFC 5280"},
		{"a negative reason", 3, testNow, testNow.Add(time.Hour), with(func(e *CRLEntry) { e.Reason = -1 }), "sign CRL 3: entry 2, serial 01: reason -1 is none of RFC 5280"},
		{"a negative serial number", 3, testNow, testNow.Add(time.Hour), with(func(e *CRLEntry) { e.Serial = []byte{0x80} }), "sign CRL 3: entry 2, serial 80: serial number: it is negative"},
		{"no revocation date", 3, testNow, testNow.Add(time.Hour), with(func(e *CRLEntry) { e.RevokedAt = time.Time{} }), "sign CRL 3: entry 2, serial 01: a date is missing or not between 1950 and 9999"},
	} {
		der, err := is.SignCRL(rand.Reader, x.number, x.this, x.next, entriesOf(x.entries...))
		if err == nil || err.Error() != x.want || der != nil {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	lost := errors.New("connection lost")
	_, err := is.SignCRL(rand.Reader, 1, testNow, testNow.Add(time.Hour), func(yield func(CRLEntry, error) bool) {
		if yield(ok, nil) {
			yield(CRLEntry{}, lost)
		}
	})
	if !errors.Is(err, lost) {
		t.Errorf("an error of the entries: %v", err)
	}
}

func manyEntries(n int) func(func(CRLEntry, error) bool) {
	return func(yield func(CRLEntry, error) bool) {
		for i := range n {
			s := make([]byte, 16)
			s[0] = 0x40
			binary.BigEndian.PutUint32(s[12:], uint32(i))
			if !yield(CRLEntry{Serial: s, RevokedAt: testNow, Reason: i % 7}, nil) {
				return
			}
		}
	}
}

func TestALargeCRLIsComplete(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	// Sizes around the steps of DER lengths too.
	for _, n := range []int{1, 2, 3, 6, 1000, 1700, 100_000} {
		der, err := is.SignCRL(rand.Reader, 1, testNow, testNow.Add(time.Hour), manyEntries(n))
		if err != nil {
			t.Fatal(err)
		}
		l, err := x509.ParseRevocationList(der)
		if err != nil || len(l.RevokedCertificateEntries) != n {
			t.Fatalf("%d entries: %v", n, err)
		}
	}
}

func BenchmarkCRL100000(b *testing.B) {
	is := testCA(b, "ecdsa-p256", "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := is.SignCRL(rand.Reader, 1, testNow, testNow.Add(time.Hour), manyEntries(100_000)); err != nil {
			b.Fatal(err)
		}
	}
}
