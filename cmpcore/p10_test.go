package cmpcore_test

import (
	"crypto/rand"
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkcs10"
)

// p10cr asks with a request of the standard library.
func (k *talk) p10cr(subject, keyName string, dnsNames ...string) *cmp.P10CR {
	k.Helper()
	signer := key(k, keyName)
	k.keys[-1] = signer
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: dn(k, subject), DNSNames: dnsNames}, signer)
	if err != nil {
		k.Fatal(err)
	}
	s := cryptobyte.String(der)
	r, err := pkcs10.Read(&s)
	if err != nil {
		k.Fatal(err)
	}
	return &cmp.P10CR{Request: r}
}
