package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// verifySigned checks the signature of a certificate or CRL with package alg,
// as the standard library does not know these algorithms.
func verifySigned(t *testing.T, der []byte, pub crypto.PublicKey) {
	t.Helper()
	s := cryptobyte.String(der)
	var seq, tbs cryptobyte.String
	var sig []byte
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1Element(&tbs, asn1.SEQUENCE) {
		t.Fatal("no SEQUENCE")
	}
	a, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.ReadASN1BitStringAsBytes(&sig) {
		t.Fatal("no signature")
	}
	if err := alg.Verify(a, pub, tbs, sig, nil); err != nil {
		t.Error(err)
	}
}

func TestCAsOfEveryKind(t *testing.T) {
	for _, kt := range alg.KeyTypes() {
		if strings.Contains(kt, "4096") || strings.Contains(kt, "rsa3072") || strings.HasPrefix(kt, "slh-dsa-") && kt != "slh-dsa-sha2-128s" && kt != "slh-dsa-shake-256f" {
			continue // slow, and as the others
		}
		t.Run(kt, func(t *testing.T) {
			is := testCA(t, kt, "")
			ca := testKey(t, kt, 0).Public()
			verifySigned(t, is.Certificate(), ca)
			if c, err := x509.ParseCertificate(is.Certificate()); err != nil || !c.IsCA {
				t.Fatalf("standard library: %v", err)
			}
			p := mustCompile(t, ProfileConfig{Name: "p", Keys: []string{kt}, Subject: SubjectConfig{FromRequest: true}, Validity: ValidityConfig{Default: "1y"},
				KeyUsage: UsageConfig{Fixed: []string{"digitalSignature", "keyEncipherment", "keyAgreement"}}})
			leaf, _ := issue(t, p, is, Request{Subject: mustDN(t, "CN=device"), PublicKey: testSPKI(t, kt, 1)})
			verifySigned(t, leaf.Raw, ca)
			if leaf.KeyUsage != 0 && leaf.KeyUsage&(x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) != 0 && alg.Uses(ca) == alg.UseSign {
				t.Errorf("key usage %b for a key that signs", leaf.KeyUsage)
			}
			crl, err := is.SignCRL(rand.Reader, 1, testNow, testNow.AddDate(0, 0, 7), func(func(CRLEntry, error) bool) {})
			if err != nil {
				t.Fatal(err)
			}
			verifySigned(t, crl, ca)
		})
	}
}

// Keys that cannot sign get certificates, for what they can.
func TestCertificatesOfEncryptionKeys(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	for kt, want := range map[string]x509.KeyUsage{
		"x25519": x509.KeyUsageKeyAgreement, "x448": x509.KeyUsageKeyAgreement,
		"ml-kem-512": x509.KeyUsageKeyEncipherment, "ml-kem-768": x509.KeyUsageKeyEncipherment, "ml-kem-1024": x509.KeyUsageKeyEncipherment,
	} {
		k, err := alg.GenerateEncryptionKey(rand.Reader, kt)
		if err != nil {
			t.Fatal(err)
		}
		var pub crypto.PublicKey
		switch k := k.(type) {
		case interface{ Public() crypto.PublicKey }:
			pub = k.Public()
		}
		spki, err := alg.MarshalPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		p := mustCompile(t, ProfileConfig{Name: "p", Keys: []string{kt}, Subject: SubjectConfig{FromRequest: true}, Validity: ValidityConfig{Default: "1y"},
			KeyUsage: UsageConfig{Fixed: []string{"digitalSignature", "keyEncipherment", "dataEncipherment", "keyAgreement"}}})
		leaf, _ := issue(t, p, is, Request{Subject: mustDN(t, "CN=device"), PublicKey: spki})
		if leaf.KeyUsage != want {
			t.Errorf("%s: key usage %b, want %b", kt, leaf.KeyUsage, want)
		}
	}
}
