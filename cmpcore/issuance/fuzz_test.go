package issuance

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// FuzzPrepare gives hostile templates to a profile that lets requests set
// nearly everything. Whatever is granted must be a certificate that passes
// Check and that Go's library reads, with the key and the CA flag that were
// meant.
func FuzzPrepare(f *testing.F) {
	is := testCA(f, "ecdsa-p256", "")
	cfg := DefaultProfile()
	cfg.SAN.Allowed = append(cfg.SAN.Allowed, "otherName:*")
	cfg.Extensions.Allowed = []string{"subjectDirectoryAttributes", "issuerAltName", "cRLDistributionPoints", "certificatePolicies",
		"freshestCRL", "authorityInfoAccess", "subjectInfoAccess", "tlsFeature", "ocspNoCheck", "1.2.3.4"}
	p := mustCompile(f, cfg)

	list := func(exts ...pkix.Extension) []byte {
		var b cryptobyte.Builder
		pkix.AddExtensions(&b, asn1.SEQUENCE, exts)
		return b.BytesOrPanic()
	}
	must := func(e pkix.Extension, err error) pkix.Extension {
		if err != nil {
			f.Fatal(err)
		}
		return e
	}
	seeds := 0
	add := func(subject string, keyType string, exts ...pkix.Extension) {
		f.Add([]byte(mustDN(f, subject)), []byte(testSPKI(f, keyType, 1)), list(exts...))
		seeds++
	}
	mail, _ := pkix.NewRFC822Name("a@b.example")
	uri, _ := pkix.NewURI("https://a.example/x")
	add("CN=a,O=b,C=DE", "ecdsa-p256", sanExt(f, false, dns(f, "a.example"), mail, uri, pkix.NewDirectoryName(mustDN(f, "CN=x"))), pkix.KeyUsageExtension(pkix.DigitalSignature))
	add("serialNumber=7+CN=a", "ecdsa-p384", pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDClientAuth}), pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: 3}))
	add("emailAddress=a@b,DC=x", "ed25519", must(pkix.CRLDistributionPointsExtension([]string{"http://a.example/"})), must(pkix.AuthorityInfoAccessExtension([]string{"http://o.example"}, []string{"http://c.example"})))
	add("", "rsa-2048", sanExt(f, true, pkix.NewRegisteredID(pkix.MustOID("1.2.3"))), must(pkix.CertificatePoliciesExtension([]pkix.Policy{{ID: pkix.MustOID("1.2.3"), CPS: "http://x.example"}})))
	add("CN=a", "ecdsa-p521", ext("2.5.29.17", false, "3017 a015 060a2b060104018237140203 a007 0c05 6140622e63"), ext("1.2.3.4", true, "0500"), ext("1.3.6.1.5.5.7.1.24", false, "3003020105"),
		pkix.SubjectKeyIDExtension([]byte{1}), ext("2.5.29.35", false, "3003800107"))
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, subject, spki, exts []byte) {
		// What the package may expect: everything has passed der.Scan.
		for _, b := range [][]byte{subject, spki, exts} {
			if der.Scan(b, der.Limits{}) != nil {
				return
			}
		}
		s := cryptobyte.String(exts)
		l, _ := pkix.ReadExtensions(&s)
		prep, err := p.Prepare(Request{Subject: subject, PublicKey: spki, Extensions: l}, is, testNow)
		if err != nil {
			var ref *Refusal
			if !errors.As(err, &ref) || ref.Kind == 0 || ref.Public == "" || len(ref.Public) > 200 || len(ref.Detail) > 600 || prep != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		serial, err := NewSerial(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := is.Issue(rand.Reader, prep, serial)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(cert); err != nil {
			t.Fatalf("%v\n%x", err, cert)
		}
		c, err := x509.ParseCertificate(cert)
		if err != nil {
			t.Fatalf("%v\n%x", err, cert)
		}
		if c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 || string(c.RawSubjectPublicKeyInfo) != string(spki) {
			t.Fatalf("more was granted than meant: %x", cert)
		}
	})
}
