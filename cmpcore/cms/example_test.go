package cms_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"math/big"
	"time"

	"cmp-batch/cmpcore/cms"
)

// issue makes a certificate that signs itself.
func issue(name string, usage x509.KeyUsage) (*ecdsa.PrivateKey, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, KeyUsage: usage, SubjectKeyId: []byte(name),
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(1_800_000_000, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	return key, cert
}

// A key generation authority makes a key for somebody whose request was
// protected by a certificate (RFC 9483 section 4.1.6).
func ExampleWrapPrivateKey() {
	kgaKey, kgaCert := issue("KGA", x509.KeyUsageDigitalSignature)
	clientKey, clientCert := issue("client", x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement)

	// The authority:
	fresh, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	to, err := cms.ForCertificate(clientCert, nil)
	if err != nil {
		log.Fatal(err)
	}
	by := &cms.Signer{Key: kgaKey, Chain: [][]byte{kgaCert}}
	enveloped, err := cms.WrapPrivateKey(rand.Reader, fresh, by, to, time.Unix(1_750_000_000, 0), nil)
	if err != nil {
		log.Fatal(err)
	}

	// The client, with what came as EncryptedKey:
	u, err := cms.UnwrapPrivateKey(rand.Reader, enveloped, &cms.Key{Private: clientKey, Certificate: clientCert}, nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := u.Keys[0].Parse()
	if err != nil {
		log.Fatal(err)
	}
	signer, err := x509.ParseCertificate(u.Signatures[0].Certificate)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(to.Technique(), signer.Subject, fresh.Equal(key))
	// Output: kari CN=KGA true
}

// An encrypted certificate proves possession of a key that cannot sign (RFC
// 9810 section 5.2.8.3.2). Nobody has a certificate of the key yet.
func ExampleForKey() {
	key, cert := issue("client", x509.KeyUsageKeyAgreement)
	id, err := cms.CertificateID(cert)
	if err != nil {
		log.Fatal(err)
	}
	to, err := cms.ForKey(key.Public(), &cms.RecipientOptions{ID: id})
	if err != nil {
		log.Fatal(err)
	}
	enveloped, err := cms.Encrypt(rand.Reader, []*cms.Recipient{to}, cms.OIDData, cert, nil)
	if err != nil {
		log.Fatal(err)
	}
	e, err := cms.ParseEnvelopedData(enveloped)
	if err != nil {
		log.Fatal(err)
	}
	content, err := e.Decrypt(rand.Reader, &cms.Key{Private: key}, nil)
	fmt.Println(len(e.Recipients()), string(content) == string(cert), err)
	// Output: 1 true <nil>
}

func ExampleForPassword() {
	to, err := cms.ForPassword([]byte("a shared secret"), nil)
	if err != nil {
		log.Fatal(err)
	}
	enveloped, err := cms.Encrypt(rand.Reader, []*cms.Recipient{to}, cms.OIDData, []byte("revocation passphrase"), nil)
	if err != nil {
		log.Fatal(err)
	}
	e, err := cms.ParseEnvelopedData(enveloped)
	if err != nil {
		log.Fatal(err)
	}
	content, err := e.Decrypt(rand.Reader, &cms.Key{Password: []byte("a shared secret")}, nil)
	fmt.Println(string(content), err)
	_, err = e.Decrypt(rand.Reader, &cms.Key{Password: []byte("another")}, nil)
	fmt.Println(err)
	// Output:
	// revocation passphrase <nil>
	// envelopedData: does not decrypt: wrong key, or damaged
}
