package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

func benchRequest(b *testing.B) (*Issuer, *Profile, Request) {
	cfg := DefaultProfile()
	cfg.CRLURLs, cfg.CAIssuersURLs = []string{"http://pki.example/ca.crl"}, []string{"http://pki.example/ca.crt"}
	req := testRequest(b)
	req.Extensions = []pkix.Extension{
		sanExt(b, false, dns(b, "device7.example.com")),
		pkix.KeyUsageExtension(pkix.DigitalSignature),
		pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDClientAuth}),
	}
	return testCA(b, "ecdsa-p256", ""), mustCompile(b, cfg), req
}

// BenchmarkFloorP256 is what a certificate must cost: its signature.
func BenchmarkFloorP256(b *testing.B) {
	k := testKey(b, "ecdsa-p256", 0)
	tbs := make([]byte, 500)
	b.ReportAllocs()
	for b.Loop() {
		h := sha256.Sum256(tbs)
		if _, err := k.Sign(rand.Reader, h[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIssueP256 is a whole certificate: judged, numbered, signed.
func BenchmarkIssueP256(b *testing.B) {
	is, p, req := benchRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		prep, err := p.Prepare(req, is, testNow)
		if err != nil {
			b.Fatal(err)
		}
		serial, err := NewSerial(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := is.Issue(rand.Reader, prep, serial); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrepareP256(b *testing.B) {
	is, p, req := benchRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Prepare(req, is, testNow); err != nil {
			b.Fatal(err)
		}
	}
}
