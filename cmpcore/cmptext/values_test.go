package cmptext_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// TestStandardLibraryMakes shows a certificate and a CRL that crypto/x509 has
// made.
func TestStandardLibraryMakes(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(0x1ff), Subject: stdpkix.Name{CommonName: "CA", Country: []string{"DE"}},
		NotBefore: at, NotAfter: at.AddDate(30, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLen: 2,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, EmailAddresses: []string{"ca@example"}, SubjectKeyId: []byte{1, 2, 3},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 7),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(5), RevocationTime: at}, {SerialNumber: big.NewInt(6), RevocationTime: at}}}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, made(t, &cmp.CertAnn{Certificate: der}, nil), cmptext.Options{})
	for _, want := range []string{"subject: CN=CA,C=DE", "serialNumber: 01ff", "notBefore: 2030-01-02T03:04:05Z", "notAfter: 2060-01-02T03:04:05Z", "ecdsa-p384",
		"ecdsa-sha384", "email:ca@example", "keyCertSign,cRLSign", "OCSPSigning", "CA, path length at most 2"} {
		lacks(t, got, want)
	}
	info, err := cmp.NewCurrentCRL(crl)
	if err != nil {
		t.Fatal(err)
	}
	got = text(t, made(t, &cmp.GenMsg{Kind: cmp.TypeGenP, Infos: []cmp.InfoTypeAndValue{info}}, nil), cmptext.Options{})
	for _, want := range []string{"currentCRL", "issuer: CN=CA,C=DE", "thisUpdate: 2030-01-02T03:04:05Z", "nextUpdate: 2030-01-09T03:04:05Z", "revokedCertificates: 2"} {
		lacks(t, got, want)
	}
}

// TestControls has each control and what it looks like.
func TestControls(t *testing.T) {
	id := crmf.CertID{Issuer: pkix.NewDirectoryName(pkix.EmptyName), SerialNumber: big.NewInt(0xabc)}
	yes := true
	aes := pkix.AlgorithmIdentifier{OID: pkix.MustOID("2.16.840.1.101.3.4.1.42")}
	uri, err := pkix.NewURI("http://a.example/")
	if err != nil {
		t.Fatal(err)
	}
	control := func(a crmf.Attribute, err error) crmf.Attribute {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	envelope := enveloped(t)
	b := &cmp.CertReqMessages{Kind: cmp.TypeIR, Requests: []crmf.CertReqMsg{{CertReq: crmf.CertRequest{CertReqID: big.NewInt(0), Controls: []crmf.Attribute{
		control(crmf.NewOldCertID(id)),
		control(crmf.NewAuthenticator("mother's name")),
		control(crmf.NewPKIPublicationInfo(crmf.PKIPublicationInfo{Action: 1, Infos: []crmf.SinglePubInfo{{Method: 2, Location: uri}}})),
		control(crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{ArchiveRemGenPriv: &yes})),
		control(crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{Enveloped: envelope}})),
		control(crmf.NewAlgID(aes)),
		control(crmf.NewRSAKeyLen(3072)),
		{Type: crmf.OIDOldCertID, Value: []byte{5, 0}},
		{Type: pkix.MustOID("1.2.3"), Value: []byte{4, 1, 7}},
	}}}}}
	got := text(t, made(t, b, nil), cmptext.Options{})
	for _, want := range []string{"serial 0abc, issuer NULL-DN", "pleasePublish", "pubMethod: web", "URI:http://a.example/", "archiveRemGenPrivKey: true",
		"kind: envelopedData", "ktri", "pwri", "contentType: data", "aes256-cbc", "value: 3072", "error: oldCertID", "type: 1.2.3", "value: 040107"} {
		lacks(t, got, want)
	}
}

func TestForWhomAPrivateKeyIs(t *testing.T) {
	issuer, err := pkix.ParseDN("CN=CA\x1b")
	if err != nil {
		t.Fatal(err)
	}
	var to []*cms.Recipient
	for _, c := range []struct {
		keyType string
		id      cms.Identifier
	}{
		{"x25519", cms.Identifier{KeyID: []byte{0xab, 0xcd}}},
		{"ml-kem-512", cms.Identifier{KeyID: []byte{0xef}}},
		{"ecdsa-p384", cms.Identifier{Issuer: issuer, Serial: big.NewInt(0xabc)}},
	} {
		k, err := alg.GenerateAnyKey(rand.Reader, c.keyType)
		if err != nil {
			t.Fatal(err)
		}
		r, err := cms.ForKey(k.(interface{ Public() crypto.PublicKey }).Public(), &cms.RecipientOptions{ID: c.id})
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, r)
	}
	p, err := cms.ForPassword([]byte("x"), &cms.PasswordOptions{Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.Encrypt(rand.Reader, append(to, p), cms.OIDSignedData, []byte("y"), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{Enveloped: der}})
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, made(t, &cmp.CertReqMessages{Kind: cmp.TypeIR, Requests: []crmf.CertReqMsg{{CertReq: crmf.CertRequest{CertReqID: big.NewInt(0), Controls: []crmf.Attribute{a}}}}}, nil), cmptext.Options{})
	for _, want := range []string{"kari, key identifier abcd, ecdh-hkdf-sha256\n", "kemri, key identifier ef, ml-kem-512\n",
		`kari, serial 0abc, issuer CN=CA\1B, ecdh-sha384kdf`, "pwri, pwri-kek\n"} {
		lacks(t, got, want)
	}
}

// enveloped makes an EnvelopedData of RFC 5652 section 6.1 with two recipients
// that are empty but for their tags.
func enveloped(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Version    int
		Recipients []asn1.RawValue `asn1:"set"`
		Content    struct {
			Type asn1.ObjectIdentifier
			Alg  stdpkix.AlgorithmIdentifier
		}
	}{2, []asn1.RawValue{{Tag: 16, IsCompound: true, Bytes: []byte{}}, {Class: 2, Tag: 3, IsCompound: true, Bytes: []byte{}}}, struct {
		Type asn1.ObjectIdentifier
		Alg  stdpkix.AlgorithmIdentifier
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, stdpkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}}}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
